"""A schedule as the simulator sees it: the stages of a server with the cost model's service times.

Only the queueing is simulated: the time of a batch, by its items and by the servers at work, is that of the
cost model, so that a difference between the two is one of queueing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import jax
import numpy as np
import numpy.typing as npt

from hercules_opt.hardware.compiling import COMPILER_OPTIONS
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import PROGRAM, Choice, network
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.scheduling.schedules import located
from hercules_opt.scheduling.space import COLUMN, FIELDS
from hercules_opt.simulation.stages import SizeSampler, Stage
from hercules_opt.workloads.query_sizes import sample_sizes

Floats = npt.NDArray[np.float64]

#: Run once per schedule, the program gains nothing from being optimized, and compiles in half the time.
_OPTIONS: Final = {**COMPILER_OPTIONS, "xla_backend_optimization_level": 0}


@dataclass(frozen=True)
class SimulatedServer:
    """What the simulator needs of a server with a schedule.

    Attributes
    ----------
    stages
        In the order in which the pieces of a query pass them.
    batch_items
        Items per piece; ``None`` where queries stay whole.
    sizes
        Draws the items of queries.
    memory
        Memory taken, as a share of what there is where it is scarcest.
    """

    stages: tuple[Stage, ...]
    batch_items: int | None
    sizes: SizeSampler
    memory: float


def simulated_servers(
    pairs: Sequence[Pair], models: Sequence[Model], schedules: Sequence[Schedule]
) -> list[SimulatedServer]:
    """Return what to simulate for many pairs, each with its schedule.

    Raises
    ------
    InputError
        If a schedule is not one of its pair.
    """
    return [_server(*each) for each in zip(pairs, models, schedules, strict=True)]


def _server(pair: Pair, model: Model, schedule: Schedule) -> SimulatedServer:
    point = located(pair, schedule)[1].copy()
    if schedule.placement == "cpu-accelerator":
        # The program of this placement is the one with hot embeddings, of which it has none (``PROGRAM``).
        point[COLUMN["hot_share"]] = 0.0
    with jax.enable_x64(True):
        numbers = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), pair)
        choice = Choice(*(point[column] for column in range(len(FIELDS))))
        times, memory = jax.device_get(_compiled_times(PROGRAM[schedule.placement])(numbers, choice))
    assert model.query_size is not None
    stages = tuple(
        _stage(name, node_s, servers, largest, fused=name == "accelerator")
        for (name, servers, largest), node_s in zip(_shapes(schedule), times, strict=True)
    )
    return SimulatedServer(
        stages, schedule.batch_size, partial(sample_sizes, model.query_size), float(memory)
    )


def _shapes(schedule: Schedule) -> list[tuple[str, int, int]]:
    """Return name, servers and largest batch of each stage."""
    shapes = (
        ("host", schedule.threads, schedule.batch_size),
        ("dense host", schedule.dense_threads, schedule.batch_size),
        ("accelerator", schedule.instances, schedule.fused_items),
    )
    return [(name, servers, largest) for name, servers, largest in shapes if servers and largest]


@lru_cache
def _compiled_times(placement: Placement) -> Any:
    def times(pair: Pair, choice: Choice) -> tuple[list[jax.Array], jax.Array]:
        net = network(placement, pair, choice)
        stages = (net.host, net.dense, net.fused)
        return [stage.time_s for stage in stages if stage is not None], net.memory

    return jax.jit(times, compiler_options=_OPTIONS)


def _stage(name: str, node_s: Floats, servers: int, largest: int, *, fused: bool) -> Stage:
    """Return a stage whose times are the parabolas of ``hardware.stages`` through ``node_s`` (3, 3)."""
    by_busy = _parabola(np.arange(servers) / max(servers - 1, 1))
    by_items = _parabola(np.arange(largest + 1) / largest)
    return Stage(
        servers, 1e3 * by_busy.T @ node_s @ by_items, fuse_items=largest if fused else None, name=name
    )


def _parabola(x: Floats) -> Floats:
    """Return the weights at ``x`` of values at 0, 1/2 and 1, shape (3, len(x))."""
    return np.stack([(2.0 * x - 1.0) * (x - 1.0), 4.0 * x * (1.0 - x), x * (2.0 * x - 1.0)])
