"""Answers within the limits of an interval: minimum servers, and a cap on power.

Policies do not know limits. An answer that keeps to them all the same is no worse for them, and its proof
stays true. Where it does not, hercules solves the program with a row for each limit, one objective after the
other; the answer is checked exactly, and the bound is named a claim. Other policies add the cheapest servers
that are missing and leave out what draws too much, and may then fall short.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import least_power
from hercules_opt.provisioning.engine.shortfall import least_shortfall_within
from hercules_opt.provisioning.policies.base import IntervalAnswer, Policy
from hercules_opt.provisioning.policies.hercules import Hercules
from hercules_opt.provisioning.policies.whole_program import WholeProgram
from hercules_opt.provisioning.programs.exact import (
    ExactInterval,
    ExactLevel,
    ExactProblem,
    Figures,
    Rows,
    common_unit,
    exact,
)
from hercules_opt.provisioning.programs.limits import Limits, Total
from hercules_opt.provisioning.solvers import SOLVERS
from hercules_opt.provisioning.solvers.falling_over import first_that_works


def within_limits(
    problem: ExactProblem, interval: int, answer: IntervalAnswer, policy: Policy, effort: Effort
) -> IntervalAnswer:
    """Return an answer that keeps to the interval's limits, and says whether one could cover within them."""
    limits, data = problem.limits[interval], problem.intervals[interval]
    if limits.kept_by(answer.counts):
        return answer
    if limits.cap is not None and limits.cap.most < 0:
        # The fixed counts alone draw more: nothing else is added, and nothing can keep to the cap.
        nothing = tuple((0,) * len(row) for row in answer.counts)
        certificate = answer.certificate if answer.infeasible or _only_power(problem) else None
        return IntervalAnswer(nothing, certificate=certificate, infeasible=True, notes=answer.notes)
    close = _trimmed(limits, _filled(data, limits, answer.counts))
    if not isinstance(policy, Hercules | WholeProgram):
        return replace(answer, counts=close)
    if answer.infeasible:
        return replace(answer, counts=least_shortfall_within(data, limits, effort) or close)
    known = [close] if data.solved_by(close) and limits.kept_by(close) else []
    if isinstance(policy, Hercules) and limits.cap is not None and not known:
        certificate = _least_drawn(problem, data, limits.cap, answer, effort)
        least_w = None if certificate is None else certificate.bound
        if least_w is not None and exact(least_w) > limits.cap.most:
            counts = least_shortfall_within(data, limits, effort) or close
            return IntervalAnswer(counts, certificate=certificate, infeasible=True)
    names = (policy.solver,) if isinstance(policy, WholeProgram) else tuple(SOLVERS)
    found = _solved(problem, data, limits, known, names, effort)
    if found.infeasible:
        return replace(found, counts=least_shortfall_within(data, limits, effort) or close)
    if not found.counts:
        return replace(found, counts=known[0] if known else close)
    return replace(found, certificate=answer.certificate)


def _only_power(problem: ExactProblem) -> bool:
    return [level.name for level in problem.levels] == ["power"]


def _least_drawn(
    problem: ExactProblem, interval: ExactInterval, cap: Total, answer: IntervalAnswer, effort: Effort
) -> Certificate | None:
    """Return a proof of the least power that covers."""
    if _only_power(problem):
        return answer.certificate
    unit = common_unit(figure for row in cap.figures for figure in row)
    best = answer.counts if interval.solved_by(answer.counts) else None
    proof = least_power(_priced(interval, cap.figures, unit), best, effort)
    return proof.certificate


def _priced(interval: ExactInterval, figures: Figures, unit: Fraction) -> ExactInterval:
    """Return the interval with other costs."""
    costs = tuple(tuple(int(figure / unit) for figure in row) for row in figures)
    return replace(interval, costs=costs, cost_unit=unit)


def _solved(
    problem: ExactProblem,
    interval: ExactInterval,
    limits: Limits,
    known: list[Rows],
    names: tuple[str, ...],
    effort: Effort,
) -> IntervalAnswer:
    """Minimize the objectives one after the other by whole programs; no counts where none are found."""
    claimed = Fraction(0)
    counts: Rows = known[0] if known else ()
    notes: dict[str, None] = {}
    stopped_by = None
    for level in problem.levels:
        found, told = first_that_works(
            _priced(interval, level.figures, level.unit), effort, names, counts or None, limits
        )
        notes |= dict.fromkeys(told)
        if found.infeasible:
            return IntervalAnswer((), infeasible=True, notes=tuple(notes))
        stopped_by = stopped_by or found.stopped_by
        if found.counts is None:
            break
        counts = found.counts
        claimed += level.weight * (found.bound or 0)
        if found.bound is None or found.bound * level.unit < level.value(counts):
            break
        limits = replace(limits, earlier=(*limits.earlier, _reached(level, counts)))
    bound = claimed * interval.cost_unit if claimed else None
    return IntervalAnswer(counts, bound, stopped_by=stopped_by, notes=tuple(notes))


def _reached(level: ExactLevel, counts: Rows) -> Total:
    return Total(level.name, level.figures, level.value(counts))


def _filled(interval: ExactInterval, limits: Limits, counts: Rows) -> Rows:
    """Add the cheapest servers that are left to models that must have more."""
    rows = [list(row) for row in counts]
    left = [
        most - sum(column) for most, column in zip(interval.available, zip(*rows, strict=True), strict=True)
    ]
    for m, missing in enumerate(limits.missing_servers(counts)):
        for h in sorted(range(len(left)), key=lambda h: interval.costs[m][h]):
            taken = min(missing, left[h]) if interval.rates[m][h] else 0
            rows[m][h] += taken
            left[h] -= taken
            missing -= taken
    return tuple(map(tuple, rows))


def _trimmed(limits: Limits, counts: Rows) -> Rows:
    """Leave out servers, those of the last models first and of them the dearest, until the cap is kept."""
    if limits.cap is None:
        return counts
    powers = limits.cap.figures
    rows = [list(row) for row in counts]
    over = limits.cap.value(counts) - limits.cap.most
    for m in reversed(range(len(rows))):
        for h in sorted(range(len(rows[m])), key=lambda h: -powers[m][h]):
            if over <= 0 or not powers[m][h]:
                continue
            dropped = min(rows[m][h], -(-over // powers[m][h]))
            rows[m][h] -= dropped
            over -= dropped * powers[m][h]
    return tuple(map(tuple, rows))
