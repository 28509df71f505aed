"""One plan: its intervals, its use of each server type, how it ended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hercules_opt.problem.instance import Instance
from hercules_opt.provisioning.plan import FloatArray, Plan
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.text import NOTHING, clock, number, one_decimal, percent, plural, seconds

_STOPPED = {
    "time_limit": "the time limit",
    "node_limit": "the limit of the search tree",
    "solver_failure": "a failure of the solver",
    "interrupt": "an interrupt",
}


#: Heading of an interval's objective.
_LABELS = {"servers": "objective", "cost": "cost per h"}
#: Name and unit of an objective's mean.
_MEANS = {
    "power": ("provisioned power", " W"),
    "servers": ("number of servers", ""),
    "cost": ("cost per hour", ""),
}


def interval_starts_h(instance: Instance) -> FloatArray:
    """Return the hour at which each interval starts, counted from the first midnight, shape (t,)."""
    ends: FloatArray = np.cumsum(instance.duration_h)
    return instance.day.start_h + np.concatenate([[0.0], ends[:-1]])


def intervals_grid(instance: Instance, plan: Plan) -> Grid:
    """Return power, servers, bound and status of every interval."""
    rows = []
    for t, start_h in enumerate(interval_starts_h(instance)):
        short = float(plan.shortfall[t].sum())
        rows.append(
            (
                f"{t}  {clock(float(start_h))}",
                _power(plan, t),
                f"{int(plan.servers[t]):,}",
                *([] if plan.levels[0] == "power" else [number(float(plan.interval_objective[t]))]),
                number(float(plan.interval_bound[t])),
                _gap(float(plan.interval_gap[t])),
                number(short) if short else NOTHING,
                plan.interval_status[t],
            )
        )
    first = plan.levels[0]
    own = ("bound W",) if first == "power" else (_LABELS[first], "bound")
    header = ("interval", "power W", "servers", *own, "gap", "QPS short", "status")
    return Grid("Intervals", header, tuple(rows), left=(len(header) - 1,))


def _power(plan: Plan, interval: int) -> str:
    """Return an interval's power, "low to high" where it is unknown and bounded."""
    if np.isnan(plan.power_w[interval]) and not np.isnan(plan.power_high_w[interval]):
        return f"{number(float(plan.power_low_w[interval]))} to {number(float(plan.power_high_w[interval]))}"
    return number(float(plan.power_w[interval]))


def _gap(gap: float) -> str:
    if np.isnan(gap):
        return NOTHING
    return "0" if gap == 0 else f"{100 * gap:.2g} %"


def use_grid(instance: Instance, plans: Mapping[str, Plan]) -> Grid:
    """Return the servers of each type that each named plan uses: mean over the day, and most at a time."""
    hours = instance.duration_h / instance.duration_h.sum()
    columns: list[list[str]] = [[f"{int(count):,}" for count in instance.available]]
    for plan in plans.values():
        used = plan.counts.sum(axis=2)
        peaks = [f"{int(most):,}" for most in used.max(axis=0)]
        width = max(len(peak) for peak in peaks)
        means = (one_decimal(float(mean)) for mean in hours @ used)
        columns.append([f"{mean} / {peak:>{width}}" for mean, peak in zip(means, peaks, strict=True)])
    rows = tuple(zip(instance.servers, *columns, strict=True))
    return Grid("Servers of each type in use, mean / peak", ("server type", "available", *plans), rows)


def mean_line(plan: Plan) -> str:
    """Return the mean of the plan's (first) objective with its bound, in one line."""
    took = f"{seconds(plan.runtime_s)}"
    name, unit = _MEANS[plan.levels[0]]
    if plan.objective is None:
        return f"No mean {name}: not every interval is covered. Took {took}."
    bound = "" if plan.bound is None else f", no plan needs less than {number(plan.bound)}{unit}"
    return f"Mean {name} {number(plan.objective)}{unit}{bound}. Took {took}."


def ending_line(plan: Plan, *, allow_shortfall: bool = False) -> str | None:
    """Return why a plan is less than was asked for, in one line; ``None`` if it is not."""
    total = len(plan.interval_status)
    missing = total - int(plan.covered.sum())
    if plan.status == "infeasible" and allow_shortfall:
        return _shortfall_line(plan)
    if plan.status == "infeasible":
        names = [str(t) for t, status in enumerate(plan.interval_status) if status == "infeasible"]
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        within = "" if plan.requirements.empty else ", within the requirements"
        return f"infeasible: no plan covers the loads of {plural(len(names), 'interval')} ({listed}){within}"
    why = _STOPPED.get(plan.stopped_by or "", plan.stopped_by or "")
    if missing:
        ended = f"stopped by {why}" if why else f"policy {plan.policy} found no cover"
        return f"{ended}: there is no whole plan, {missing} of {plural(total, 'interval')} are not covered"
    if why and (plan.gap is None or plan.gap > plan.requested_gap):
        worst = "without a bound" if plan.gap is None else f"with a gap of at most {percent(plan.gap)}"
        return f"stopped by {why}: there is a plan for all {plural(total, 'interval')}, {worst}"
    return None


def _shortfall_line(plan: Plan) -> str:
    """Return how much an allowed shortfall is, and how little it could be."""
    missed = plan.shortfall.sum(axis=1)
    worst = int(np.argmax(missed))
    short = int((missed > 0).sum())
    text = (
        f"shortfall allowed: {short} of {plural(len(missed), 'interval')} not covered, at most "
        f"{number(float(missed[worst]))} QPS short (interval {worst}); "
    )
    if plan.misses_least:
        return f"{text}no plan misses less in any of them, proven"
    bounds = np.nan_to_num(plan.shortfall_bound)
    return (
        f"{text}not proven to be the least, interval {worst} misses at least {number(float(bounds[worst]))}"
    )
