"""Check before you claim: against the closed form of M/M/1, T ~ Exp(mu - lambda)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.problem.models import Model
from hercules_opt.scheduling.check import (
    CLUSTER,
    LEAST_SPANS,
    MOST_RATES,
    _Target,
    check_claim,
    check_claims,
    clustered_half_width,
)
from hercules_opt.scheduling.simulated import SimulatedServer

#: One server of a mean service time of 1 ms, so that it saturates at 1,000 QPS.
SERVER = SimulatedServer(
    (ho.Stage(1, np.array([[0.0, 1.0]]), variability="exponential"),), None, lambda rng, n: np.ones(n), 0.1
)
TARGET_MS = 15.0
#: The rate at which 5 % of the queries take longer: exp(-(1 - rate) x 15) = 0.05.
BOUND_QPS = 1000.0 * (1.0 + math.log(0.05) / TARGET_MS)


def model(sla_ms: float = TARGET_MS, percentile: float = 95.0) -> Model:
    return ho.catalogue.models["dlrm-rmc1"].replace(sla_ms=sla_ms, sla_percentile=percentile)


@pytest.mark.parametrize("factor", [1.02, 1.1, 1.24, 2.0])
def test_too_much_is_stepped_down_to_what_holds(factor: float) -> None:
    held = check_claim(SERVER, model(), factor * BOUND_QPS)
    assert 0.94 * BOUND_QPS < held.qps < 1.01 * BOUND_QPS
    assert 0.8 * TARGET_MS < (held.p95_ms or 0.0) < TARGET_MS < (held.p99_ms or 0.0)


def test_what_holds_is_left_as_it_is() -> None:
    for share in (0.1, 0.9):
        held = check_claim(SERVER, model(), share * BOUND_QPS)
        assert (held.qps, held.rates) == (share * BOUND_QPS, 1)


def found_over_true(load: float, percentile: float, seeds: range) -> np.ndarray:
    """Rates found over the true one, for the target at which the true one is this share of saturation."""
    target_ms = -math.log(1.0 - percentile / 100.0) / (1.0 - load)
    held = [check_claim(SERVER, model(target_ms, percentile), 999.0, seed=seed) for seed in seeds]
    assert all(1 <= each.rates <= MOST_RATES for each in held)
    return np.array([each.qps for each in held]) / (1000.0 * load)


@pytest.mark.parametrize(("load", "percentile"), [(0.8, 95.0), (0.97, 95.0), (0.95, 99.0)])
def test_what_holds_is_rarely_too_much(load: float, percentile: float) -> None:
    """In 12 seeds the rate found is above the true one once at most, and close below it in the others.

    Near saturation late queries come in few long clusters: batch means alone pass the true rate of the last
    case in a quarter of the runs.
    """
    found = found_over_true(load, percentile, range(12))
    assert (found > 1.0).mean() <= 0.1
    assert found.max() < 1.01
    assert np.median(found) > 0.96


@pytest.mark.slow
def test_what_holds_is_too_much_in_less_than_one_run_of_twenty() -> None:
    """Of 400 runs at most 12 find a rate above the true one: were it one in twenty, so few would be seen with
    a probability of 3.6 % only (binomial).

    Nominally it is 2.5 % of the runs; repeated tests and few clusters add some, the last step down takes some
    away. Of each case alone at most 5 of 100 are above: one in which 15 % are would pass once in 600.
    """
    cases = ((0.3, 95.0), (0.8, 95.0), (0.97, 95.0), (0.95, 99.0))
    above = []
    for number, (load, percentile) in enumerate(cases):
        found = found_over_true(load, percentile, range(1000 + 100 * number, 1100 + 100 * number))
        above.append(int((found > 1.0).sum()))
        assert np.median(found) > 0.95
    assert sum(above) <= 12
    assert max(above) <= 5


def test_few_clusters_need_a_much_smaller_share() -> None:
    """Against the variance of the theory: with many spans the interval of a normal variable, with few nearly
    all of the share allowed."""
    for spans in (1e3, 1e5):
        normal = 1.96 * math.sqrt(CLUSTER / spans)
        assert clustered_half_width(0.05, spans, 0.95) == pytest.approx(0.05 * normal, rel=0.07)
    widths = [clustered_half_width(0.05, spans, 0.95) for spans in (5.0, 20.0, 100.0)]
    assert widths == sorted(widths, reverse=True)
    assert 0.9 * 0.05 < widths[0] < 0.05


def test_sizes_that_vary_much_take_longer_runs() -> None:
    """3 % of the queries take 60 times as long. At the true bound, found by 32 million queries, few of 40
    runs may pass; without regard to the sizes seven do."""
    items = np.array([1] * 97 + [60] * 3)
    stage = ho.Stage(1, np.arange(61.0)[None, :])
    server = SimulatedServer((stage,), None, lambda rng, n: items[rng.integers(100, size=n)], 0.1)
    passed = [_Target(server, model(885.1, 99.0), seed).ask(325.2).holds for seed in range(40)]
    assert np.mean(passed) <= 0.05


def test_a_percentile_that_no_run_can_tell_holds_nowhere() -> None:
    """Of 540,000 queries half a query may be late."""
    held = check_claim(SERVER, model(sla_ms=1e4, percentile=99.9999), 1.0)
    assert (held.qps, held.rates) == (0.0, 0)


def test_the_percentile_is_the_model_s() -> None:
    strict = check_claim(SERVER, model(percentile=99.0), BOUND_QPS).qps
    true = 1000.0 * (1.0 + math.log(0.01) / TARGET_MS)
    assert 0.9 * true < strict < 1.01 * true


def test_where_no_rate_holds_there_is_none() -> None:
    """Alone, 5 % of the queries take longer than 3 ms."""
    held = check_claim(SERVER, model(sla_ms=2.9), 500.0)
    assert (held.qps, held.p95_ms, held.p99_ms) == (0.0, None, None)


def test_a_target_that_is_just_the_service_time_is_met_by_queries_alone() -> None:
    """Those that need not wait, 1 - rho of all in M/D/1, take 1 ms up to the rounding of the clock."""
    server = SimulatedServer((ho.Stage(1, [[0.0, 1.0]]),), None, lambda rng, n: np.ones(n), 0.1)
    held = check_claim(server, model(sla_ms=1.0), 100.0)
    assert 45.0 < held.qps < 50.5


@pytest.mark.parametrize("claim_qps", [1e-12, 1e-3, 1.0])
def test_a_rate_however_low_is_checked(claim_qps: float) -> None:
    """At 1e-12 QPS the clock of the simulation would be too coarse for latencies."""
    held = check_claim(SERVER, model(), claim_qps)
    assert (held.qps, held.rates) == (claim_qps, 1)
    assert held.p95_ms == pytest.approx(-math.log(0.05), rel=0.05)
    assert check_claim(SERVER, model(sla_ms=2.9), claim_qps).qps == 0.0


def test_an_endless_target_ends_below_saturation() -> None:
    """A rate is only claimed where the run is long enough for it."""
    held = check_claim(SERVER, model(sla_ms=1e6), 2000.0)
    most = 1.0 - math.sqrt(LEAST_SPANS / (540_000 * 0.05))
    assert held.qps == pytest.approx(1000.0 * most, rel=5e-3)


def test_the_same_seed_gives_the_same_answers_side_by_side() -> None:
    claims = [0.5 * BOUND_QPS, 1.1 * BOUND_QPS, 1.2 * BOUND_QPS]
    done: list[tuple[int, int]] = []
    together = check_claims(
        [SERVER] * 3, [model()] * 3, claims, seed=4, progress=lambda count, of: done.append((count, of))
    )
    assert together == [check_claim(SERVER, model(), claim, seed=4) for claim in claims]
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert check_claim(SERVER, model(), claims[1], seed=5) != together[1]
