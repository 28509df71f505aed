"""Plan against plan: which servers move where, interval by interval; and how much a plan moves by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.plan import IntArray, Plan
from hercules_opt.provisioning.problem import ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.exact import ExactProblem, as_rows


@dataclass(frozen=True)
class Move:
    """Servers of one type that change what they do; ``None`` stands for idle."""

    server_type: str
    from_model: str | None
    to_model: str | None
    count: int


@dataclass(frozen=True)
class IntervalDiff:
    """What changes in one interval.

    Parameters
    ----------
    interval
        Which one.
    moves
        As few as there can be: a server that one model loses goes to one that gains before it goes idle.
    power_w, servers
        The second plan's figure minus the first's.
    """

    interval: int
    moves: tuple[Move, ...]
    power_w: float
    servers: int

    @property
    def between_models(self) -> int:
        """Servers that serve another model."""
        return sum(move.count for move in self.moves if move.from_model and move.to_model)

    @property
    def added(self) -> int:
        """Servers that serve in the second plan only."""
        return sum(move.count for move in self.moves if move.from_model is None)

    @property
    def removed(self) -> int:
        """Servers that serve in the first plan only."""
        return sum(move.count for move in self.moves if move.to_model is None)


@dataclass(frozen=True)
class Churn:
    """Servers that change what they do from one interval of a plan to the next, summed over the day."""

    between_models: int
    started: int
    stopped: int

    @property
    def total(self) -> int:
        """All changes."""
        return self.between_models + self.started + self.stopped


@dataclass(frozen=True)
class PlanDiff:
    """Differences of two plans of one problem, the second minus the first.

    Parameters
    ----------
    intervals
        Every interval, also those without a change.
    mean_power_w
        Of the counts' provisioned power, weighted by the length of the intervals; also where a plan does not
        cover.
    uncovered
        Intervals that one of the plans does not cover, or both.
    mean_power_covered_w
        The same mean over the other intervals; ``None`` if there are none.
    churn
        Of the first plan, and of the second.
    """

    intervals: tuple[IntervalDiff, ...]
    mean_power_w: float
    uncovered: tuple[int, ...]
    mean_power_covered_w: float | None
    churn: tuple[Churn, Churn]

    @property
    def changed(self) -> tuple[int, ...]:
        """Intervals in which a server moves."""
        return tuple(entry.interval for entry in self.intervals if entry.moves)


def diff(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Plan | None,
    first: Plan | None,
    second: Plan | None = None,
) -> PlanDiff:
    """Return what changes from one plan to another.

    ``diff(instance, table, first, second)`` or ``diff(problem, first, second)``. Power is computed again from
    the counts; what the plans claim is for ``verify`` to check.

    Raises
    ------
    InputError
        If a plan is of other server types, models or intervals than the problem, or has negative counts.
    """
    if isinstance(table, Plan):
        if second is not None:
            rule = "give (instance, table, first, second) or (problem, first, second)"
            raise InputError(rule, where="diff")
        table, first, second = None, table, first
    data = as_problem(problem, table)
    plans: list[Plan] = []
    for name, plan in (("first", first), ("second", second)):
        if not isinstance(plan, Plan):
            raise InputError("must be a Plan", where=name, found=type(plan).__name__)
        _check_fits(name, plan, data)
        plans.append(plan)
    exact_problem = ExactProblem.of(data)
    powers = [[exact_problem.value(as_rows(counts)) for counts in plan.counts] for plan in plans]
    steps = [after - before for before, after in zip(*powers, strict=True)]
    changes = plans[1].counts - plans[0].counts
    intervals = tuple(
        IntervalDiff(t, tuple(moves(change, data)), float(step), int(change.sum()))
        for t, (change, step) in enumerate(zip(changes, steps, strict=True))
    )
    covered = [
        t
        for t in range(len(steps))
        if not any(any(exact_problem.shortfall(t, as_rows(plan.counts[t]))) for plan in plans)
    ]
    return PlanDiff(
        intervals,
        _mean(exact_problem, steps, range(len(steps))) or 0.0,
        tuple(t for t in range(len(steps)) if t not in covered),
        _mean(exact_problem, steps, covered),
        (churn(plans[0]), churn(plans[1])),
    )


def _mean(problem: ExactProblem, values: Sequence[Fraction], places: Sequence[int]) -> float | None:
    """Return the mean over some intervals, weighted by their length; ``None`` if there are none."""
    hours = sum(problem.durations_h[t] for t in places)
    return float(sum(values[t] * problem.durations_h[t] for t in places) / hours) if places else None


def moves(change: IntArray, names: ProvisioningProblem | Plan) -> Iterator[Move]:
    """Yield the moves that a change of counts, shape (h, m), takes; models give and get in their order."""
    for h, row in enumerate(change):
        server_type = names.server_types[h]
        giving = [(names.models[m], -int(step)) for m, step in enumerate(row) if step < 0]
        getting = [(names.models[m], int(step)) for m, step in enumerate(row) if step > 0]
        for source, target, count in _matched(giving, getting):
            yield Move(server_type, source, target, count)


def _matched(
    giving: Sequence[tuple[str, int]], getting: Sequence[tuple[str, int]]
) -> Iterator[tuple[str | None, str | None, int]]:
    """Match what models give and get, in order; what is left comes from or goes to idle."""
    gives: list[tuple[str | None, int]] = list(giving)
    gets: list[tuple[str | None, int]] = list(getting)
    surplus = sum(count for _, count in gets) - sum(count for _, count in gives)
    (gives if surplus > 0 else gets).append((None, abs(surplus)))
    while gives and gets:
        (source, offered), (target, wanted) = gives[0], gets[0]
        count = min(offered, wanted)
        if count:
            yield source, target, count
        gives[0], gets[0] = (source, offered - count), (target, wanted - count)
        if offered == count:
            gives.pop(0)
        if wanted == count:
            gets.pop(0)


def churn(plan: Plan) -> Churn:
    """Return how many servers change what they do between consecutive intervals of a plan."""
    steps = np.diff(plan.counts, axis=0)
    gained = np.maximum(steps, 0).sum(axis=2)
    lost = np.maximum(-steps, 0).sum(axis=2)
    return Churn(
        between_models=int(np.minimum(gained, lost).sum()),
        started=int(np.maximum(gained - lost, 0).sum()),
        stopped=int(np.maximum(lost - gained, 0).sum()),
    )


def _check_fits(where: str, plan: Plan, problem: ProvisioningProblem) -> None:
    for what, ours, theirs in (
        ("server type", problem.server_types, plan.server_types),
        ("model", problem.models, plan.models),
    ):
        if ours != theirs:
            raise InputError(f"is a plan of another problem: {_difference(what, ours, theirs)}", where=where)
    if len(plan.counts) != len(problem.load_qps):
        found, needed = len(plan.counts), len(problem.load_qps)
        rule = f"is a plan of another problem: it has {found} intervals, the problem {needed}"
        raise InputError(rule, where=where)
    negative = np.argwhere(plan.counts < 0)
    if len(negative):
        t, h, m = negative[0]
        key = f"interval {t}, {plan.server_types[h]} x {plan.models[m]}"
        raise InputError("counts must be at least 0", where=where, key=key, found=int(plan.counts[t, h, m]))


def _difference(what: str, ours: Sequence[str], theirs: Sequence[str]) -> str:
    for name in theirs:
        if name not in ours:
            return f"the problem has no {what} {name!r}"
    for name in ours:
        if name not in theirs:
            return f"it has no {what} {name!r}"
    return f"its {what}s are in another order"
