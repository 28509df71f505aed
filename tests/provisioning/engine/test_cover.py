"""The covering knapsack of one model, and the exact arithmetic below it."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt.provisioning.engine.cover import least_cover
from hercules_opt.provisioning.programs.exact import common_unit, exact, float_at_most

ITEM = st.tuples(st.integers(0, 12), st.integers(0, 15), st.integers(0, 2), st.integers(0, 3))


def _every_cover(items, need):
    ranges = [range(low, low + span + 1) for _, _, low, span in items]
    return [
        sum(cost * n for (_, cost, _, _), n in zip(items, counts, strict=True))
        for counts in product(*ranges)
        if sum(rate * n for (rate, _, _, _), n in zip(items, counts, strict=True)) >= need
    ]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(ITEM, min_size=1, max_size=4), st.integers(0, 90), st.sampled_from([2, 5, 10_000]))
def test_least_cover_matches_every_cover(items, need, node_limit):
    """With nodes to spare the cost is the least; with few the bound and the cover still hold."""
    rates, costs, low, span = (list(column) for column in zip(*items, strict=True))
    high = [bottom + more for bottom, more in zip(low, span, strict=True)]
    costs_of_all = _every_cover(items, need)
    cover = least_cover(rates, costs, need, low, high, node_limit)
    if not costs_of_all:
        assert cover is None
        return
    assert cover is not None
    assert cover.bound <= min(costs_of_all)
    if cover.counts is not None:
        assert cover.cost in costs_of_all
        assert all(a <= n <= b for a, n, b in zip(low, cover.counts, high, strict=True))
        assert sum(rate * n for rate, n in zip(rates, cover.counts, strict=True)) >= need
    if node_limit == 10_000:
        assert cover.cost == cover.bound == min(costs_of_all)


@settings(derandomize=True, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_is_the_shortest_decimal_text(figure):
    """The fraction names the float again, and its text is the float's."""
    assert float(exact(figure)) == figure
    assert exact(figure) == Fraction(repr(figure))


@settings(derandomize=True, deadline=None)
@given(st.fractions(min_value=-(10**9), max_value=10**9))
def test_float_at_most_never_exceeds(value):
    """The float's text is at most the value, and no worse than one part in 10^15."""
    figure = float_at_most(value)
    assert exact(figure) <= value
    assert value - exact(figure) <= abs(value) * Fraction(1, 10**15) + Fraction(1, 10**300)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.fractions(min_value=0, max_value=1000, max_denominator=1000), max_size=5))
def test_common_unit_divides_all_and_is_largest(values):
    """Every value is a whole multiple, and the multiples have no common divisor."""
    unit = common_unit(values)
    multiples = [value / unit for value in values]
    assert all(multiple.denominator == 1 for multiple in multiples)
    positive = [int(multiple) for multiple in multiples if multiple]
    assert math.gcd(*positive) == (1 if positive else 0)
