"""Put the answers for the intervals together into a plan, every figure computed exactly from the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hercules_opt.problem.provenance import KINDS, Kind
from hercules_opt.provisioning.plan import OPTIMAL_GAP, BoundSource, FloatArray, IntArray, Plan, Status
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.problem import ProvisioningProblem
from hercules_opt.provisioning.programs.exact import ExactProblem, as_array, exact, float_at_most, stated
from hercules_opt.provisioning.requirements import NO_REQUIREMENTS, Requirements


@dataclass(frozen=True)
class Terms:
    """What was asked for, and how the call went."""

    policy: str
    solver: str
    objective_name: str
    requested_gap: float
    time_limit_s: float | None
    runtime_s: float
    interrupted: bool
    requirements: Requirements = NO_REQUIREMENTS


@dataclass(frozen=True)
class _Judged:
    """One interval's figures."""

    status: Status
    values: list[Fraction]
    shortfall_qps: list[Fraction]
    bounds: list[Fraction | None]
    gap: Fraction | None
    bound_source: BoundSource


def assemble(
    problem: ProvisioningProblem, exact_problem: ExactProblem, answers: Sequence[IntervalAnswer], terms: Terms
) -> Plan:
    """Return the plan that the answers make."""
    judged = [_judged(exact_problem, t, answer, terms.requested_gap) for t, answer in enumerate(answers)]
    counts = np.stack([as_array(exact_problem.whole(t, answer.counts)) for t, answer in enumerate(answers)])
    bounds = [entry.bounds[0] for entry in judged if entry.bounds[0] is not None]
    gaps = [entry.gap for entry in judged if entry.gap is not None]
    covered = all(entry.status in ("optimal", "feasible") for entry in judged)
    complete = len(gaps) == len(judged)
    later = (len(judged), len(exact_problem.levels) - 1)
    mean = exact_problem.time_weighted_mean
    return Plan(
        server_types=problem.server_types,
        models=problem.models,
        status=worst_status([entry.status for entry in judged]),
        interval_status=tuple(entry.status for entry in judged),
        counts=counts,
        power_w=_powers(problem, counts, None),
        power_low_w=_powers(problem, counts, problem.idle_w),
        power_high_w=_powers(problem, counts, problem.peak_w),
        servers=counts.sum(axis=(1, 2)),
        shortfall=np.array([[float(short) for short in entry.shortfall_qps] for entry in judged]),
        objective=float(mean([entry.values[0] for entry in judged])) if covered else None,
        interval_objective=np.array([float(entry.values[0]) for entry in judged]),
        interval_bound=np.array([_or_nan(entry.bounds[0]) for entry in judged]),
        later_objective=np.array([list(map(float, entry.values[1:])) for entry in judged]).reshape(later),
        later_bound=np.array([list(map(_or_nan, entry.bounds[1:])) for entry in judged]).reshape(later),
        interval_gap=np.array([_or_nan(entry.gap) for entry in judged]),
        bound=float_at_most(mean(bounds)) if complete else None,
        gap=float(max(gaps)) if complete else None,
        bound_source=tuple(entry.bound_source for entry in judged),
        certificate=tuple(answer.certificate for answer in answers),
        policy=terms.policy,
        solver=terms.solver,
        objective_name=terms.objective_name,
        requested_gap=terms.requested_gap,
        time_limit_s=terms.time_limit_s,
        runtime_s=terms.runtime_s,
        stopped_by=_stopped_by(answers, terms.interrupted),
        provenance=_weakest_kind(problem, counts),
        requirements=terms.requirements,
        notes=tuple(dict.fromkeys(note for answer in answers for note in answer.notes)),
    )


def worst_status(statuses: Sequence[Status]) -> Status:
    """Return a plan's status from those of its intervals."""
    order: tuple[Status, ...] = ("infeasible", "unknown", "feasible", "optimal")
    return min(statuses, key=order.index)


def _judged(problem: ExactProblem, interval: int, answer: IntervalAnswer, requested_gap: float) -> _Judged:
    counts = problem.whole(interval, answer.counts)
    values = [level.value(counts) for level in problem.levels]
    shortfall = problem.shortfall(interval, counts)
    unbounded: list[Fraction | None] = [None] * len(values)
    if any(shortfall) or not problem.limits[interval].kept_by(answer.counts):
        source: BoundSource = "none"
        if answer.infeasible:
            source = "claimed" if answer.certificate is None else "certified"
        return _Judged(
            "infeasible" if answer.infeasible else "unknown", values, shortfall, unbounded, None, source
        )
    data = problem.intervals[interval]
    fixed = problem.fixed_cost(interval)
    bound, source = _best_bound(answer, fixed, data.cost(counts) * data.cost_unit, requested_gap)
    bounds = unbounded
    if bound is not None:
        bounds = [
            None if figure is None else exact(float_at_most(figure))
            for figure in problem.level_bounds(counts, bound)
        ]
    gap = largest_gap(values, bounds)
    status: Status = "optimal" if gap is not None and gap <= exact(OPTIMAL_GAP) else "feasible"
    return _Judged(status, values, shortfall, bounds, gap, source)


def _best_bound(
    answer: IntervalAnswer, fixed: Fraction, cost: Fraction, requested_gap: float
) -> tuple[Fraction | None, BoundSource]:
    """Return the certified bound if it is as good as asked for, else the best, with its source.

    Answers leave out what the fixed counts cost.
    """
    certified = None
    if answer.certificate is not None and answer.certificate.bound is not None:
        certified = fixed + exact(answer.certificate.bound)
    claimed = answer.claimed_bound
    if claimed is not None:  # it may overshoot by the solver's tolerance
        claimed = exact(stated(min(fixed + claimed, cost)))
    if certified is not None and (claimed is None or claimed <= certified):
        return certified, "certified"
    if certified is not None and _gap(cost, certified) <= exact(requested_gap):
        return certified, "certified"
    return claimed, "none" if claimed is None else "claimed"


def largest_gap(values: Sequence[Fraction], bounds: Sequence[Fraction | None]) -> Fraction | None:
    """Return the largest (value - bound) / value of several objectives; ``None`` if one has no bound."""
    gaps = [_gap(value, bound) for value, bound in zip(values, bounds, strict=True) if bound is not None]
    return max(gaps) if len(gaps) == len(values) else None


def _gap(value: Fraction, bound: Fraction) -> Fraction:
    return (value - bound) / value if value else Fraction(0)


def _powers(problem: ProvisioningProblem, counts: IntArray, where_unknown: FloatArray | None) -> FloatArray:
    """Return the power of each interval in W, exact up to the last rounding; NaN if it is unknown.

    ``where_unknown`` is the power of one server of each type that takes the place of an unknown one.
    """
    power_w = problem.power_w
    if where_unknown is not None:
        power_w = np.where(np.isnan(power_w), where_unknown[:, np.newaxis], power_w)
    powers: list[float] = []
    for taken in counts:
        pairs = [(power_w[h, m], int(taken[h, m])) for h, m in np.argwhere(taken != 0)]
        known = not any(np.isnan(power) for power, _ in pairs)
        total = sum((exact(power) * count for power, count in pairs), Fraction(0)) if known else None
        powers.append(_or_nan(total))
    return np.array(powers)


def _or_nan(value: Fraction | None) -> float:
    return float("nan") if value is None else float(value)


def _stopped_by(answers: Sequence[IntervalAnswer], interrupted: bool) -> str | None:
    if interrupted:
        return "interrupt"
    return next((answer.stopped_by for answer in answers if answer.stopped_by), None)


def _weakest_kind(problem: ProvisioningProblem, counts: IntArray) -> Kind | None:
    used = (counts > 0).any(axis=0)
    kinds = [problem.kinds[h][m] for h, m in np.argwhere(used)]
    return max(kinds, key=KINDS.index, default=None)
