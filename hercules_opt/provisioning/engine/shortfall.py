"""Counts for an interval that nothing covers: the least total shortfall in QPS."""

from __future__ import annotations

from dataclasses import replace

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows
from hercules_opt.provisioning.programs.interval_program import shortfall_program
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.solvers.base import Solver
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_GAP = 1e-9
_DEFAULT = SciPyHighs()


def least_shortfall(
    interval: ExactInterval,
    time_limit_s: float | None,
    solver: Solver = _DEFAULT,
    limits: Limits | None = None,
) -> Rows | None:
    """Return counts of the least total shortfall, to the solver's tolerance, or ``None``."""
    built = shortfall_program(interval, limits=limits)
    if not built.pairs:
        return None
    answer = solver.solve(built.program, _GAP, time_limit_s)
    if answer.values is None:
        return None
    counts = built.counts(answer.values)
    return counts if interval.fits(counts) and (limits is None or limits.kept_by(counts)) else None


def least_shortfall_within(interval: ExactInterval, limits: Limits, effort: Effort) -> Rows | None:
    """Return counts of the least total shortfall that keep to limits, ``None`` if none are found.

    Where no counts keep to the minimum servers, these are not asked for.
    """
    for asked in (limits, replace(limits, fewest=(0,) * len(limits.fewest))):
        counts = None if effort.expired else least_shortfall(interval, effort.remaining_s, limits=asked)
        if counts is not None:
            return counts
    return None
