"""Counts for an interval that nothing covers: the least total shortfall in QPS."""

from __future__ import annotations

from hercules_opt.provisioning.programs.exact import ExactInterval, Rows
from hercules_opt.provisioning.programs.interval_program import shortfall_program
from hercules_opt.provisioning.solvers.base import Solver
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_GAP = 1e-9
_DEFAULT = SciPyHighs()


def least_shortfall(
    interval: ExactInterval, time_limit_s: float | None, solver: Solver = _DEFAULT
) -> Rows | None:
    """Return counts of the least total shortfall, to the solver's tolerance, or ``None``."""
    built = shortfall_program(interval)
    if not built.pairs:
        return None
    answer = solver.solve(built.program, _GAP, time_limit_s)
    if answer.values is None:
        return None
    counts = built.counts(answer.values)
    return counts if interval.fits(counts) else None
