"""Prices of availability by column generation, every bound computed exactly.

At given prices every model buys its own cheapest cover (an exact knapsack), which gives a lower bound. A
linear program over the covers seen so far proposes the next prices (Dantzig-Wolfe decomposition by model);
when no model finds a new cover, no prices are better. Floating point only proposes: prices are rounded to
decimals and everything else is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.provisioning.certificate import CertificateKind, Leaf
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.columns import TINY, ColumnPool, Mixture
from hercules_opt.provisioning.engine.cover import Cover, least_cover
from hercules_opt.provisioning.engine.listing import Charges, cheapest_plan
from hercules_opt.provisioning.engine.multipliers import lp_multipliers
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact, float_at_most, stated

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray

_ROUND_LIMIT = 200
#: Nodes of each covering knapsack: first few, since any new cover helps, then many to settle the bound.
_QUICK_NODES = 500
_THOROUGH_NODES = 50_000
_MOST_PENALTY = 1e9


@dataclass(frozen=True)
class Priced:
    """A leaf for a box, its exact bound in W (``None``: the box is empty) and the last mixture."""

    leaf: Leaf
    bound: Fraction | None
    mixture: Mixture | None = None


class PriceSearch:
    """The search for prices in a box, and the columns that it leads to.

    Parameters
    ----------
    interval
        The interval.
    kind
        ``"bound"``: servers cost their power. ``"infeasible"``: they cost nothing but their price.
    best
        Known counts that cover; their covers are the first ones seen.
    """

    def __init__(self, interval: ExactInterval, kind: CertificateKind, best: Rows | None) -> None:
        """Choose the grid on which prices and costs are whole numbers."""
        self.interval = interval
        self._with_power = kind == "bound"
        unit = interval.cost_unit if self._with_power else Fraction(1)
        dearest = float(max(map(max, interval.costs)) * unit) if self._with_power else 1.0
        self._scale = dearest or 1.0
        self._digits = max(0, 10 - math.ceil(math.log10(self._scale)))
        self._grid = math.lcm(10**self._digits, unit.denominator)
        self._step = unit
        watts = unit * self._grid if self._with_power else Fraction(0)
        self._costs = [tuple(int(cost * watts) for cost in row) for row in interval.costs]
        active = [m for m, need in enumerate(interval.needs) if need > 0]
        self.columns = ColumnPool(active, len(interval.needs), interval.available)
        self._known: dict[tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]], Cover | None] = {}
        self._penalty = 1e3 if self._with_power else 1.0
        if best is not None:
            self._penalty = max(1.0, float(interval.cost(best) * unit) / self._scale)
            for m, counts in enumerate(best):
                self._add(m, counts)

    def improve(
        self, box: Box, start: Leaf | None, enough: Callable[[Fraction | None], bool], effort: Effort
    ) -> Priced:
        """Raise the bound of a box, from a leaf to begin at, until it is enough or no prices are better."""
        best: Priced | None = None
        for prices in self._first_prices(box, start):
            best = _better(best, self._priced(box, prices, _QUICK_NODES))
            if enough(best.bound) or effort.expired:
                return best
        assert best is not None
        penalty, nodes = self._penalty, _QUICK_NODES
        for _ in range(_ROUND_LIMIT):
            mixture = self.columns.mix(box, penalty)
            if mixture is None:
                return best
            seen = len(self.columns)
            best = replace(
                _better(best, self._priced(box, mixture.prices * self._scale, nodes)), mixture=mixture
            )
            if enough(best.bound) or best.bound is None or effort.expired:
                return best
            tight = mixture.value - float(best.bound) / self._scale <= 1e-9 * max(1.0, abs(mixture.value))
            if len(self.columns) > seen and not tight:
                continue
            if nodes == _QUICK_NODES and not tight:
                nodes = _THOROUGH_NODES
            elif mixture.overuse > TINY and penalty < _MOST_PENALTY:
                penalty *= 1e3
            else:
                return best
        return best

    def at(self, box: Box, prices: Sequence[float]) -> Priced:
        """Return the bound of a box at given prices."""
        return self._priced(box, prices, _THOROUGH_NODES)

    def plan(self, whole: Priced, best: Rows | None) -> Rows | None:
        """Combine the columns that a plan better than ``best`` can have, given the bound of the whole box."""
        room = math.inf
        if best is not None and whole.bound is not None:
            room = float(self.interval.cost(best) * self.interval.cost_unit - whole.bound) / self._scale
        return self.columns.plan(np.array(whole.leaf.multipliers) / self._scale, room)

    def listed(self, box: Box, leaf: Leaf, ceiling_w: Fraction | None) -> tuple[Leaf, Rows | None, bool]:
        """List the plans of a box below a power, as far as the lists stay short.

        Return the leaf with the bound that this shows, the cheapest plan if one was seen, and whether all
        were looked at.
        """
        if any(least is None for least in leaf.least):
            return leaf, None, True
        charges = Charges(
            tuple(self._costs),
            tuple(int(exact(price) * self._grid) for price in leaf.multipliers),
            tuple(math.floor(exact(least) * self._grid) for least in leaf.least if least is not None),
            int(self._step * self._grid),
        )
        ceiling = None if ceiling_w is None else math.floor(ceiling_w * self._grid)
        answer = cheapest_plan(self.interval, box, charges, ceiling)
        figure = stated(Fraction(answer.bound, self._grid))
        return replace(leaf, listed=figure), answer.counts, answer.complete

    def _first_prices(self, box: Box, start: Leaf | None) -> list[Sequence[float]]:
        zero = [0.0] * len(self.interval.available)
        if start is not None:
            return [start.multipliers]
        return [zero, lp_multipliers(self.interval, box).tolist()] if self._with_power else [zero]

    def _priced(self, box: Box, prices: Sequence[float] | FloatArray, nodes: int) -> Priced:
        """Return the exact bound at these prices, and remember the covers they lead to."""
        rounded = tuple(round(float(price), self._digits) + 0.0 for price in prices)
        whole = [int(exact(price) * self._grid) for price in rounded]
        least: list[float | None] = []
        for m in range(len(self.interval.needs)):
            costs = tuple(cost + price for cost, price in zip(self._costs[m], whole, strict=True))
            cover = self._cover(m, costs, box, nodes)
            least.append(None if cover is None else float_at_most(Fraction(cover.bound, self._grid)))
            if cover is not None and cover.counts is not None:
                self._add(m, cover.counts)
        return Priced(Leaf(rounded, tuple(least)), self._value(rounded, least))

    def _cover(self, model: int, costs: tuple[int, ...], box: Box, nodes: int) -> Cover | None:
        """Return the model's cheapest cover; splitting one model's counts leaves the others' as they were."""
        key = (model, costs, box.low[model], box.high[model])
        if key in self._known:
            known = self._known[key]
            if known is None or known.cost == known.bound or nodes == _QUICK_NODES:
                return known
        rates, need = self.interval.rates[model], self.interval.needs[model]
        self._known[key] = least_cover(rates, costs, need, box.low[model], box.high[model], nodes)
        return self._known[key]

    def _value(self, prices: Sequence[float], least: Sequence[float | None]) -> Fraction | None:
        paid = [exact(figure) for figure in least if figure is not None]
        if len(paid) < len(least):
            return None
        earned = [exact(price) * count for price, count in zip(prices, self.interval.available, strict=True)]
        return sum(paid, Fraction(0)) - sum(earned, Fraction(0))

    def _add(self, model: int, counts: tuple[int, ...]) -> None:
        if self.interval.needs[model] > 0 and (model, counts) not in self.columns:
            cost = sum(price * count for price, count in zip(self._costs[model], counts, strict=True))
            self.columns.add((model, counts), float(Fraction(cost, self._grid)) / self._scale)


def _better(old: Priced | None, new: Priced) -> Priced:
    if old is None or new.bound is None:
        return new
    return new if old.bound is not None and new.bound > old.bound else old
