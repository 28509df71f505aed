"""Least squares in log space, each group of measurements left out in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

#: Step of the difference quotients in the logarithm of a constant: wide, since predictions are searched for.
_STEP = 0.01
#: How far from its limits a search starts, in the logarithm.
_INSIDE = 1e-6
#: Log ratio that stands for a prediction of nothing.
_NOTHING = 20.0


@dataclass(frozen=True)
class Parameter:
    """A constant that is fitted: where the search starts, and what is allowed.

    From 0, which has no logarithm, it starts in the middle of what is allowed.
    """

    name: str
    start: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Attributes
    ----------
    constants
        By all measurements, in the order of the parameters.
    log_ratio
        Logarithm of predicted over measured, with these.
    left_out
        The same by the constants that were fitted without the measurement's group.
    left_out_constants
        Those constants, by group.
    """

    constants: Floats
    log_ratio: Floats
    left_out: Floats
    left_out_constants: dict[str, Floats]


def fit(
    predicted: Callable[[Floats, Rows], Floats],
    measured: Floats,
    groups: Sequence[str],
    parameters: Sequence[Parameter],
) -> Fit:
    """Fit positive constants so that the squares of log(predicted / measured) are least.

    Parameters
    ----------
    predicted
        Returns predictions of some rows for constants; 0 where the model says that nothing is possible.
    measured
        What was measured, above 0.
    groups
        Which measurements are left out together, for example those of one device. Where the other groups
        hold fewer measurements than there are constants, the constants stay where they start.
    """
    every = np.arange(len(measured))
    whole = _constants(predicted, measured, every, parameters)
    names = np.array(groups)
    left_out = np.empty(len(measured))
    without: dict[str, Floats] = {}
    for group in dict.fromkeys(groups):
        mine = np.flatnonzero(names == group)
        without[group] = _constants(predicted, measured, np.flatnonzero(names != group), parameters)
        left_out[mine] = _log_ratio(predicted, measured, mine, without[group])
    return Fit(whole, _log_ratio(predicted, measured, every, whole), left_out, without)


def _constants(
    predicted: Callable[[Floats, Rows], Floats],
    measured: Floats,
    rows: Rows,
    parameters: Sequence[Parameter],
) -> Floats:
    start = np.array([parameter.start for parameter in parameters])
    if len(rows) < len(parameters):
        return start
    low, high = (np.log([getattr(each, end) for each in parameters]) for end in ("low", "high"))

    def residuals(logs: Floats) -> Floats:
        return _log_ratio(predicted, measured, rows, np.exp(logs))

    def slopes(logs: Floats) -> Floats:
        columns = []
        for number in range(len(logs)):
            ahead, behind = logs.copy(), logs.copy()
            ahead[number] = min(logs[number] + _STEP, high[number])
            behind[number] = max(logs[number] - _STEP, low[number])
            columns.append((residuals(ahead) - residuals(behind)) / (ahead[number] - behind[number]))
        return np.stack(columns, axis=1)

    begin = np.log(np.where(start > 0.0, start, np.exp((low + high) / 2.0)))
    inside = np.clip(begin, low + _INSIDE, high - _INSIDE)
    found = least_squares(residuals, inside, slopes, bounds=(low, high), x_scale=0.1)
    return np.asarray(np.exp(found.x), dtype=np.float64)


def _log_ratio(
    predicted: Callable[[Floats, Rows], Floats], measured: Floats, rows: Rows, constants: Floats
) -> Floats:
    found = predicted(constants, rows)
    ratio = np.log(np.maximum(found, 1e-300) / measured[rows])
    return np.asarray(np.clip(ratio, -_NOTHING, _NOTHING), dtype=np.float64)
