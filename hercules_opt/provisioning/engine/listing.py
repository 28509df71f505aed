"""Close a box by listing: which combinations of covers could still cost less than a given figure.

At prices with a good bound, a plan below the figure can only be made of covers that cost each model little
more than its least. These are listed, model by model and type by type, and combined within availability;
what is left over of a priced type costs its price, which leaves few combinations. Numbers are whole, rounded
where they need more digits than a machine word so that no plan is lost and none is overrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.provisioning.engine.choice import Stock, cheapest_choices, useful
from hercules_opt.provisioning.engine.cover_lists import BITS, MOST_RESTS, Covers, Rounded, covers_below
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import IntArray

#: Combinations looked at in one step at which listing gives up.
MOST_COMBINATIONS = 1_000_000
#: Combinations in one step at which a first plan is worth a search, and those that this search keeps.
_FEW_COMBINATIONS = 100_000
_BEAM = 500

#: The first plans listed are above the bound by up to one part in so many; half as far again with every step.
_FIRST_SHARE = 2000
_STEPS = 20
#: How much farther than needed covers are listed, for the steps that follow.
_AHEAD = 4


@dataclass(frozen=True)
class Listed:
    """What a listing shows.

    Parameters
    ----------
    bound
        No plan in the box costs less.
    counts
        The cheapest plan below the ceiling, to the rounding of the listing; ``None`` if none was seen.
    complete
        Whether every plan below the ceiling was looked at; else the lists grew too long.
    """

    bound: int
    counts: Rows | None
    complete: bool


@dataclass(frozen=True)
class Charges:
    """Costs and prices in whole numbers on one grid.

    Parameters
    ----------
    costs
        Cost of one server, a row per model.
    prices
        Price of one server of each type on top of its cost.
    least
        What each model pays at least for a cover in the box, prices included.
    step
        Costs of plans are whole multiples of it.
    """

    costs: Rows
    prices: tuple[int, ...]
    least: tuple[int, ...]
    step: int

    def cost(self, counts: Rows) -> int:
        """Return the cost of counts without prices."""
        return sum(
            cost * count
            for costs, row in zip(self.costs, counts, strict=True)
            for cost, count in zip(costs, row, strict=True)
        )


def cheapest_plan(interval: ExactInterval, box: Box, charges: Charges, ceiling: int | None) -> Listed:
    """Look for the cheapest plan in a box: first a little above the bound of the prices, then farther.

    Parameters
    ----------
    interval, box
        What is to be covered, and within which counts.
    charges
        Costs, prices and least costs.
    ceiling
        Cost that plans must be below; ``None``: any.
    """
    worth = sum(price * count for price, count in zip(charges.prices, interval.available, strict=True))
    start = sum(charges.least) - worth
    step = charges.step
    first = -(-start // step) * step + 1  # just above the least cost that a plan can have
    bound, room = start, max(start // _FIRST_SHARE, 1)
    lists: _Lists | None = None
    for _ in range(_STEPS):
        figure = max(start + room, first) if ceiling is None else min(max(start + room, first), ceiling)
        figure = (figure - 1) // step * step + 1  # just above the highest cost below it
        if figure <= start:
            return Listed(figure - 1 + step, None, complete=True)
        if lists is None or figure - start > lists.room:
            lists = _Lists.within(interval, box, charges, worth, _AHEAD * (figure - start)) or _Lists.within(
                interval, box, charges, worth, figure - start
            )
        choice = None if lists is None else lists.cheapest_below(figure)
        if choice is None:
            return Listed(bound, None, complete=False)
        if choice.counts is not None:
            return choice
        bound = max(bound, figure - 1 + step)
        if ceiling is not None and bound >= ceiling:
            return Listed(bound, None, complete=True)
        room += room // 2 + 1
    return Listed(bound, None, complete=False)


@dataclass(frozen=True)
class _Lists:
    """Each model's covers that cost less than ``room`` above its least, costs rounded to ``bits`` digits."""

    covers: tuple[Covers, ...]
    room: int
    charges: Charges
    worth: int
    bits: int
    prices: IntArray
    available: IntArray

    @classmethod
    def within(
        cls, interval: ExactInterval, box: Box, charges: Charges, worth: int, room: int
    ) -> _Lists | None:
        """List the covers; ``None`` if they are too many."""
        bits = max(0, (sum(charges.least) + room).bit_length() - BITS)
        lists: list[Covers] = []
        for m, least in enumerate(charges.least):
            costs = [cost + price for cost, price in zip(charges.costs[m], charges.prices, strict=True)]
            covers = covers_below(
                interval.rates[m],
                Rounded.of(costs, bits),
                interval.needs[m],
                box.low[m],
                box.high[m],
                -(-(least + room) >> bits),
            )
            if covers is None:
                return None
            lists.append(covers)
        prices = np.array([price >> bits for price in charges.prices], dtype=np.int64)
        available = np.array(interval.available, dtype=np.int64)
        return cls(tuple(lists), room, charges, worth, bits, prices, available)

    def cheapest_below(self, figure: int) -> Listed | None:
        """Return the cheapest plan below a figure; ``None`` if combinations are too many."""
        most = figure + self.worth  # of costs and prices together
        limit = -(-most >> self.bits)
        room = most - sum(self.charges.least)  # that all models have above their least
        lists = [
            covers.below(-(-(least + room) >> self.bits))
            for covers, least in zip(self.covers, self.charges.least, strict=True)
        ]
        # The price of what is idle is rounded down for each server.
        rounding = 1 + int(self.available[self.prices > 0].sum()) if self.bits else 0
        stock = Stock(self.prices, self.available, self.bits, rounding)
        lists = useful(lists, stock, limit)
        chosen = cheapest_choices(lists, stock, limit, _FEW_COMBINATIONS)
        if chosen is None:  # a plan that is found roughly leaves less to look at
            rough = cheapest_choices(lists, stock, limit, MOST_COMBINATIONS, _BEAM)
            if rough is not None and rough.rows:
                limit = min(limit, rough.total + rounding + 1)
            chosen = cheapest_choices(useful(lists, stock, limit), stock, limit, MOST_COMBINATIONS)
        if chosen is None:
            return None
        if not chosen.rows:
            return Listed(figure, None, complete=True)
        counts = min(chosen.rows, key=self.charges.cost)
        least = self.charges.cost(counts)
        if not chosen.all_listed or self.bits > MOST_RESTS:
            least = min(least, (chosen.total << self.bits) - self.worth)
        return Listed(least, counts, complete=True)
