"""What if: the same day with other loads, servers or rates, and what one more server is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.answers.explain import Explanation, explain
from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.checking.check_certificate import (
    CertificateError,
    IntervalData,
    proven_bound_w,
)
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.multipliers import lp_multipliers
from hercules_opt.provisioning.plan import Plan
from hercules_opt.provisioning.problem import MAX_AVAILABLE, FloatArray, ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, ExactProblem, as_rows, exact, exact_data
from hercules_opt.provisioning.provision import provision
from hercules_opt.provisioning.requirements import Requirements

#: Largest factor on a load.
MAX_FACTOR = 1e6

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ServerValue:
    """What one more server of a type would save over the day.

    Parameters
    ----------
    server_type
        The type.
    saving_w
        Mean provisioned power with the servers there are, minus that with one more; both solved.
    error_w
        How far that may be off, since both are known within their gaps only; 0 where both are exact.
    estimate_w
        The price of availability in the linear relaxation, averaged over the day: an estimate, since servers
        are whole.
    """

    server_type: str
    saving_w: float
    error_w: float
    estimate_w: float


@dataclass(frozen=True)
class WhatIf:
    """A day before and after a change.

    Parameters
    ----------
    problems
        The problem before, and after.
    plans
        Their plans; the same one twice where nothing changes.
    explanation
        Why the changed day cannot be covered, ``None`` if it can.
    values
        What one more server of each type is worth after the change; ``None`` if it was not asked for, or a
        plan does not cover the day. Types that time did not allow, or of which there can be no more, are
        absent.
    """

    problems: tuple[ProvisioningProblem, ProvisioningProblem]
    plans: tuple[Plan, Plan]
    explanation: Explanation | None
    values: tuple[ServerValue, ...] | None


def what_if(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | None = None,
    *,
    load: float | Mapping[str, float] = 1.0,
    servers: Mapping[str, int] | None = None,
    over_provision: float | Mapping[str, float] | None = None,
    requirements: Requirements | None = None,
    values: bool = True,
    gap: float = 1e-6,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
) -> WhatIf:
    """Solve a day as it is and with changes, at the least power.

    Parameters
    ----------
    load
        Factor on all loads, or on those of some models by name.
    servers
        Servers more (or fewer, below 0) by type.
    over_provision
        Over-provision rate of all models, or of some by name.
    requirements
        As for ``provision``; before the change, after it, and with one more server.
    values
        Whether to solve the changed day once more for each type with one more server of it.
    gap, time_limit_s
        As for ``provision``; the limit is for each of: the plans, the explanation, the values.
    progress
        Called with a label, the number of steps done and of all, after each.

    Raises
    ------
    InputError
        On bad input; for instance if more servers are taken away than there are.
    KeyboardInterrupt
        On Ctrl-C: half an answer says nothing.
    """
    before = as_problem(problem, table)
    after = changed(before, load=load, servers=servers, over_provision=over_provision)

    def solve(data: ProvisioningProblem, label: str) -> Plan:
        told = _labelled(progress, label)
        plan = provision(data, gap=gap, time_limit_s=time_limit_s, requirements=requirements, progress=told)
        if plan.stopped_by == "interrupt":
            raise KeyboardInterrupt
        return plan

    plan = solve(before, "as it is")
    changed_plan = plan if after is before else solve(after, "changed")
    explanation = None
    if not changed_plan.covered.all():
        limit_s = 60.0 if time_limit_s is None else time_limit_s
        explanation = explain(
            after, changed_plan, time_limit_s=limit_s, progress=_labelled(progress, "explanation")
        )
    worth = None
    if values and changed_plan.covered.all():
        worth = server_values(
            after, changed_plan, Effort.within(gap, time_limit_s), _labelled(progress, "one more server")
        )
    return WhatIf((before, after), (plan, changed_plan), explanation, worth)


def changed(
    problem: ProvisioningProblem,
    *,
    load: float | Mapping[str, float] = 1.0,
    servers: Mapping[str, int] | None = None,
    over_provision: float | Mapping[str, float] | None = None,
) -> ProvisioningProblem:
    """Return the problem with changes as ``what_if`` takes them; itself where nothing changes."""
    changes: dict[str, Any] = {}
    factors = _by_model("load", load, problem.models, MAX_FACTOR)
    if any(factor != 1 for factor in factors.values()):
        changes["load_qps"] = _scaled(problem, factors)
    more = _more_servers(servers or {}, problem)
    if any(more):
        changes["available"] = problem.available + np.array(more)
    if over_provision is not None:
        rates = problem.over_provision.copy()
        for name, rate in _by_model("over_provision", over_provision, problem.models, None).items():
            rates[problem.models.index(name)] = rate
        if (rates != problem.over_provision).any():
            changes["over_provision"] = rates
    return problem.replace(**changes) if changes else problem


def server_values(
    problem: ProvisioningProblem, plan: Plan, effort: Effort, progress: Callable[[int, int], None] | None
) -> tuple[ServerValue, ...]:
    """Return what one more server of each type saves against a plan that covers the day.

    An interval's certificate may prove that one more server saves nothing in it; the others are solved again.
    """
    required = plan.requirements
    day = ExactProblem.of(problem, ("power",), required)
    power = [day.value(as_rows(counts)) for counts in plan.counts]
    slack = [
        own - exact(bound) if math.isfinite(bound) else own
        for own, bound in zip(power, plan.interval_bound.tolist(), strict=True)
    ]
    hours = [duration / sum(day.durations_h) for duration in day.durations_h]
    estimates = sum(
        float(share) * lp_multipliers(interval, _wide(interval))
        for share, interval in zip(hours, day.intervals, strict=True)
    )
    found = []
    for h, name in enumerate(problem.server_types):
        if effort.expired:
            break
        if problem.available[h] == MAX_AVAILABLE:
            continue
        one_more = problem.available.copy()
        one_more[h] += 1
        richer = problem.replace(available=one_more)
        open_ones = [
            t
            for t, interval in enumerate(ExactProblem.of(richer, ("power",), required).intervals)
            if not _still_proves(
                plan.certificate[t], exact_data(interval), plan.interval_bound[t], day.fixed_cost(t)
            )
        ]
        saving, error = _resolved(richer, required, open_ones, power, slack, hours, effort)
        if saving is not None:
            found.append(ServerValue(name, float(saving), float(error), float(np.ravel(estimates)[h])))
        if progress is not None:
            progress(h + 1, len(problem.server_types))
    return tuple(found)


def _resolved(
    richer: ProvisioningProblem,
    required: Requirements,
    intervals: Sequence[int],
    power: Sequence[Fraction],
    slack: Sequence[Fraction],
    hours: Sequence[Fraction],
    effort: Effort,
) -> tuple[Fraction | None, Fraction]:
    """Return the mean saving over the day and its error; ``None`` if time ran out before a plan was found."""
    error = sum((share * own for share, own in zip(hours, slack, strict=True)), Fraction(0))
    if not intervals:
        return Fraction(0), error
    part = richer.replace(
        load_qps=richer.load_qps[list(intervals)], duration_h=richer.duration_h[list(intervals)]
    )
    within = required.of_intervals(intervals)
    plan = provision(part, gap=effort.gap, time_limit_s=effort.remaining_s, requirements=within)
    if plan.stopped_by == "interrupt":
        raise KeyboardInterrupt
    if not plan.covered.all() or plan.stopped_by == "time_limit":
        return None, error
    day = ExactProblem.of(part)
    saving = Fraction(0)
    for place, t in enumerate(intervals):
        # The old plan is still there: what is found is never worse.
        cheaper = min(power[t], day.value(as_rows(plan.counts[place])))
        saving += hours[t] * (power[t] - cheaper)
        bound = float(plan.interval_bound[place])
        error += hours[t] * (cheaper - exact(bound) if math.isfinite(bound) else cheaper)
    return saving, error


def _wide(interval: ExactInterval) -> Box:
    """Return a box beyond availability, so that its rows alone have a price, not the bounds of one count."""
    types = len(interval.available)
    beyond = tuple(count + 1 for count in interval.available)
    return Box(((0,) * types,) * len(interval.needs), (beyond,) * len(interval.needs))


def _still_proves(
    certificate: Certificate | None, data: IntervalData, bound_w: float, fixed_w: Fraction
) -> bool:
    """Return whether a certificate proves a bound with other data too, besides what fixed counts draw."""
    if certificate is None or certificate.kind != "bound" or not math.isfinite(bound_w):
        return False
    try:
        return proven_bound_w(data, certificate) + fixed_w >= exact(bound_w)
    except CertificateError:
        return False


def _scaled(problem: ProvisioningProblem, factors: Mapping[str, float]) -> FloatArray:
    """Return the loads times their factors, as decimal numbers: 900 times 1.1 is 990."""
    loads = problem.load_qps.copy()
    for m, name in enumerate(problem.models):
        factor = exact(factors.get(name, 1.0))
        loads[:, m] = [float(exact(load) * factor) for load in loads[:, m]]
    return loads


def _by_model(
    where: str, given: float | Mapping[str, float], models: Sequence[str], most: float | None
) -> dict[str, float]:
    """Return a figure per model: the same for all, or those of some."""
    figures = given if isinstance(given, Mapping) else dict.fromkeys(models, given)
    for name, figure in figures.items():
        if name not in models:
            hint = nearest_name(str(name), models)
            raise InputError("unknown model", where=where, found=name, hint=hint)
        key = name if isinstance(given, Mapping) else None
        if isinstance(figure, bool) or not isinstance(figure, (int, float)) or not math.isfinite(figure):
            raise InputError("must be a finite number", where=where, key=key, found=figure)
        if most is not None and not 0 <= figure <= most:
            raise InputError(f"must be at least 0 and at most {most:g}", where=where, key=key, found=figure)
    return dict(figures)


def _more_servers(given: Mapping[str, int], problem: ProvisioningProblem) -> list[int]:
    if not isinstance(given, Mapping):
        raise InputError("must map server types to whole numbers", where="servers", found=given)
    more = [0] * len(problem.server_types)
    for name, count in given.items():
        if name not in problem.server_types:
            hint = nearest_name(str(name), problem.server_types)
            raise InputError("unknown server type", where="servers", found=name, hint=hint)
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
            raise InputError("must be a whole number", where="servers", key=name, found=count)
        h = problem.server_types.index(name)
        there = int(problem.available[h])
        if there + count < 0:
            rule = f"takes away more than the {there} that are there"
            raise InputError(rule, where="servers", key=name, found=int(count))
        more[h] = int(count)
    return more


def _labelled(progress: Progress | None, label: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(label, done, total)
