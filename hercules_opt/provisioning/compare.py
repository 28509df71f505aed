"""Compare plans with each other and with greedy, every figure computed again from the counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.errors import InputError, Words
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.exact import ExactProblem, Rows
from hercules_opt.provisioning.plan import Plan, Status
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.problem import ProvisioningProblem, as_problem

if TYPE_CHECKING:
    import pandas as pd

#: Greedy orders of the models that are tried by default.
ORDERS = 100

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Saving:
    """Mean power against another plan, over the intervals that both cover.

    Parameters
    ----------
    against
        The other plan's policy.
    intervals
        Number of intervals that both cover.
    mean_power_w, other_mean_power_w
        Mean power in them, weighted by their length.
    """

    against: str
    intervals: int
    mean_power_w: float
    other_mean_power_w: float

    @property
    def share(self) -> float:
        """Saved share of the other's power; negative where the other needs less."""
        if self.other_mean_power_w == 0:
            return 0.0
        return (self.other_mean_power_w - self.mean_power_w) / self.other_mean_power_w


@dataclass(frozen=True)
class PlanFigures:
    """One plan over the day.

    Parameters
    ----------
    policy, status
        As the plan says.
    uncovered
        Intervals in which a load is not covered.
    mean_power_w, mean_servers
        Weighted by the length of the intervals; ``None`` unless all are covered.
    peak_power_w, peak_servers
        Of the highest interval.
    server_hours
        Servers in use times hours, by server type.
    peak_use
        Most servers in use at a time, by server type.
    saving
        Against greedy in instance order; ``None`` if no interval is covered by both.
    """

    policy: str
    status: Status
    uncovered: tuple[int, ...]
    mean_power_w: float | None
    peak_power_w: float
    mean_servers: float | None
    peak_servers: int
    server_hours: tuple[float, ...]
    peak_use: tuple[int, ...]
    saving: Saving | None


@dataclass(frozen=True)
class GreedyOrders:
    """Greedy with its models in random orders, beside greedy in instance order.

    Parameters
    ----------
    orders, seed
        How many orders were drawn, and the seed.
    better, equal, worse
        Orders that need less, the same or more mean power than instance order. An order that covers more
        intervals is better, one that covers fewer is worse.
    failing
        Orders that leave a load uncovered in some interval.
    least_w, median_w, most_w
        Mean power over the orders that cover every interval; ``None`` if there is none.
    """

    orders: int
    seed: int
    better: int
    equal: int
    worse: int
    failing: int
    least_w: float | None
    median_w: float | None
    most_w: float | None


@dataclass(frozen=True)
class Comparison:
    """Plans beside each other, and the spread of greedy over the order of its models."""

    server_types: tuple[str, ...]
    models: tuple[str, ...]
    intervals: int
    plans: tuple[PlanFigures, ...]
    greedy_orders: GreedyOrders

    def to_frame(self) -> pd.DataFrame:
        """Return one row per plan, with the saving against greedy in percent of its power."""
        import pandas as pd

        rows = [
            {
                "policy": plan.policy,
                "status": plan.status,
                "intervals_covered": self.intervals - len(plan.uncovered),
                "mean_power_w": plan.mean_power_w,
                "peak_power_w": plan.peak_power_w,
                "mean_servers": plan.mean_servers,
                "peak_servers": plan.peak_servers,
                "saving_percent": None if plan.saving is None else 100 * plan.saving.share,
            }
            for plan in self.plans
        ]
        return pd.DataFrame(rows)


def compare(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Sequence[Plan] | None,
    plans: Sequence[Plan] | None = None,
    *,
    orders: int = ORDERS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare plans: ``compare(instance, table, plans)`` or ``compare(problem, plans)``.

    Only the counts of the plans are used; what the plans claim of them is for ``verify``. Savings are against
    greedy in instance order, which is computed here, and count only intervals that both cover.

    Parameters
    ----------
    problem, table
        An instance and its efficiency table (``None``: its own), or a problem.
    plans
        Plans of this problem.
    orders, seed
        How many random orders of the models greedy is tried with, and the seed.
    progress
        Called with the number of orders done and the number of all, after each.

    Raises
    ------
    InputError
        If a plan is not one of this problem, or ``orders`` is not a whole number of at least 1.
    """
    if not (table is None or isinstance(table, EfficiencyTable)):
        table, plans = None, table
    if not isinstance(orders, int) or isinstance(orders, bool) or orders < 1:
        raise InputError("must be a whole number of at least 1", where="orders", found=orders)
    data = as_problem(problem, table)
    for plan in plans or ():
        _check_fits(data, plan)
    exact = ExactProblem.of(data)
    baseline = _Day.of(exact, _greedy(exact, Greedy()))
    return Comparison(
        data.server_types,
        data.models,
        len(data.load_qps),
        tuple(_figures(data, exact, plan, baseline) for plan in plans or ()),
        _greedy_orders(exact, baseline, orders, seed, progress),
    )


def _check_fits(problem: ProvisioningProblem, plan: Plan) -> None:
    if not isinstance(plan, Plan):
        raise InputError("must be a Plan", where="plans", found=type(plan).__name__)
    fits = plan.server_types == problem.server_types and plan.models == problem.models
    if not fits or plan.counts.shape != problem.shape:
        intervals = problem.shape[0]
        rule = f"must have the problem's server types and models, in its order, and {intervals} intervals"
        raise InputError(rule, where="plans", found=Words(f"another {plan.policy} plan"))


@dataclass(frozen=True)
class _Day:
    """Exact power of every interval, and whether it is covered."""

    power_w: tuple[Fraction, ...]
    covered: tuple[bool, ...]
    hours: tuple[Fraction, ...]

    @classmethod
    def of(cls, problem: ExactProblem, counts: Sequence[Rows]) -> _Day:
        """Compute a day from its counts."""
        return cls(
            tuple(problem.power(rows) for rows in counts),
            tuple(not any(problem.shortfall(t, rows)) for t, rows in enumerate(counts)),
            problem.durations_h,
        )

    def mean_w(self, among: Sequence[bool]) -> Fraction | None:
        """Return the mean power over some intervals, ``None`` if there are none."""
        chosen = [(power, h) for power, h, kept in zip(self.power_w, self.hours, among, strict=True) if kept]
        hours = sum((h for _, h in chosen), Fraction(0))
        return sum((power * h for power, h in chosen), Fraction(0)) / hours if chosen else None

    def rank(self, other: _Day) -> int:
        """Return -1, 0 or 1 where this day is better than, as good as, or worse than another."""
        ours, theirs = sum(self.covered), sum(other.covered)
        if ours != theirs:
            return 1 if ours < theirs else -1
        both = self._both(other)
        mine, its = self.mean_w(both) or Fraction(0), other.mean_w(both) or Fraction(0)
        return (mine > its) - (mine < its)

    def saving(self, other: _Day, against: str) -> Saving | None:
        """Return mean powers over the intervals that both cover."""
        both = self._both(other)
        mine, its = self.mean_w(both), other.mean_w(both)
        if mine is None or its is None:
            return None
        return Saving(against, sum(both), float(mine), float(its))

    def _both(self, other: _Day) -> list[bool]:
        return [a and b for a, b in zip(self.covered, other.covered, strict=True)]


def _figures(problem: ProvisioningProblem, exact: ExactProblem, plan: Plan, baseline: _Day) -> PlanFigures:
    counts = [tuple(tuple(int(n) for n in column) for column in interval.T) for interval in plan.counts]
    day = _Day.of(exact, counts)
    used = plan.counts.sum(axis=2)
    whole = all(day.covered)
    mean_w = day.mean_w(day.covered) if whole else None
    hours = problem.duration_h
    return PlanFigures(
        policy=plan.policy,
        status=plan.status,
        uncovered=tuple(t for t, covered in enumerate(day.covered) if not covered),
        mean_power_w=None if mean_w is None else float(mean_w),
        peak_power_w=float(max(day.power_w)),
        mean_servers=float(hours @ used.sum(axis=1) / hours.sum()) if whole else None,
        peak_servers=int(used.sum(axis=1).max()),
        server_hours=tuple(float(sum_h) for sum_h in hours @ used),
        peak_use=tuple(int(most) for most in used.max(axis=0)),
        saving=day.saving(baseline, Greedy.name),
    )


def _greedy(problem: ExactProblem, policy: Greedy) -> list[Rows]:
    effort = Effort(gap=0.0)
    return [policy.solve(interval, effort).counts for interval in problem.intervals]


def _greedy_orders(
    problem: ExactProblem, baseline: _Day, orders: int, seed: int, progress: Progress | None
) -> GreedyOrders:
    """Try random orders; one that was drawn before is not computed again."""
    random = np.random.default_rng(seed)
    known: dict[tuple[int, ...], _Day] = {}
    days: list[_Day] = []
    for number in range(orders):
        order = tuple(int(m) for m in random.permutation(len(problem.rates_qps)))
        if order not in known:
            known[order] = _Day.of(problem, _greedy(problem, Greedy(order)))
        days.append(known[order])
        if progress is not None:
            progress(number + 1, orders)
    ranks = [day.rank(baseline) for day in days]
    means = [
        float(mean) for day in days if all(day.covered) and (mean := day.mean_w(day.covered)) is not None
    ]
    return GreedyOrders(
        orders=orders,
        seed=seed,
        better=ranks.count(-1),
        equal=ranks.count(0),
        worse=ranks.count(1),
        failing=orders - len(means),
        least_w=min(means, default=None),
        median_w=median(means) if means else None,
        most_w=max(means, default=None),
    )
