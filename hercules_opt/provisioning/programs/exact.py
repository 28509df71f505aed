"""Exact arithmetic: a figure means its shortest decimal text, and one interval becomes a program in whole
numbers.

Every coverage of a model is a multiple of the greatest common divisor of its rates, so rates are counted in
that unit and the required load is rounded up to the next multiple: nothing is lost and nothing is
approximated. Powers are counted in their own greatest common divisor.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.provisioning.checking.check_certificate import IntervalData
from hercules_opt.provisioning.objectives import Level, Levels
from hercules_opt.provisioning.programs.limits import Limits, Total

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import IntArray, ProvisioningProblem
    from hercules_opt.provisioning.requirements import Requirements

#: One row per model, one entry per server type.
Rows = tuple[tuple[int, ...], ...]
Figures = tuple[tuple[Fraction, ...], ...]


def exact(figure: float) -> Fraction:
    """Return the figure that a float's shortest decimal text names (0.1 is one tenth)."""
    return Fraction(figure) if isinstance(figure, int) else Fraction(repr(float(figure)))


def float_at_most(value: Fraction) -> float:
    """Return a float close to ``value`` whose decimal text is not above it."""
    figure = float(value)
    while exact(figure) > value:
        figure = math.nextafter(figure, -math.inf)
    return figure


def stated(value: Fraction) -> float:
    """Return a figure to be written down: a whole number as it is where a float would lose digits."""
    figure = float_at_most(value)
    return int(value) if value.denominator == 1 and exact(figure) != value else figure


def common_unit(values: Iterable[Fraction]) -> Fraction:
    """Return the largest number that all values are whole multiples of; 1 where there are none."""
    listed = [value for value in values if value]
    if not listed:
        return Fraction(1)
    denominator = math.lcm(*(value.denominator for value in listed))
    return Fraction(math.gcd(*(int(value * denominator) for value in listed)), denominator)


@dataclass(frozen=True)
class ExactInterval:
    """One interval in whole numbers; models are rows, server types are columns.

    Parameters
    ----------
    rates
        Rate of one server in the model's own unit; 0 where the type cannot serve the model.
    required
        Required load of each model in the same unit.
    needs
        The required loads rounded up: the least coverage of whole servers that reaches them.
    costs
        What one server adds to the objective, in units of ``cost_unit``.
    available
        Servers of each type.
    cost_unit
        What one unit of cost stands for: W, servers, cost per hour; 1 where several objectives are one.
    weights
        QPS that one unit of each model's coverage stands for.
    """

    rates: Rows
    required: tuple[Fraction, ...]
    needs: tuple[int, ...]
    costs: Rows
    available: tuple[int, ...]
    cost_unit: Fraction
    weights: tuple[Fraction, ...]

    def coverage(self, model: int, counts: Sequence[int]) -> int:
        """Return the coverage of one model by its server counts."""
        return sum(rate * count for rate, count in zip(self.rates[model], counts, strict=True))

    def short_models(self, counts: Rows) -> list[int]:
        """Return the models whose need is not covered."""
        return [m for m, row in enumerate(counts) if self.coverage(m, row) < self.needs[m]]

    def fits(self, counts: Rows) -> bool:
        """Return whether no type is used more often than it is available."""
        used = (sum(column) for column in zip(*counts, strict=True))
        return all(count <= most for count, most in zip(used, self.available, strict=True))

    def solved_by(self, counts: Rows) -> bool:
        """Return whether the counts cover every need within availability."""
        return self.fits(counts) and not self.short_models(counts)

    def cost(self, counts: Rows) -> int:
        """Return the objective of the counts in units of ``cost_unit``."""
        return sum(
            cost * count
            for prices, row in zip(self.costs, counts, strict=True)
            for cost, count in zip(prices, row, strict=True)
        )

    def with_needs(self, needs: Sequence[int]) -> ExactInterval:
        """Return the same interval with other needs."""
        required = tuple(Fraction(need) for need in needs)
        return replace(self, required=required, needs=tuple(needs))


@dataclass(frozen=True)
class ExactLevel:
    """One of the objectives in exact numbers.

    Parameters
    ----------
    name
        Which one.
    figures
        What a server adds to it, a row per model; zero where it cannot serve.
    unit
        The largest number of which all figures are whole multiples.
    weight
        Units of an interval's cost that one unit of this objective stands for: more than all later objectives
        together can reach. So comparing costs compares the objectives in order.
    """

    name: Level
    figures: Figures
    unit: Fraction
    weight: int

    def value(self, counts: Rows) -> Fraction:
        """Return the objective of counts."""
        return _total(self.figures, counts)


@dataclass(frozen=True)
class ExactProblem:
    """All intervals of a problem in exact numbers, and the way back to the objectives and QPS.

    ``fixed`` are the required counts of each interval, which its answer leaves out; ``limits`` what the
    answer must keep to besides.
    """

    rates_qps: Figures
    levels: tuple[ExactLevel, ...]
    required_qps: tuple[tuple[Fraction, ...], ...]
    durations_h: tuple[Fraction, ...]
    intervals: tuple[ExactInterval, ...]
    fixed: tuple[Rows, ...]
    limits: tuple[Limits, ...]

    @classmethod
    def of(
        cls,
        problem: ProvisioningProblem,
        levels: Levels = ("power",),
        requirements: Requirements | None = None,
    ) -> ExactProblem:
        """Read a problem's figures by their decimal text; those that are minimized must be known.

        The intervals ask for what is left beside the fixed counts; pairs that are fixed serve there no more.
        """
        if requirements is not None:
            problem = requirements.narrowed(problem)
        _, types, models = problem.shape
        usable = problem.can_serve
        zero = Fraction(0)
        rates = tuple(
            tuple(exact(problem.qps[h, m]) if usable[h, m] else zero for h in range(types))
            for m in range(models)
        )
        over = [1 + exact(share) for share in problem.over_provision]
        required = tuple(
            tuple(factor * exact(load) for factor, load in zip(over, row, strict=True))
            for row in problem.load_qps
        )
        weights = tuple(common_unit(row) for row in rates)
        whole_rates = tuple(
            tuple(int(rate / unit) for rate in row) for row, unit in zip(rates, weights, strict=True)
        )
        available = tuple(int(count) for count in problem.available)
        exact_levels = _weighted([(name, _figures(problem, name)) for name in levels], available)
        cost_unit = exact_levels[0].unit if len(exact_levels) == 1 else Fraction(1)
        costs = tuple(
            tuple(
                sum(level.weight * int(level.figures[m][h] / level.unit) for level in exact_levels)
                for h in range(types)
            )
            for m in range(models)
        )
        fixed = np.full(problem.shape, -1) if requirements is None else requirements.fixed_counts(problem)
        rows = tuple(as_rows(np.maximum(counts, 0)) for counts in fixed)
        intervals = []
        for t, row in enumerate(required):
            free = as_rows(fixed[t] < 0)
            in_units = tuple(
                max(load / unit - sum(map(operator.mul, own, taken)), Fraction(0))
                for load, unit, own, taken in zip(row, weights, whole_rates, rows[t], strict=True)
            )
            intervals.append(
                ExactInterval(
                    tuple(
                        tuple(rate * open_ for rate, open_ in zip(own, opens, strict=True))
                        for own, opens in zip(whole_rates, free, strict=True)
                    ),
                    in_units,
                    tuple(math.ceil(load) for load in in_units),
                    costs,
                    tuple(
                        most - sum(column)
                        for most, column in zip(available, zip(*rows[t], strict=True), strict=True)
                    ),
                    cost_unit,
                    weights,
                )
            )
        durations = tuple(exact(hours) for hours in problem.duration_h)
        limits = _limits(problem, requirements, rows)
        return cls(rates, exact_levels, required, durations, tuple(intervals), rows, limits)

    def whole(self, interval: int, counts: Rows) -> Rows:
        """Return counts with the fixed ones."""
        return tuple(
            tuple(map(operator.add, row, own)) for row, own in zip(counts, self.fixed[interval], strict=True)
        )

    def fixed_cost(self, interval: int) -> Fraction:
        """Return what the fixed counts add to an interval's cost."""
        data = self.intervals[interval]
        return data.cost(self.fixed[interval]) * data.cost_unit

    def value(self, counts: Rows) -> Fraction:
        """Return the first objective of counts."""
        return self.levels[0].value(counts)

    def level_bounds(self, counts: Rows, bound: Fraction) -> list[Fraction | None]:
        """Return what a bound on the cost of counts says of each objective; ``None``: nothing.

        It says something of a later objective only where those before are proven to the last digit.
        """
        if len(self.levels) == 1:
            return [bound]
        bounds: list[Fraction | None] = []
        rest = math.ceil(bound)
        for level in self.levels:
            units = rest // level.weight
            bounds.append(max(units, 0) * level.unit)
            if units * level.unit != level.value(counts):
                break
            rest -= units * level.weight
        return bounds + [None] * (len(self.levels) - len(bounds))

    def shortfall(self, interval: int, counts: Rows) -> list[Fraction]:
        """Return the QPS that each model is short of its required load in one interval."""
        rows = zip(self.required_qps[interval], self.rates_qps, counts, strict=True)
        return [
            max(Fraction(0), need - sum(rate * count for rate, count in zip(rates, row, strict=True)))
            for need, rates, row in rows
        ]

    def time_weighted_mean(self, values: Sequence[Fraction]) -> Fraction:
        """Return the mean over all intervals, weighted by their length."""
        total = sum(
            (value * hours for value, hours in zip(values, self.durations_h, strict=True)), Fraction(0)
        )
        return total / sum(self.durations_h)


def exact_data(interval: ExactInterval) -> IntervalData:
    """Return an interval as ``check_certificate`` takes it, in QPS and the objective's unit."""
    return IntervalData(
        tuple(
            tuple(rate * weight for rate in row)
            for row, weight in zip(interval.rates, interval.weights, strict=True)
        ),
        tuple(tuple(cost * interval.cost_unit for cost in row) for row in interval.costs),
        tuple(load * weight for load, weight in zip(interval.required, interval.weights, strict=True)),
        interval.available,
    )


def as_rows(counts: IntArray) -> Rows:
    """Return counts of shape (h, m) by model and server type."""
    return tuple(tuple(int(count) for count in column) for column in counts.T)


def _figures(problem: ProvisioningProblem, level: Level) -> Figures:
    """Return what each server adds to an objective, a row per model."""
    figures = problem.objective_figures(level)
    usable = problem.can_serve
    return tuple(
        tuple(exact(figures[h, m]) if usable[h, m] else Fraction(0) for h in range(len(usable)))
        for m in range(usable.shape[1])
    )


def _limits(
    problem: ProvisioningProblem, requirements: Requirements | None, fixed: Sequence[Rows]
) -> tuple[Limits, ...]:
    """Return each interval's limits, less what the fixed counts take of them."""
    if requirements is None:
        return (Limits((0,) * len(problem.models)),) * len(fixed)
    caps_w = requirements.caps_w(problem)
    powers_w = _figures(problem, "power") if any(cap is not None for cap in caps_w) else ()
    limits = []
    for cap, least, rows in zip(caps_w, requirements.fewest_servers(problem).tolist(), fixed, strict=True):
        fewest = tuple(max(0, own - sum(row)) for own, row in zip(least, rows, strict=True))
        room_w = None if cap is None else exact(cap) - _total(powers_w, rows)
        limits.append(Limits(fewest, None if room_w is None else Total("power cap", powers_w, room_w)))
    return tuple(limits)


def _weighted(figures: Sequence[tuple[Level, Figures]], available: Sequence[int]) -> tuple[ExactLevel, ...]:
    """Weigh each objective by more than all later ones can reach with every server in use."""
    levels: list[ExactLevel] = []
    weight = 1
    for name, rows in reversed(figures):
        unit = common_unit(figure for row in rows for figure in row)
        levels.append(ExactLevel(name, rows, unit, weight))
        most = sum(
            int(max(column) / unit) * count
            for column, count in zip(zip(*rows, strict=True), available, strict=True)
        )
        weight *= most + 1
    return tuple(reversed(levels))


def _total(figures: Figures, counts: Rows) -> Fraction:
    return sum(
        (
            figure * count
            for row, taken in zip(figures, counts, strict=True)
            for figure, count in zip(row, taken, strict=True)
            if count
        ),
        Fraction(0),
    )


def as_array(counts: Rows) -> IntArray:
    """Return counts by server type and model, shape (h, m)."""
    return np.array(counts, dtype=np.int64).T
