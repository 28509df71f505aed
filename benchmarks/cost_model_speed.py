"""How many schedules a second the cost model judges: saturation, one load, bounded throughput, its gradient.

    python -m benchmarks.cost_model_speed [--smoke] [--json FILE]

Processor time per schedule, so that other load on the machine matters less, and the rate of two cores at
that. The best of some rounds counts; schedules are drawn evenly from the largest space of each network,
programs are warm. The gradient is compiled twice: as for the search, where compiling takes longer than
computing, and for speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import hercules_opt as ho
from benchmarks.harness import Report, Row, main
from hercules_opt.hardware.compiling import OPTIMIZED
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.hardware.stages import Choice
from hercules_opt.hardware.throughput import Bounded, objective_gradient
from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator, Evaluation
from hercules_opt.scheduling.programs import CHUNK, as_program, flat, layout
from hercules_opt.scheduling.space import FIELDS, Floats, search_space

#: A pair with an accelerator, and a placement of each of the two networks.
INSTANCE, SERVER, MODEL = "hpca22", "T7", "dlrm-rmc3"
PLACEMENTS: tuple[Placement, ...] = ("cpu-sd", "accelerator-hot")
#: Schedules a second on two cores that we want.
TARGETS = {"saturation": 1e6, "bounded throughput and gradient, compiled for speed": 5e4}
CORES, ROUNDS, SEED = 2, 8, 0


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the processor time of the best of some rounds, after one that does not count."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def fast_gradient(placement: Placement, pair: Pair, points: Floats, at: Evaluation) -> Callable[[], object]:
    """Return a call of the gradient's program, compiled for speed, on one chunk of schedules."""
    program, completed = as_program(placement, points)
    shape, rows = layout(pair), np.tile(flat(pair), (len(points), 1))
    states = np.column_stack([completed, at.qps, at.excess, at.saturation_qps])

    def gradient(row: jax.Array, state: jax.Array) -> jax.Array:
        known = Bounded(*state[len(FIELDS) :], jnp.zeros(()))
        return jnp.stack(objective_gradient(program, shape.pair(row), Choice(*state[: len(FIELDS)]), known))

    with jax.enable_x64(True):
        compiled = jax.jit(jax.vmap(gradient), compiler_options=OPTIMIZED).lower(rows, states).compile()

    def call() -> object:
        with jax.enable_x64(True):
            return compiled(rows, states).block_until_ready()

    return call


def rates(placement: Placement, pair: Pair, count: int, rounds: int) -> list[Row]:
    """Return the time per schedule of each figure."""
    points = search_space(placement, pair).sample(count, np.random.default_rng(SEED))
    evaluator, rows = AnalyticalEvaluator([pair]), np.zeros(count, dtype=np.int64)
    at, load = evaluator.evaluate(placement, rows, points), np.full(count, 100.0)
    few = at.take(slice(0, CHUNK))
    each_s = {
        "saturation": seconds(lambda: evaluator.saturation_qps(placement, 0, points), rounds) / count,
        "whether one load is served": seconds(
            lambda: evaluator.violation(placement, rows, points, load), rounds
        )
        / count,
        "bounded throughput": seconds(lambda: evaluator.evaluate(placement, rows, points), rounds) / count,
    }
    value_s = each_s["bounded throughput"]
    searched_s = seconds(lambda: evaluator.gradient(placement, rows, points, at), rounds) / count
    fast_s = seconds(fast_gradient(placement, pair, points[:CHUNK], few), rounds) / CHUNK
    each_s["bounded throughput and gradient, as in the search"] = value_s + searched_s
    each_s["bounded throughput and gradient, compiled for speed"] = value_s + fast_s
    return [
        {
            "figure": figure,
            "placement": placement,
            "CPU µs each": 1e6 * each,
            "per second on two cores": round(CORES / each),
            "target": None if figure not in TARGETS else round(TARGETS[figure]),
        }
        for figure, each in each_s.items()
    ]


def measure(smoke: bool) -> Report:
    """Time every figure for both networks."""
    instance = ho.load_instance(INSTANCE)
    pair = pack(instance.servers[SERVER], instance.models[MODEL])
    chosen, count, rounds = (PLACEMENTS[:1], CHUNK, 1) if smoke else (PLACEMENTS, 16 * CHUNK, ROUNDS)
    table = [row for placement in chosen for row in rates(placement, pair, count, rounds)]
    return Report({"Schedules a second": table})


if __name__ == "__main__":
    main("cost_model_speed", "How many schedules a second the cost model judges.", measure)
