"""The best schedule of a small server: possible, the oracle's, and explained where there is none."""

from __future__ import annotations

import pytest

import hercules_opt as ho
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.optimize import optimize_all

CORES = 5


def small(cores: int = CORES, **changes: object) -> ServerType:
    """CPU-A with few cores."""
    server = ho.catalogue.servers["T1"]
    assert server.cpu is not None
    return server.replace(cpu=server.cpu.replace(cores=cores), **changes)


def model(sla_ms: float = 50.0) -> Model:
    return ho.catalogue.models["dlrm-rmc3"].replace(sla_ms=sla_ms)


@pytest.fixture(scope="module")
def results() -> dict[str, ho.ScheduleResult]:
    """All cases searched side by side, so that programs are compiled once."""
    cases = {
        "good": (small(), model()),
        "no cores": (small(0), model()),
        "no power": (small(power_budget_w=0.0), model()),
        "tight": (small(), model(0.01)),
        "loose": (small(), model(1e6)),
        "again": (small(), model()),
    }
    found = optimize_all(list(cases.values()), seed=3)
    return dict(zip(cases, found, strict=True))


def test_the_schedule_is_possible(results: dict[str, ho.ScheduleResult]) -> None:
    """Cores by hand; rate, latency and power by a prediction at that load."""
    best = results["good"]
    schedule = best.schedule
    assert schedule is not None
    used = (schedule.threads or 0) * (schedule.cores_per_thread or 0)
    used += (schedule.dense_threads or 0) * (schedule.dense_cores_per_thread or 0)
    assert 1 <= used <= CORES
    assert 1 <= (schedule.batch_size or 0) <= 1024
    seen = ho.predict(small(), model(), schedule, load_qps=best.qps)
    assert seen.percentiles_ms[95.0] <= 50.0 * 1.001
    assert best.power_w == pytest.approx(seen.power_w)
    assert seen.power_w <= 1e3


def test_one_more_query_is_too_many(results: dict[str, ho.ScheduleResult]) -> None:
    """At 1 % above the bounded throughput the tail misses its target."""
    best = results["good"]
    assert best.schedule is not None
    more = ho.predict(small(), model(), best.schedule, load_qps=1.01 * best.qps)
    assert more.percentiles_ms[95.0] > 50.0


def test_equal_pairs_get_equal_answers(results: dict[str, ho.ScheduleResult]) -> None:
    """Whatever stands beside them."""
    assert results["again"].schedule == results["good"].schedule
    assert results["again"].qps == results["good"].qps


def test_a_looser_target_never_serves_less(results: dict[str, ho.ScheduleResult]) -> None:
    loose = results["loose"]
    assert loose.qps > results["good"].qps
    assert loose.prediction is not None
    assert loose.qps >= 0.99 * loose.prediction.saturation_qps


@pytest.mark.parametrize(
    ("case", "texts"),
    [
        ("no cores", ["no cores", "at least one"]),
        ("no power", ["power budget of 0 W", "idle power of", "would help"]),
        ("tight", ["p95 of an idle server is", "above the target of 0.01 ms", "would help"]),
    ],
)
def test_a_pair_that_serves_nothing_says_why_and_what_would_help(
    results: dict[str, ho.ScheduleResult], case: str, texts: list[str]
) -> None:
    refused = results[case]
    assert refused.schedule is None
    assert refused.qps == 0.0
    assert refused.power_w is None
    assert refused.reason is not None
    for text in texts:
        assert text in refused.reason


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ho.InputError, match="Did you mean 'gradient'"):
        ho.optimize_schedule(small(), model(), method="gradent")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlrm-rmc2", "dien"])
def test_the_gradient_search_finds_what_the_oracle_finds(name: str) -> None:
    """Within 1 % on the whole lattice of a small server, both of its placements."""
    entry = ho.catalogue.models[name].replace(sla_ms=100.0)
    gradient = ho.optimize_schedule(small(), entry)
    oracle = ho.optimize_schedule(small(), entry, method="exhaustive")
    assert gradient.qps >= 0.99 * oracle.qps > 0.0
    assert gradient.space_size == oracle.space_size > 10_000
