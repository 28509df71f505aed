"""Check before you claim: against the closed form of M/M/1, T ~ Exp(mu - lambda)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.problem.models import Model
from hercules_opt.scheduling.check import STEADY, check_claim, check_claims
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


def test_what_holds_is_rarely_too_much() -> None:
    """The rate found is above the true one in at most a few of 40 seeds, and close below it in the others."""
    found = np.array([check_claim(SERVER, model(), 1.2 * BOUND_QPS, seed=seed).qps for seed in range(40)])
    assert (found > BOUND_QPS).mean() <= 0.1
    assert np.median(found) > 0.96 * BOUND_QPS


def test_the_percentile_is_the_model_s() -> None:
    strict = check_claim(SERVER, model(percentile=99.0), BOUND_QPS).qps
    true = 1000.0 * (1.0 + math.log(0.01) / TARGET_MS)
    assert 0.9 * true < strict < 1.01 * true


def test_where_no_rate_holds_there_is_none() -> None:
    """Alone, 5 % of the queries take longer than 3 ms."""
    held = check_claim(SERVER, model(sla_ms=2.9), 500.0)
    assert (held.qps, held.p95_ms, held.p99_ms) == (0.0, None, None)


def test_an_endless_target_ends_below_saturation() -> None:
    """A rate is only claimed where the run is long enough for it."""
    held = check_claim(SERVER, model(sla_ms=1e6), 2000.0)
    most = 1.0 - math.sqrt(STEADY / 180_000)
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
