"""Prior schedulers choose what they could and nothing else; what any method finds holds its limits."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.check import check_claim
from hercules_opt.scheduling.offload import halves, power_w, thresholds, within_budget
from hercules_opt.scheduling.optimize import Method, ScheduleResult, optimize_all
from hercules_opt.scheduling.prior import prior_points
from hercules_opt.scheduling.simulated import OffloadingServer, simulated_server
from hercules_opt.scheduling.space import COLUMN, Space

CORES, SLA_MS = 6, 50.0


def server(**changes: object) -> ServerType:
    """CPU-A with few cores, and its accelerator."""
    kind = ho.catalogue.servers["T6"]
    assert kind.cpu is not None
    return kind.replace(cpu=kind.cpu.replace(cores=CORES), **changes)


def model(**changes: object) -> Model:
    return ho.catalogue.models["dlrm-rmc3"].replace(sla_ms=SLA_MS, **changes)


@pytest.fixture(scope="module")
def results() -> dict[str, ScheduleResult]:
    """One pair by every method but the exhaustive one, which takes minutes."""
    methods = [method for method in get_args(Method) if method != "exhaustive"]
    return {method: ho.optimize_schedule(server(), model(), method=method) for method in methods}


def test_every_method_gives_a_schedule_that_is_possible(results: dict[str, ScheduleResult]) -> None:
    """Cores by hand; latency and power by a prediction at the rate that is stated."""
    for method, found in results.items():
        schedule = found.schedule
        assert schedule is not None, method
        assert found.method == method
        used = (schedule.threads or 0) * (schedule.cores_per_thread or 0)
        assert used + (schedule.dense_threads or 0) * (schedule.dense_cores_per_thread or 0) <= CORES
        if schedule.offload_above is None:
            seen = ho.predict(server(), model(), schedule, load_qps=found.qps)
            assert seen.percentiles_ms[95.0] <= SLA_MS * 1.001
            assert seen.memory_share <= 1.0
            assert found.power_w == pytest.approx(seen.power_w)


def test_methods_rank_as_their_freedom_does(results: dict[str, ScheduleResult]) -> None:
    """What may choose more never finds less; a search of the whole space finds no less than random points."""
    assert results["offload"].qps >= results["deeprecsys"].qps
    assert results["gradient"].qps >= 0.999 * results["baymax"].qps
    better = max(results["gradient"].qps, results["offload"].qps)
    assert results["gradient-offload"].qps == pytest.approx(better, rel=1e-3)
    assert results["gradient"].qps >= 0.999 * max(results["lattice"].qps, results["random"].qps)


def test_prior_schedulers_keep_to_one_core_per_thread_and_least_fusion(
    results: dict[str, ScheduleResult],
) -> None:
    for method in ("deeprecsys", "baymax", "offload"):
        schedule = results[method].schedule
        assert schedule is not None
        assert schedule.placement in ("cpu", "accelerator")
        assert (schedule.threads, schedule.cores_per_thread) in ((CORES, 1), (None, None))
        assert schedule.fused_items in (None, 1024)
        assert (schedule.offload_above is None) or method != "baymax"
    deeprecsys = results["deeprecsys"].schedule
    assert deeprecsys is not None
    assert deeprecsys.instances in (None, 1)


def test_what_a_prior_scheduler_may_choose_by_hand() -> None:
    host = Space("cpu", 6, 40, 16, (40, 80), devices=2)
    for points in (prior_points(host, "deeprecsys"), prior_points(host, "baymax")):
        assert np.array_equal(points[:, COLUMN["batch_size"]], np.arange(1, 41))
        assert (points[:, COLUMN["threads"]] == 6).all()
        assert host.contains(points).all()
    # Two accelerators of at most eight instances each.
    devices = Space("accelerator", 6, 40, 16, (40, 80), devices=2)
    one, several = (prior_points(devices, prior) for prior in ("deeprecsys", "baymax"))
    assert one[:, COLUMN["instances"]].tolist() == [2]
    assert several[:, COLUMN["instances"]].tolist() == [2, 4, 6, 8, 10, 12, 14, 16]
    assert (several[:, COLUMN["fused_items"]] == 40).all()
    assert devices.contains(several).all()


def test_without_an_accelerator_a_prior_scheduler_splits_queries_on_the_host() -> None:
    plain = server(accelerator=None)
    found = optimize_all([(plain, model())], method="offload")[0]
    assert found.schedule is not None
    assert found.schedule.placement == "cpu"
    assert found.schedule.offload_above is None
    assert dict(found.placements) == {"cpu": found.qps}


def test_a_rate_with_a_threshold_holds_in_simulation(results: dict[str, ScheduleResult]) -> None:
    """Two streams of Poisson arrivals, each at its own part: within 10 % of a simulation of all queries."""
    found = results["offload"]
    assert found.schedule is not None
    assert found.schedule.offload_above is not None
    assert found.prediction is None
    simulated = simulated_server(pack(server(), model()), model(), found.schedule)
    assert isinstance(simulated, OffloadingServer)
    held = check_claim(simulated, model(), 1.1 * found.qps)
    assert held.qps == pytest.approx(found.qps, rel=0.1)


def test_a_threshold_is_priced_by_both_parts(results: dict[str, ScheduleResult]) -> None:
    """Without load both parts idle together once; a budget in the middle is met, and lowers the load."""
    schedule = results["offload"].schedule
    assert schedule is not None
    assert schedule.offload_above is not None
    both = halves(server(), model(), schedule.offload_above)
    assert 0.05 <= both.small_share <= 0.995
    idle_w = float(both.small.host.idle_w + both.small.device.count * both.small.device.idle_w)
    assert power_w(both, schedule, 1e-6) == pytest.approx(idle_w, rel=1e-6)
    full_w = results["offload"].power_w
    assert full_w == pytest.approx(power_w(both, schedule, results["offload"].qps))
    middle = 0.5 * (idle_w + float(full_w or 0.0))
    capped = halves(server(power_budget_w=middle), model(), schedule.offload_above)
    qps, power = within_budget(capped, schedule, results["offload"].qps)
    assert 0.0 < qps < results["offload"].qps
    assert power == pytest.approx(middle, rel=1e-6)
    below = halves(server(power_budget_w=0.9 * idle_w), model(), schedule.offload_above)
    assert within_budget(below, schedule, results["offload"].qps) == (0.0, None)


def test_queries_of_one_size_have_no_threshold() -> None:
    fixed = QuerySize(distribution="fixed", mean_items=100)
    assert thresholds(model(query_size=fixed)) == []
    two = QuerySize(distribution="empirical", items=(10, 500), weights=(1.0, 3.0))
    assert thresholds(model(query_size=two)) == [10]
    assert halves(server(), model(query_size=two), 10).small_share == pytest.approx(0.25)
    assert halves(server(), model(query_size=two), 10).large.sizes.mean == pytest.approx(500.0)


def test_predict_takes_no_threshold() -> None:
    schedule = Schedule(
        placement="cpu", threads=6, cores_per_thread=1, batch_size=64, instances=1, fused_items=1024,
        offload_above=200,
    )  # fmt: skip
    with pytest.raises(ho.InputError, match=r"schedule\.offload_above|offload_above: must be left out"):
        ho.predict(server(), model(), schedule, 10.0)
    assert schedule.label() == "cpu 6x1c d64 >200: g1 f1024"


@pytest.mark.slow
def test_where_a_threshold_wins_the_better_of_both_has_one() -> None:
    """T7 with all cores keeps host and accelerator busy, each with queries of its own sizes."""
    pair = [(ho.catalogue.servers["T7"], ho.catalogue.models["din"])]
    plain, both = (optimize_all(pair, method=method)[0] for method in ("gradient", "gradient-offload"))
    assert plain.schedule is not None
    assert both.schedule is not None
    assert (plain.schedule.offload_above, both.schedule.offload_above is None) == (None, False)
    assert both.qps > 1.1 * plain.qps
    assert both.evaluations > plain.evaluations
