"""The fit: known constants come back, and what is left out is predicted without its group."""

from __future__ import annotations

import numpy as np
import pytest

from hercules_opt.calibration.least_squares import Floats, Parameter, Rows, fit

WORK = np.array([1.0, 2.0, 5.0, 1.0, 7.0, 3.0])
BYTES = np.array([3.0, 1.0, 1.0, 8.0, 2.0, 0.5])
PARAMETERS = [Parameter("speed", 1.0, 1e-3, 100.0), Parameter("bandwidth", 1.0, 1e-3, 100.0)]


def roofline(constants: Floats, rows: Rows) -> Floats:
    return np.asarray(1.0 / np.hypot(WORK[rows] / constants[0], BYTES[rows] / constants[1]))


def test_known_constants_come_back() -> None:
    """Exact measurements of a known model: the constants to 1e-4, errors of nothing."""
    measured = roofline(np.array([3.0, 0.4]), np.arange(6))
    found = fit(roofline, measured, list("abcdef"), PARAMETERS)
    assert found.constants == pytest.approx([3.0, 0.4], rel=1e-4)
    assert np.abs(found.log_ratio).max() < 1e-4
    assert np.abs(found.left_out).max() < 1e-4


def test_a_group_is_predicted_without_it() -> None:
    """One device is three times as fast as the others say: its left-out error is log(1/3), theirs is not."""
    measured = roofline(np.array([3.0, 0.4]), np.arange(6))
    measured[4:] *= 3.0
    found = fit(roofline, measured, ["a", "a", "b", "b", "fast", "fast"], PARAMETERS)
    assert found.left_out[4:] == pytest.approx(-np.log(3.0), abs=1e-3)
    assert found.left_out_constants["fast"] == pytest.approx([3.0, 0.4], rel=1e-3)
    assert np.abs(found.log_ratio[4:]).max() < np.log(3.0) - 0.1


def test_constants_stay_where_they_start_without_enough_measurements() -> None:
    """One group only: nothing is left to fit to, so it is predicted by the constants from before."""
    measured = roofline(np.array([3.0, 0.4]), np.arange(6))
    found = fit(roofline, measured, ["only"] * 6, PARAMETERS)
    assert found.left_out_constants["only"] == pytest.approx([1.0, 1.0])
    expected = roofline(np.array([1.0, 1.0]), np.arange(6)) / measured
    assert np.exp(found.left_out) == pytest.approx(expected)
    assert found.constants == pytest.approx([3.0, 0.4], rel=1e-4)


def test_a_constant_that_starts_at_nothing_is_found() -> None:
    """0 has no logarithm: the search begins in the middle, and without measurements it stays 0."""
    measured = roofline(np.array([3.0, 0.4]), np.arange(6))
    parameters = [Parameter("speed", 0.0, 1e-3, 100.0), PARAMETERS[1]]
    found = fit(roofline, measured, list("abcdef"), parameters)
    assert found.constants == pytest.approx([3.0, 0.4], rel=1e-4)
    with np.errstate(divide="ignore"):
        alone = fit(roofline, measured, ["only"] * 6, parameters)
    assert alone.left_out_constants["only"][0] == 0.0


def test_limits_are_kept() -> None:
    """A constant that the data would push beyond its limit ends there."""
    measured = roofline(np.array([3.0, 0.4]), np.arange(6))
    tight = [Parameter("speed", 1.0, 1e-3, 2.0), Parameter("bandwidth", 1.0, 1e-3, 100.0)]
    assert fit(roofline, measured, list("abcdef"), tight).constants[0] == pytest.approx(2.0, rel=1e-2)


def test_a_model_that_predicts_nothing_is_far_off() -> None:
    """A prediction of 0 is an error that is finite, and large."""
    found = fit(lambda constants, rows: np.zeros(len(rows)), np.ones(2), ["a", "b"], PARAMETERS[:1])
    assert (found.log_ratio == -20.0).all()
