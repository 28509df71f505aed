"""Put the answers for the intervals together into a plan, every figure computed exactly from the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hercules_opt.problem.provenance import KINDS, Kind
from hercules_opt.provisioning.exact import ExactProblem, as_array, exact, float_at_most
from hercules_opt.provisioning.plan import OPTIMAL_GAP, BoundSource, IntArray, Plan, Status
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.problem import ProvisioningProblem


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


@dataclass(frozen=True)
class _Judged:
    """One interval's figures."""

    status: Status
    power_w: Fraction
    shortfall_qps: list[Fraction]
    bound_w: Fraction | None
    gap: Fraction | None
    bound_source: BoundSource


def assemble(
    problem: ProvisioningProblem, exact_problem: ExactProblem, answers: Sequence[IntervalAnswer], terms: Terms
) -> Plan:
    """Return the plan that the answers make."""
    judged = [_judged(exact_problem, t, answer, terms.requested_gap) for t, answer in enumerate(answers)]
    counts = np.stack([as_array(answer.counts) for answer in answers])
    bounds = [entry.bound_w for entry in judged if entry.bound_w is not None]
    gaps = [entry.gap for entry in judged if entry.gap is not None]
    covered = all(entry.status in ("optimal", "feasible") for entry in judged)
    complete = len(gaps) == len(judged)
    mean = exact_problem.time_weighted_mean
    return Plan(
        server_types=problem.server_types,
        models=problem.models,
        status=worst_status([entry.status for entry in judged]),
        interval_status=tuple(entry.status for entry in judged),
        counts=counts,
        power_w=np.array([float(entry.power_w) for entry in judged]),
        servers=counts.sum(axis=(1, 2)),
        shortfall=np.array([[float(short) for short in entry.shortfall_qps] for entry in judged]),
        objective=float(mean([entry.power_w for entry in judged])) if covered else None,
        interval_bound=np.array([_or_nan(entry.bound_w) for entry in judged]),
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
        notes=tuple(dict.fromkeys(note for answer in answers for note in answer.notes)),
    )


def worst_status(statuses: Sequence[Status]) -> Status:
    """Return a plan's status from those of its intervals."""
    order: tuple[Status, ...] = ("infeasible", "unknown", "feasible", "optimal")
    return min(statuses, key=order.index)


def _judged(problem: ExactProblem, interval: int, answer: IntervalAnswer, requested_gap: float) -> _Judged:
    power_w = problem.power(answer.counts)
    shortfall = problem.shortfall(interval, answer.counts)
    if any(shortfall):
        source: BoundSource = "none"
        if answer.infeasible:
            source = "claimed" if answer.certificate is None else "certified"
        return _Judged(
            "infeasible" if answer.infeasible else "unknown", power_w, shortfall, None, None, source
        )
    bound_w, source = _best_bound(answer, power_w, requested_gap)
    if bound_w is None:
        return _Judged("feasible", power_w, shortfall, None, None, source)
    gap = _gap(power_w, bound_w)
    status: Status = "optimal" if gap <= exact(OPTIMAL_GAP) else "feasible"
    return _Judged(status, power_w, shortfall, bound_w, gap, source)


def _best_bound(
    answer: IntervalAnswer, power_w: Fraction, requested_gap: float
) -> tuple[Fraction | None, BoundSource]:
    """Return the certified bound if it is as good as asked for, else the best, with its source."""
    certified = None
    if answer.certificate is not None and answer.certificate.bound is not None:
        certified = exact(answer.certificate.bound)
    claimed = answer.claimed_bound_w
    if claimed is not None:
        claimed = exact(
            float_at_most(min(claimed, power_w))
        )  # the claim may overshoot by the solver's tolerance
    if certified is not None and (claimed is None or claimed <= certified):
        return certified, "certified"
    if certified is not None and _gap(power_w, certified) <= exact(requested_gap):
        return certified, "certified"
    return claimed, "none" if claimed is None else "claimed"


def _gap(power_w: Fraction, bound_w: Fraction) -> Fraction:
    return (power_w - bound_w) / power_w if power_w else Fraction(0)


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
