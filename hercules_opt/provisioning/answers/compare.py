"""Compare plans of one problem: power, servers, saving against greedy, and what greedy's order does."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.provenance import Kind
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.plan import Plan, Status
from hercules_opt.provisioning.policies import Greedy, Oblivious, Policy
from hercules_opt.provisioning.policies.within_limits import within_limits
from hercules_opt.provisioning.problem import FloatArray, ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.exact import ExactProblem
from hercules_opt.provisioning.provision import provision
from hercules_opt.provisioning.requirements import Requirements

if TYPE_CHECKING:
    import pandas as pd

#: Seeds that oblivious is tried with.
_SEEDS = 20

#: Relative difference of mean power below which two plans count as equal.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Saving:
    """What one plan saves against another, over the intervals that both cover; shares of the other's figure.

    ``intervals`` is how many those are; the shares are ``None`` where there are none, or the other uses
    nothing.
    """

    intervals: int
    mean_power: float | None
    peak_power: float | None
    mean_servers: float | None
    peak_servers: float | None


@dataclass(frozen=True)
class OrderComparison:
    """How greedy does against one plan when it serves the models in other orders.

    ``better``, ``equal`` and ``worse`` are shares of all orders by time-weighted mean power over the
    intervals that both cover; ``incomparable`` is the share with no such interval. ``saving_min``,
    ``saving_median`` and ``saving_max`` are the plan's savings of mean power against them.
    """

    better: float
    equal: float
    worse: float
    incomparable: float
    saving_min: float | None
    saving_median: float | None
    saving_max: float | None


@dataclass(frozen=True)
class PlanSummary:
    """One plan's figures; powers and servers are those of its counts, also where they fall short.

    Parameters
    ----------
    peak_power_w, mean_power_w, peak_servers, mean_servers
        Over all intervals; means are weighted by the length of the intervals.
    uncovered
        Intervals that the plan does not cover.
    server_hours
        By server type.
    saving
        Against greedy in the problem's order.
    orders
        Against greedy in other orders.
    """

    policy: str
    solver: str
    status: Status
    objective: float | None
    bound: float | None
    gap: float | None
    peak_power_w: float
    mean_power_w: float
    peak_servers: int
    mean_servers: float
    uncovered: tuple[int, ...]
    server_hours: dict[str, float]
    saving: Saving
    orders: OrderComparison
    provenance: Kind | None


@dataclass(frozen=True)
class OrderSpread:
    """Greedy over all compared orders.

    Parameters
    ----------
    seed, orders
        Seed and number of the orders.
    covering
        How many cover every interval.
    mean_power_w
        Least, median and largest time-weighted mean power of those; ``None`` if there are none.
    """

    seed: int
    orders: int
    covering: int
    mean_power_w: tuple[float, float, float] | None


@dataclass(frozen=True)
class SeedSpread:
    """Oblivious over several seeds, its plans' own among them only by chance.

    Parameters
    ----------
    seeds
        How many, from 0 on.
    covering
        How many cover every interval.
    mean_power_w
        Least, mean and largest time-weighted mean power of those; ``None`` if there are none.
    """

    seeds: int
    covering: int
    mean_power_w: tuple[float, float, float] | None


@dataclass(frozen=True)
class Comparison:
    """The plans' figures, and the spread of greedy over orders.

    ``oblivious_seeds`` is the spread of the policy oblivious, ``None`` if no plan is of that policy.
    """

    plans: tuple[PlanSummary, ...]
    greedy_orders: OrderSpread
    oblivious_seeds: SeedSpread | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per plan."""
        import pandas as pd

        return pd.DataFrame([_row(summary) for summary in self.plans])


def compare(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Sequence[Plan] | None,
    plans: Sequence[Plan] | None = None,
    *,
    orders: int = 100,
    seed: int = 0,
) -> Comparison:
    """Compare plans: ``compare(instance, table, plans)`` or ``compare(problem, plans)``.

    Greedy in the problem's order, the reference of all savings, and greedy in random orders are computed
    here; they keep to the requirements of the first plan.

    Parameters
    ----------
    orders
        Number of random orders of the models.
    seed
        Seed of these orders.

    Raises
    ------
    InputError
        If there is no plan, or one has other server types, models or intervals than the problem.
    """
    if plans is None and table is not None and not isinstance(table, EfficiencyTable):
        table, plans = None, table
    listed = isinstance(plans, (list, tuple)) and all(isinstance(plan, Plan) for plan in plans)
    if not plans or not listed:
        raise InputError("must be a list of one Plan or more", where="plans")
    if isinstance(orders, bool) or not isinstance(orders, int) or not 1 <= orders <= 100_000:
        raise InputError("must be a whole number from 1 to 100000", where="orders", found=orders)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError("must be a whole number, at least 0", where="seed", found=seed)
    data = as_problem(problem, table if isinstance(table, EfficiencyTable) else None)
    for plan in plans:
        same = plan.server_types == data.server_types and plan.models == data.models
        if not same or len(plan.power_w) != len(data.load_qps):
            raise InputError("must have the problem's server types, models and intervals", where="plans")
    required = plans[0].requirements
    greedy = provision(data, policy="greedy", requirements=required)
    shuffled = _trials(data, required, _random_orders(len(data.models), orders, seed))
    summaries = tuple(_summary(data, plan, greedy, shuffled) for plan in plans)
    draws = None
    if any(plan.policy == Oblivious.name for plan in plans):
        draws = _seed_spread(data, _trials(data, required, [Oblivious(number) for number in range(_SEEDS)]))
    return Comparison(summaries, _spread(data, shuffled, seed), draws)


@dataclass(frozen=True)
class _Trials:
    """A policy in several variants: power and whether it covers, both of shape (variants, t)."""

    power_w: FloatArray
    covered: npt.NDArray[np.bool_]


def _random_orders(models: int, orders: int, seed: int) -> list[Greedy]:
    generator = np.random.default_rng(seed)
    return [Greedy(tuple(int(m) for m in generator.permutation(models))) for _ in range(orders)]


def _trials(problem: ProvisioningProblem, required: Requirements, variants: Sequence[Policy]) -> _Trials:
    exact_problem = ExactProblem.of(problem, ("power",), required)
    shape = (len(variants), len(exact_problem.intervals))
    power_w, covered = np.zeros(shape), np.zeros(shape, dtype=bool)
    effort = Effort(0.0)
    for number, policy in enumerate(variants):
        for t, interval in enumerate(exact_problem.intervals):
            answer = within_limits(exact_problem, t, policy.solve(interval, effort), policy, effort)
            cost = interval.cost(answer.counts) * interval.cost_unit
            power_w[number, t] = float(cost + exact_problem.fixed_cost(t))
            limits = exact_problem.limits[t]
            covered[number, t] = interval.solved_by(answer.counts) and limits.kept_by(answer.counts)
    return _Trials(power_w, covered)


def _summary(problem: ProvisioningProblem, plan: Plan, greedy: Plan, orders: _Trials) -> PlanSummary:
    hours = problem.duration_h
    by_type = (plan.counts.sum(axis=2) * hours[:, np.newaxis]).sum(axis=0)
    return PlanSummary(
        policy=plan.policy,
        solver=plan.solver,
        status=plan.status,
        objective=plan.objective,
        bound=plan.bound,
        gap=plan.gap,
        peak_power_w=float(plan.power_w.max()),
        mean_power_w=float(np.average(plan.power_w, weights=hours)),
        peak_servers=int(plan.servers.max()),
        mean_servers=float(np.average(plan.servers, weights=hours)),
        uncovered=tuple(int(t) for t in np.flatnonzero(~plan.covered)),
        server_hours={name: float(total) for name, total in zip(plan.server_types, by_type, strict=True)},
        saving=_saving(plan, greedy, hours),
        orders=_against_orders(plan, orders, hours),
        provenance=plan.provenance,
    )


def _saving(plan: Plan, other: Plan, hours: FloatArray) -> Saving:
    both = plan.covered & other.covered
    if not both.any():
        return Saving(0, None, None, None, None)
    weights = hours[both]
    return Saving(
        int(both.sum()),
        _share(
            np.average(plan.power_w[both], weights=weights), np.average(other.power_w[both], weights=weights)
        ),
        _share(plan.power_w[both].max(), other.power_w[both].max()),
        _share(
            np.average(plan.servers[both], weights=weights), np.average(other.servers[both], weights=weights)
        ),
        _share(plan.servers[both].max(), other.servers[both].max()),
    )


def _share(ours: float, theirs: float) -> float | None:
    return float((theirs - ours) / theirs) if theirs else None


def _against_orders(plan: Plan, orders: _Trials, hours: FloatArray) -> OrderComparison:
    savings: list[float] = []
    for power_w, covered in zip(orders.power_w, orders.covered, strict=True):
        both = plan.covered & covered
        if both.any():
            ours = float(np.average(plan.power_w[both], weights=hours[both]))
            theirs = float(np.average(power_w[both], weights=hours[both]))
            savings.append(_share(ours, theirs) or 0.0)
    count = len(orders.power_w)
    return OrderComparison(
        better=sum(saving < -_EQUAL for saving in savings) / count,
        equal=sum(abs(saving) <= _EQUAL for saving in savings) / count,
        worse=sum(saving > _EQUAL for saving in savings) / count,
        incomparable=(count - len(savings)) / count,
        saving_min=min(savings, default=None),
        saving_median=statistics.median(savings) if savings else None,
        saving_max=max(savings, default=None),
    )


def _spread(problem: ProvisioningProblem, orders: _Trials, seed: int) -> OrderSpread:
    covering = orders.covered.all(axis=1)
    means = [float(np.average(power_w, weights=problem.duration_h)) for power_w in orders.power_w[covering]]
    spread = (min(means), statistics.median(means), max(means)) if means else None
    return OrderSpread(seed, len(orders.power_w), len(means), spread)


def _seed_spread(problem: ProvisioningProblem, draws: _Trials) -> SeedSpread:
    covering = draws.covered.all(axis=1)
    means = [float(np.average(power_w, weights=problem.duration_h)) for power_w in draws.power_w[covering]]
    spread = (min(means), statistics.fmean(means), max(means)) if means else None
    return SeedSpread(len(draws.power_w), len(means), spread)


def _row(summary: PlanSummary) -> dict[str, object]:
    scalars = (
        "policy", "solver", "status", "gap", "peak_power_w", "mean_power_w", "peak_servers", "mean_servers",
    )  # fmt: skip
    return {
        **{name: getattr(summary, name) for name in scalars},
        "uncovered_intervals": len(summary.uncovered),
        "compared_intervals": summary.saving.intervals,
        "saving_mean_power": summary.saving.mean_power,
        "saving_peak_power": summary.saving.peak_power,
        "saving_mean_servers": summary.saving.mean_servers,
        "saving_peak_servers": summary.saving.peak_servers,
        "orders_better": summary.orders.better,
        "orders_equal": summary.orders.equal,
        "orders_worse": summary.orders.worse,
        "provenance": summary.provenance,
        **{f"server_hours {name}": total for name, total in summary.server_hours.items()},
    }
