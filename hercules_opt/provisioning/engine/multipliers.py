"""The linear relaxation of an interval: prices to begin branch and price with, and fractional counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, sparse

from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval
from hercules_opt.provisioning.programs.interval_program import (
    IntervalProgram,
    interval_program,
    shortfall_program,
)
from hercules_opt.provisioning.programs.relaxation import Relaxation

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray


def lp_multipliers(interval: ExactInterval, box: Box) -> FloatArray:
    """Return the prices in the objective's unit, shape (h,); zeros if the linear program has no solution."""
    built = interval_program(interval, box)
    types = len(interval.available)
    return np.zeros(types) if built is None else _prices(built, types) * float(interval.cost_unit)


def shortfall_multipliers(interval: ExactInterval) -> FloatArray:
    """Return the prices in QPS where the total shortfall is minimized, shape (h,)."""
    return _prices(shortfall_program(interval), len(interval.available))


def lp_counts(interval: ExactInterval) -> FloatArray:
    """Return servers in fractions at least cost, shape (m, h); zeros if the program has no solution."""
    counts = np.zeros((len(interval.needs), len(interval.available)))
    built = interval_program(interval)
    solved = None if built is None else _solved(built)
    if built is not None and solved is not None:
        for (m, h), value in zip(built.pairs, solved[1].x, strict=True):
            counts[m, h] = value
    return counts


def _prices(built: IntervalProgram, types: int) -> FloatArray:
    """Return the prices of availability in units of the program's cost."""
    prices = np.zeros(types)
    solved = _solved(built)
    if solved is None:
        return prices
    relaxed, result = solved
    used = sorted({h for _, h in built.pairs})
    covers = int(np.isfinite(relaxed.row_low).sum())
    prices[used] = np.maximum(-result.ineqlin.marginals[covers:], 0.0) * float(relaxed.cost_scale)
    return prices


def _solved(built: IntervalProgram) -> tuple[Relaxation, Any] | None:
    """Solve the linear relaxation, rows of coverage first, then those of availability."""
    if not built.pairs:
        return None
    relaxed = Relaxation.of(built.program)
    covers = np.isfinite(relaxed.row_low)
    rows: Any = sparse.vstack([-relaxed.rows[covers], relaxed.rows[~covers]])  # the stubs leave sparse out
    result = optimize.linprog(
        relaxed.costs,
        A_ub=rows,
        b_ub=np.concatenate([-relaxed.row_low[covers], relaxed.row_high[~covers]]),
        bounds=list(zip(relaxed.low, relaxed.high, strict=True)),
        method="highs",
    )
    return (relaxed, result) if result.status == 0 else None
