"""Intervals for means and percentiles of dependent observations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hercules_opt.errors import InputError
from hercules_opt.simulation.intervals import (
    BATCHES,
    batch_means,
    half_width,
    mean_interval,
    percentile_interval,
)


def autoregressive(rng: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """A stationary Gaussian series with variance 1."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(count) * math.sqrt(1 - correlation**2)
    noise[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -correlation], noise)


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_intervals_hold_the_truth_of_a_correlated_series(correlation: float) -> None:
    """200 series with known mean 0 and 95th percentile 1.645: at least 90 % for both."""
    rng = np.random.default_rng(11)
    held = np.zeros(2)
    for _ in range(200):
        series = autoregressive(rng, 20_000, correlation)
        mean, tail = mean_interval(series), percentile_interval(series, 95.0)
        held += [mean.lower <= 0 <= mean.upper, tail.lower <= 1.6449 <= tail.upper]
    assert (held / 200 >= 0.9).all()


def test_width_follows_the_level_and_the_length() -> None:
    """More confidence is wider, four times the data about half as wide."""
    series = autoregressive(np.random.default_rng(2), 400_000, 0.5)
    assert mean_interval(series, 0.99).relative_half_width != mean_interval(series, 0.9).relative_half_width
    widths = [np.diff([i.lower, i.upper])[0] for i in (mean_interval(series, c) for c in (0.8, 0.95, 0.99))]
    assert widths == sorted(widths)
    short = [percentile_interval(part, 90.0) for part in series.reshape(16, -1)]
    whole = percentile_interval(series, 90.0)
    ratio = np.mean([i.upper - i.lower for i in short]) / (whole.upper - whole.lower)
    assert 2 < ratio < 8


def test_percentile_is_the_smallest_value_reached_by_the_share() -> None:
    """Of 1 .. 100, the 95th percentile is 95 and the 99.5th is 100."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert percentile_interval(values, 95.0).value == 95.0
    assert percentile_interval(values, 99.5).value == 100.0
    assert percentile_interval(values, 1.0).value == 1.0


def test_independent_observations_give_about_the_binomial_interval() -> None:
    """Order statistics near ranks n p -+ t sqrt(n p (1 - p)), averaged over series."""
    rng = np.random.default_rng(4)
    ranks = []
    for _ in range(100):
        interval = percentile_interval(rng.permutation(np.arange(10_000.0)), 90.0)
        ranks.append((interval.lower, interval.upper))
    half = 2.26 * math.sqrt(10_000 * 0.9 * 0.1)
    low, high = np.mean(ranks, axis=0)
    assert 0.9 * half < 9_000 - low < 1.6 * half
    assert 0.9 * half < high - 9_000 < 1.6 * half


def test_what_the_data_cannot_bound_is_infinite() -> None:
    """Too few values bound nothing; a tail beyond the data has no upper end."""
    few = mean_interval(np.array([3.0]))
    assert (few.value, few.lower, few.upper) == (3.0, -math.inf, math.inf)
    tail = percentile_interval(np.arange(5.0), 50.0)
    assert (tail.value, tail.lower, tail.upper) == (2.0, -math.inf, math.inf)
    assert percentile_interval(np.random.default_rng(0).random(200), 99.9).upper == math.inf
    assert mean_interval(np.zeros(100)).relative_half_width == math.inf


def test_constant_series_has_no_width() -> None:
    """Equal latencies give a point, for the mean and the percentile."""
    for interval in (mean_interval(np.full(1000, 2.0)), percentile_interval(np.full(10_000, 2.0), 95.0)):
        assert (interval.value, interval.lower, interval.upper) == (2.0, 2.0, 2.0)


def test_rounding_of_the_clock_does_not_widen_the_interval() -> None:
    """Two values, but for a rounding that sets in halfway, as that of the clock grows along a run."""
    rng = np.random.default_rng(5)
    values = np.where(rng.random(20_000) < 0.6, 1.0, 9.0)
    rounded = values + np.where(np.arange(20_000) < 10_000, 0.0, rng.choice([-1e-9, 1e-9], 20_000))
    exact, found = (percentile_interval(series, 95.0) for series in (values, rounded))
    assert (exact.lower, exact.upper) == (9.0, 9.0)
    assert (found.lower, found.upper) == pytest.approx((9.0, 9.0))


def test_batches_are_equal_parts_of_the_end() -> None:
    """The remainder at the beginning is left out."""
    series = np.arange(BATCHES * 3 + 2.0)
    assert batch_means(series).tolist() == [3.0 * (b + 1) for b in range(BATCHES)]


def test_correlated_batches_widen_the_interval() -> None:
    """The same batch means in a smooth order say less than in an alternating one."""
    means = np.arange(10.0)
    alternating = means[[0, 9, 1, 8, 2, 7, 3, 6, 4, 5]]
    assert half_width(means, 0.95) > 2 * half_width(alternating, 0.95)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [[1.0]], "abc"])
def test_bad_values(values: object) -> None:
    with pytest.raises(InputError, match="values"):
        mean_interval(values)  # type: ignore[arg-type]


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan])
def test_bad_confidence(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        mean_interval(np.ones(100), confidence)
