"""One run under load: what counts as late, what is left out, and percentiles of what never ended."""

from __future__ import annotations

import numpy as np
import pytest
from fake_server import FakeServer, small

import hercules_opt as ho
from hercules_opt.measurement.load_test import LateLimit, LoadRun, allowed_late, load_run, offered

NO_LIMIT = LateLimit(1e9, 10**9)


def run_of(latency_ms: list[float], busy_cores: float | None = 0.0) -> LoadRun:
    return LoadRun(100.0, True, np.array(latency_ms), 0.0, busy_cores)


def test_a_query_is_late_once_it_is_open_for_longer_than_the_target() -> None:
    limit = LateLimit(10.0, 1)
    open_queries = np.full(3, np.inf)
    assert not limit.broken(open_queries, np.array([11.0, 9.0, 3.0]))
    assert limit.broken(open_queries, np.array([12.0, 10.5, 4.0]))
    late = np.array([11.0, 12.0, 1.0])
    assert limit.broken(late, np.full(3, 30.0))
    assert not LateLimit(10.0, 1, skipped=1).broken(late, np.full(3, 30.0))


def test_a_run_offers_its_rate_and_its_sizes_and_gaps_of_a_poisson_process() -> None:
    sizes = ho.catalogue.models["dlrm-rmc1"].query_size
    assert sizes is not None
    traces = [offered(50.0, sizes, 200, seed) for seed in range(40)]
    assert {round(float(one.times_ms[-1]), 6) for one in traces} == {4000.0}
    means = np.array([one.items.mean() for one in traces])
    assert np.std(means) < 0.02 * np.mean(means)  # of independent ones it would be 7 %
    gaps = np.concatenate([np.diff(one.times_ms) for one in traces])
    assert np.std(gaps) == pytest.approx(20.0, rel=0.05)
    assert np.mean(gaps > 40.0) == pytest.approx(np.exp(-2.0), rel=0.1)
    following = np.corrcoef(traces[0].items[1:], traces[0].items[:-1])[0, 1]
    assert abs(following) < 0.25  # in random order
    assert not np.array_equal(traces[0].items, traces[1].items)


def test_a_rate_holds_if_the_percentile_of_all_after_the_warm_up_is_within_the_target() -> None:
    """Fixed times of 1 ms: far below saturation all are in time, above it they are not."""
    server, model = FakeServer(item_ms=0.1), small(sla_ms=5.0)
    below, above = load_run(server, model, 300.0, 500, 1), load_run(server, model, 1500.0, 500, 1)
    assert below.held
    assert len(below.latency_ms) == 450
    assert below.percentile_ms(50.0).value < 2.0
    assert not above.held
    assert np.isinf(above.percentile_ms(95.0).value)


@pytest.mark.parametrize(
    ("percentile", "queries", "late"),
    [(95.0, 180, 9), (90.0, 180, 18), (80.0, 45, 9), (99.0, 100, 1), (99.0, 99, 0), (99.9, 1999, 1)],
)
def test_as_many_may_be_late_as_a_percentile_leaves(percentile: float, queries: int, late: int) -> None:
    """Counted by hand; 1 - 0.9 is below 0.1 for a computer."""
    assert allowed_late(percentile, queries) == late


def test_a_start_that_is_slow_does_not_lose_a_run() -> None:
    """The first tenth is late, as on a machine that wakes up: it does not count."""

    class Waking(FakeServer):
        def serve(self, trace, limit):  # type: ignore[no-untyped-def]
            found, lateness = super().serve(trace, NO_LIMIT)
            found[:50] = 1000.0
            assert not limit.broken(found, np.full(500, 2000.0))
            return found, lateness

    assert load_run(Waking(), small(), 300.0, 500, 1).held


def test_percentiles_have_intervals_that_correlated_latencies_widen() -> None:
    rng = np.random.default_rng(0)
    independent = rng.exponential(10.0, 2000)
    swings = np.sort(independent.reshape(20, 100), axis=0).T.reshape(-1)  # slow waves of the same values
    apart, together = (run_of(list(each)).percentile_ms(90.0) for each in (independent, np.sort(swings)))
    assert apart.value == together.value
    assert apart.lower < apart.value < apart.upper
    assert together.upper - together.lower > 2.0 * (apart.upper - apart.lower)


def test_what_never_ended_is_an_infinite_end_of_an_interval() -> None:
    found = run_of([1.0] * 90 + [np.inf] * 10)
    assert found.percentile_ms(50.0).value == 1.0
    assert found.percentile_ms(95.0).value == np.inf


@pytest.mark.parametrize(("busy", "disturbed"), [(None, False), (0.05, False), (0.4, True)])
def test_a_run_is_disturbed_where_others_keep_cores_busy(busy: float | None, disturbed: bool) -> None:
    assert run_of([1.0], busy).disturbed is disturbed
