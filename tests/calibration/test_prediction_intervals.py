"""Prediction intervals: they hold the share that they state, for few groups and for many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hercules_opt.calibration.intervals import coverage, half_width

RNG = np.random.default_rng(5)


def test_few_groups_take_students_quantile() -> None:
    """By hand for four devices: t of 95 %, times the root mean square, times (1 + 1/4)^(1/2)."""
    errors = np.array([0.1, -0.1, 0.2, -0.2])
    expected = stats.t.ppf(0.95, 4) * np.sqrt(1.25) * np.sqrt(np.mean(errors**2))
    assert half_width(errors, list("abcd")) == pytest.approx(expected)


def test_many_groups_take_the_quantile_of_one_more() -> None:
    """Of 99 absolute errors 0.01 .. 0.99 the 90th: the (99 + 1) x 0.9-th in order."""
    errors = np.arange(1, 100) / 100.0
    assert half_width(errors, [str(number) for number in range(99)]) == pytest.approx(0.90)


def test_one_group_takes_its_worst_error() -> None:
    assert half_width(np.array([0.1, -0.3]), ["a", "a"]) == pytest.approx(0.3)


@pytest.mark.parametrize(("groups", "law"), [(8, stats.norm), (40, stats.norm), (40, stats.laplace)])
def test_intervals_hold_what_they_state(groups: int, law: stats.rv_continuous) -> None:
    """Errors of new groups are within the interval in 85 to 97 % of 2,000 trials."""
    held = 0
    for _ in range(2000):
        errors = law.rvs(size=groups + 1, random_state=RNG)
        width = half_width(errors[:-1], [str(number) for number in range(groups)])
        held += int(abs(errors[-1]) <= width)
    assert 0.85 <= held / 2000 <= 0.97


def test_coverage_counts_what_other_groups_intervals_hold() -> None:
    """Equal errors hold each other; an error ten times theirs is not held."""
    names = [str(number) for number in range(6)]
    assert coverage(np.full(6, 0.1), names) == 1.0
    assert coverage(np.append(np.full(5, 0.1), 1.0), names) == pytest.approx(5 / 6)
    assert coverage(np.array([0.1, 0.2]), ["a", "a"]) is None
