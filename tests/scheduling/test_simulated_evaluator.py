"""Schedules judged by simulation, and searches on the lattice that use it."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.errors import InputError
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.gradient import Found, polish
from hercules_opt.scheduling.simulated_evaluator import SimulatedEvaluator
from hercules_opt.scheduling.space import COLUMN, Floats, Tasks, search_space

NONE = np.zeros(1, dtype=np.int64)


def model(**changes: object) -> Model:
    return ho.catalogue.models["dlrm-rmc3"].replace(sla_ms=60.0, **changes)


def pair(of: Model, **changes: object) -> Pair:
    kind = ho.catalogue.servers["T2"]
    assert kind.cpu is not None
    return pack(kind.replace(cpu=kind.cpu.replace(cores=4), **changes), of)


def point(threads: float = 4.0, batch: float = 64.0) -> Floats:
    found = np.ones(len(COLUMN))
    found[COLUMN["threads"]], found[COLUMN["batch_size"]] = threads, batch
    return found


def test_it_agrees_with_the_cost_model_on_a_plain_queue() -> None:
    mine = SimulatedEvaluator([pair(model())], [model()], queries=50_000)
    points = np.array([point(), point(batch=200.0), point(threads=2.0)])
    rows = np.zeros(3, dtype=np.int64)
    simulated = mine.evaluate("cpu", rows, points)
    analytic = AnalyticalEvaluator([pair(model())]).evaluate("cpu", rows, points)
    assert simulated.qps == pytest.approx(analytic.qps, rel=0.06)
    assert simulated.saturation_qps == pytest.approx(analytic.saturation_qps, rel=0.02)
    assert np.array_equal(simulated.memory, analytic.memory)
    assert mine.evaluations.tolist() == [3]


def test_the_interval_of_a_judgement_is_kept() -> None:
    mine = SimulatedEvaluator([pair(model())], [model()])
    qps = mine.evaluate("cpu", NONE, point()[None]).qps[0]
    found = mine.largest("cpu", 0, point())
    assert found.lower_qps < found.value_qps == qps < found.upper_qps
    assert mine.largest("cpu", 0, point()) is found


def test_the_same_seed_gives_the_same_judgement() -> None:
    def qps(seed: int) -> float:
        evaluator = SimulatedEvaluator([pair(model())], [model()], seed=seed)
        return float(evaluator.evaluate("cpu", NONE, point()[None]).qps[0])

    assert qps(1) == qps(1) != qps(2)


def test_memory_power_and_an_unloaded_miss_leave_nothing() -> None:
    cases = [
        (pair(model()), model(), point()),
        (pair(model(), power_budget_w=20.0), model(), point()),
        (pair(model().replace(sla_ms=0.1)), model().replace(sla_ms=0.1), point()),
    ]
    pairs, models, points = zip(*cases, strict=True)
    found = SimulatedEvaluator(pairs, models).evaluate("cpu", np.arange(3), np.array(points))
    assert (found.qps > 0.0).tolist() == [True, False, False]
    assert (found.excess > 0.0).tolist() == [False, True, True]


def test_a_power_budget_binds() -> None:
    """Between idle power and that of the rate at the latency target."""
    free = SimulatedEvaluator([pair(model())], [model()]).evaluate("cpu", NONE, point()[None]).qps[0]
    idle = pair(model()).host.idle_w
    budget = idle + 0.5 * 4 * pair(model()).host.core_w
    capped = pair(model(), power_budget_w=budget)
    half = SimulatedEvaluator([capped], [model()]).evaluate("cpu", NONE, point()[None]).qps[0]
    assert 0.3 * free < half < 0.7 * free


@pytest.mark.slow
def test_a_search_on_the_lattice_climbs_by_simulation() -> None:
    """From one thread of four cores and tiny batches to what the cost model finds, within the noise."""
    space = search_space("cpu", pair(model()))
    tasks = Tasks("cpu", NONE, (space,))
    mine = SimulatedEvaluator([pair(model())], [model()], queries=5_000)
    start = point(threads=1.0, batch=8.0)[None]
    begun = Found(start, mine.evaluate("cpu", NONE, start))
    best = polish(mine, tasks, NONE, begun)
    server = ho.catalogue.servers["T2"]
    assert server.cpu is not None
    known = ho.optimize_schedule(server.replace(cpu=server.cpu.replace(cores=4)), model())
    assert best.evaluation.qps[0] > 1.5 * begun.evaluation.qps[0]
    assert best.evaluation.qps[0] == pytest.approx(known.qps, rel=0.1)


def test_a_point_between_those_of_the_lattice_is_refused() -> None:
    mine = SimulatedEvaluator([pair(model())], [model()])
    with pytest.raises(InputError, match="must lie on the lattice to be simulated"):
        mine.evaluate("cpu", NONE, point(batch=64.5)[None])
