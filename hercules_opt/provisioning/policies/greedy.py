"""Greedy provisioning: each model in turn takes the servers that are best for it alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

from hercules_opt.errors import InputError
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.programs.exact import ExactInterval


@dataclass(frozen=True)
class Greedy:
    """Models in order; each takes the type with the best QPS per watt that is left, until its load is
    covered.

    Ties go to the type that comes first. The last server is counted whole. There is no way back: an early
    model may take what a later one would have needed.

    Parameters
    ----------
    order
        Model indices in the order they are served; by default the problem's own.
    """

    name: ClassVar[str] = "greedy"
    solvers: ClassVar[tuple[str, ...]] = ()

    order: Sequence[int] | None = None

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Serve the models one after another."""
        models = range(len(interval.needs))
        order = models if self.order is None else self.order
        if not isinstance(order, Iterable) or sorted(order, key=str) != sorted(models, key=str):
            raise InputError(f"must name each of the {len(models)} models once", where="order", found=order)
        left = list(interval.available)
        rows: list[tuple[int, ...]] = [()] * len(models)
        for m in order:
            rows[m] = _take(interval.rates[m], interval.costs[m], interval.needs[m], left)
            left = [count - taken for count, taken in zip(left, rows[m], strict=True)]
        return IntervalAnswer(tuple(rows))


@lru_cache(maxsize=4096)
def _by_cost_of_coverage(rates: tuple[int, ...], costs: tuple[int, ...]) -> tuple[int, ...]:
    """Return the types that serve a model, best first; the same for all intervals of a day."""
    usable = [h for h, rate in enumerate(rates) if rate > 0]
    return tuple(sorted(usable, key=lambda h: Fraction(costs[h], rates[h])))


def _take(rates: Sequence[int], costs: Sequence[int], need: int, left: Sequence[int]) -> tuple[int, ...]:
    taken = [0] * len(rates)
    for h in _by_cost_of_coverage(tuple(rates), tuple(costs)):
        if need <= 0:
            break
        taken[h] = min(left[h], -(-need // rates[h]))
        need -= taken[h] * rates[h]
    return tuple(taken)
