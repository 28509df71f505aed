"""Repeated bisection: it finds what a server can do, says how sure it is, and does not go on for ever."""

from __future__ import annotations

import math

import pytest
from fake_server import FakeServer, small

from hercules_opt.measurement.largest_rate import (
    Effort,
    bisection,
    geometric_interval,
    largest_rate,
    rate_interval,
)

EFFORT = Effort(repeats=3, run_s=20.0, least_queries=400)


@pytest.mark.parametrize("begin", [7.0, 90.0, 110.0, 2000.0])
@pytest.mark.parametrize("step", [1.1, 1.5])
def test_a_bisection_ends_around_what_holds_wherever_it_begins(begin: float, step: float) -> None:
    tried = []
    found = bisection(lambda rate: tried.append(rate) or rate <= 100.0, begin, step)  # type: ignore[func-returns-value]
    if begin == 2000.0 and step == 1.1:
        assert found == 0.0  # four steps down are not enough from there
    else:
        assert found == pytest.approx(100.0, rel=0.06)
    assert len(tried) < 20


def test_a_bisection_stops_where_nothing_holds_or_everything() -> None:
    tried: list[float] = []
    assert bisection(lambda rate: tried.append(rate) is not None, 50.0, 1.5) == 0.0
    assert len(tried) == 5
    assert bisection(lambda rate: True, 50.0, 1.5) == 20_000.0


def test_the_largest_rate_of_a_queue_is_near_its_saturation() -> None:
    """Fixed service times of 1 ms and a target of 20 ms: almost all of 1000 queries per second."""
    server = FakeServer(item_ms=0.1)
    found = largest_rate(server, small(sla_ms=20.0), 400.0, effort=EFFORT)
    assert 850.0 < found.qps.value < 1050.0
    assert found.qps.lower < found.qps.value < found.qps.upper
    assert found.qps.upper / found.qps.lower > 1.05  # never surer than the bracket of a bisection
    assert len(found.bisections) == 3
    assert found.runs == len(server.traces)
    assert found.lateness_ms == 0.25
    assert 1.0 <= found.latency_ms[50.0].value <= found.latency_ms[99.0].value
    assert found.latency_ms[95.0].value <= 20.0


def test_no_two_runs_see_the_same_queries_unless_measured_again() -> None:
    server = FakeServer()
    largest_rate(server, small(), 400.0, effort=EFFORT)
    gaps = {float(trace.times_ms[0] / trace.times_ms[9]) for trace in server.traces}
    assert len(gaps) == len(server.traces)
    again = FakeServer()
    largest_rate(again, small(), 400.0, effort=EFFORT)
    assert [trace.times_ms[5] for trace in again.traces] == [trace.times_ms[5] for trace in server.traces]


def test_a_target_that_nothing_meets_has_the_rate_zero_and_says_so() -> None:
    found = largest_rate(FakeServer(), small(sla_ms=0.5), 400.0, effort=EFFORT)
    assert (found.qps.value, found.bisections, found.latency_ms) == (0.0, (0.0,), {})


def test_a_server_that_slows_down_meanwhile_has_a_wide_interval() -> None:
    steady = largest_rate(FakeServer(), small(), 900.0, effort=EFFORT)
    shaky = largest_rate(FakeServer(slower=(1.0,) * 5 + (1.5,)), small(), 900.0, effort=EFFORT)
    assert shaky.qps.relative_half_width > 2.0 * steady.qps.relative_half_width


def test_an_interval_of_one_value_has_no_ends() -> None:
    alone = geometric_interval([100.0])
    assert (alone.value, alone.lower, alone.upper) == (pytest.approx(100.0), 0.0, math.inf)
    both = geometric_interval([80.0, 125.0])
    assert both.value == pytest.approx(100.0)
    assert both.lower < 80.0 < 125.0 < both.upper


def test_low_rates_run_as_long_as_their_queries_take() -> None:
    effort = Effort(run_s=3.0, least_queries=200)
    assert (effort.queries(10.0, 100.0), effort.queries(1000.0, 100.0)) == (200, 3000)
    assert effort.queries(1000.0, 400.0) == 10_000  # and 25 times the target at least


def test_one_bisection_that_finds_nothing_is_left_out_and_most_are_not() -> None:
    assert rate_interval([100.0, 0.0, 100.0]).value == pytest.approx(100.0)
    missed = rate_interval([100.0, 0.0])
    assert (missed.value, missed.lower, missed.upper) == (0.0, 0.0, 100.0)


def test_a_machine_that_stalls_for_one_bisection_is_measured_by_the_others() -> None:
    server = FakeServer(slower=(1.0,) * 5 + (1000.0,) * 5 + (1.0,))
    found = largest_rate(server, small(sla_ms=20.0), 900.0, effort=EFFORT)
    assert found.bisections[1] == 0.0
    assert 850.0 < found.qps.value < 1050.0
