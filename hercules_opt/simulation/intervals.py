"""Confidence intervals for means and percentiles of latencies, which are not independent of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hercules_opt.errors import InputError
from hercules_opt.simulation.stages import FloatArray, as_floats, check_percentile

#: Batches of consecutive observations. Few and long, so that their means hardly depend on each other.
BATCHES = 10
#: Batch means correlated more strongly than this are corrected as if by this much.
LARGEST_CORRELATION = 0.9
#: Latencies are differences of clock times, so that equal ones differ by the rounding of the clock, which
#: grows along a run: up to this relative difference they count as equal.
TIE = 1e-6


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; an end that the data cannot bound is infinite."""

    value: float
    lower: float
    upper: float

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width over the value."""
        return (self.upper - self.lower) / (2 * self.value) if self.value else math.inf


def mean_interval(values: NDArray[np.floating], confidence: float = 0.95) -> Interval:
    """Return the mean of a stationary series, in order of observation, with its interval by batch means."""
    series = _checked(values, confidence)
    mean = float(series.mean())
    half = half_width(batch_means(series), confidence)
    return Interval(mean, mean - half, mean + half)


def percentile_interval(
    values: NDArray[np.floating], percentile: float, confidence: float = 0.95
) -> Interval:
    """Return a percentile of a stationary series, in the order of observation, with its interval.

    The share of observations at or below the estimate is a mean of zeros and ones; its half width h by
    batch means (at least that of independent observations) is turned into order statistics: the ends are
    the observations of rank (p - h) n and (p + h) n. Unlike batch means of the percentile itself this
    needs no batch to hold its own tail.

    Raises
    ------
    InputError
        For a percentile below 1 or not below 100, no values, or values that are not finite.
    """
    check_percentile(percentile)
    series = _checked(values, confidence)
    share, count = percentile / 100, series.size
    rank = _rank(share, count)
    value = float(np.partition(series, rank)[rank])
    at_or_below = series <= value + TIE * abs(value)
    half = half_width(batch_means(at_or_below.astype(np.float64)), confidence)
    independent = math.sqrt(share * (1 - share) / count) * t_quantile(BATCHES - 1, confidence)
    half = min(max(half, independent), 1.0)
    low, high = math.floor((share - half) * count) - 1, math.ceil((share + half) * count)
    ends = np.partition(series, [max(low, 0), min(high, count - 1)])
    lower = float(ends[low]) if low >= 0 else -math.inf
    upper = float(ends[high]) if high < count else math.inf
    return Interval(value, lower, upper)


def batch_means(series: FloatArray) -> FloatArray:
    """Return the means of ``BATCHES`` equal parts, shape (BATCHES,); the oldest remainder is left out."""
    length = series.size // BATCHES
    if length < 2:
        return np.full(BATCHES, np.nan)
    means: FloatArray = series[series.size - BATCHES * length :].reshape(BATCHES, length).mean(axis=1)
    return means


def half_width(means: FloatArray, confidence: float) -> float:
    """Return the half width of the interval of the grand mean; infinite when there were too few
    observations.

    Student's t with the variance of the batch means, times (1 + r) / (1 - r) for their first
    autocorrelation r where it is positive, as the Skart procedure does (Tafazzoli, Wilson, Lada, Steiger
    2011); 1 / BATCHES is added to r for its bias in short series.
    """
    variance = float(means.var(ddof=1))
    if math.isnan(variance):
        return math.inf
    if variance == 0:
        return 0.0
    centred = means - means.mean()
    correlation = float(centred[1:] @ centred[:-1] / (centred @ centred)) + 1 / means.size
    correlation = min(max(correlation, 0.0), LARGEST_CORRELATION)
    variance *= (1 + correlation) / (1 - correlation)
    return t_quantile(means.size - 1, confidence) * math.sqrt(variance / means.size)


def t_quantile(degrees: int, confidence: float) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def _rank(share: float, count: int) -> int:
    """Return the index of the smallest value that at least ``share`` of the values do not exceed."""
    return min(max(math.ceil(share * count - 1e-9) - 1, 0), count - 1)


def _checked(values: NDArray[np.floating], confidence: float) -> FloatArray:
    if not 0 < confidence < 1:
        raise InputError("must lie between 0 and 1", where="confidence", found=confidence)
    series = as_floats(values, "values", "interval")
    if series.ndim != 1 or series.size == 0 or not np.isfinite(series).all():
        raise InputError("must be a list of finite numbers, not empty", where="values")
    return series
