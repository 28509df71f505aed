"""Prices of availability from the linear relaxation, a first guess for branch and price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, sparse

from hercules_opt.provisioning.box import Box
from hercules_opt.provisioning.exact import ExactInterval
from hercules_opt.provisioning.interval_program import (
    IntervalProgram,
    interval_program,
    shortfall_program,
)
from hercules_opt.provisioning.relaxation import Relaxation

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray


def lp_multipliers(interval: ExactInterval, box: Box) -> FloatArray:
    """Return the prices in W, shape (h,); zeros if the linear program has no solution."""
    built = interval_program(interval, box)
    types = len(interval.available)
    return np.zeros(types) if built is None else _prices(built, types) * float(interval.cost_unit)


def shortfall_multipliers(interval: ExactInterval) -> FloatArray:
    """Return the prices in QPS where the total shortfall is minimized, shape (h,)."""
    return _prices(shortfall_program(interval), len(interval.available))


def _prices(built: IntervalProgram, types: int) -> FloatArray:
    """Return the prices of availability in units of the program's cost."""
    prices = np.zeros(types)
    if not built.pairs:
        return prices
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
    if result.status != 0:
        return prices
    used = sorted({h for _, h in built.pairs})
    marginals = np.maximum(-result.ineqlin.marginals[int(covers.sum()) :], 0.0)
    prices[used] = marginals * float(relaxed.cost_scale)
    return prices
