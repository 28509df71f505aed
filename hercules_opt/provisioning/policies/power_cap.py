"""A cap on an interval's provisioned power, where power is minimized first.

The least power does not depend on a cap that it keeps to; where it does not, nothing covers within the cap,
and servers are left out.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.programs.exact import ExactInterval, ExactProblem, Rows, exact
from hercules_opt.provisioning.programs.interval_program import shortfall_program
from hercules_opt.provisioning.programs.program import Program, Row
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_GAP = 1e-9


def within_cap(
    problem: ExactProblem, interval: int, answer: IntervalAnswer, effort: Effort
) -> IntervalAnswer:
    """Return an answer whose power keeps to the interval's cap, and which says whether one could cover."""
    cap_w = problem.caps[interval]
    if cap_w is None:
        return answer
    room_w = cap_w - problem.levels[0].value(problem.fixed[interval])
    if room_w < 0:  # the fixed counts alone draw more: nothing else is added, and nothing can keep to the cap
        nothing = tuple((0,) * len(row) for row in answer.counts)
        return replace(answer, counts=nothing, claimed_bound=None, infeasible=True)
    if problem.levels[0].value(answer.counts) <= room_w:
        return answer
    data = problem.intervals[interval]
    certificate = None if answer.infeasible else answer.certificate
    certified = certificate is not None and certificate.bound is not None
    stated = [exact(certificate.bound)] if certified else []  # type: ignore[union-attr, arg-type]
    claims = [] if answer.claimed_bound is None else [answer.claimed_bound]
    proven, claimed = (
        any((problem.level_bounds(answer.counts, bound)[0] or 0) > room_w for bound in bounds)
        for bounds in (stated, claims)
    )
    counts = _trimmed(problem, answer.counts, room_w)
    if proven or claimed:
        counts = _least_short(problem, data, room_w, effort) or counts
    return replace(
        answer,
        counts=counts,
        claimed_bound=None,
        certificate=answer.certificate if proven or answer.infeasible else None,
        infeasible=answer.infeasible or proven or claimed,
    )


def _trimmed(problem: ExactProblem, counts: Rows, room_w: Fraction) -> Rows:
    """Leave out servers, those of the last models first and of them the dearest, until the cap is kept."""
    powers = problem.levels[0].figures
    rows = [list(row) for row in counts]
    over = problem.levels[0].value(counts) - room_w
    for m in reversed(range(len(rows))):
        for h in sorted(range(len(rows[m])), key=lambda h: -powers[m][h]):
            if over <= 0 or not powers[m][h]:
                continue
            dropped = min(rows[m][h], -(-over // powers[m][h]))
            rows[m][h] -= dropped
            over -= dropped * powers[m][h]
    return tuple(map(tuple, rows))


def _least_short(
    problem: ExactProblem, interval: ExactInterval, room_w: Fraction, effort: Effort
) -> Rows | None:
    """Return the solver's counts of the least total shortfall within the cap, if they keep to it exactly."""
    built = shortfall_program(interval)
    if not built.pairs or effort.expired:
        return None
    powers = problem.levels[0].figures
    drawn = tuple((place, powers[m][h]) for place, (m, h) in enumerate(built.pairs))
    program = Program(built.program.columns, (*built.program.rows, Row("power cap", drawn, high=room_w)))
    answer = SciPyHighs().solve(program, _GAP, effort.remaining_s)
    if answer.values is None:
        return None
    counts = built.counts(answer.values)
    fits = interval.fits(counts) and problem.levels[0].value(counts) <= room_w
    return counts if fits else None
