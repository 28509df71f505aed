"""Close a box by listing: which combinations of covers could still cost less than a given figure.

At prices with a good bound, a plan below the figure can only be made of covers that cost each model little
more than its least. These are listed, model by model and type by type, and combined within availability;
what is left over of a priced type costs its price, which leaves few combinations. Numbers are whole; those
that need more digits than a machine word are rounded so that no plan is lost and none is overrated: costs
down, rates up, needs down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hercules_opt.provisioning.box import Box
from hercules_opt.provisioning.exact import ExactInterval, Rows

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray, IntArray

#: Partial covers of one model, and partial combinations, at which listing gives up.
MOST_COVERS = 40_000
MOST_COMBINATIONS = 1_000_000

#: The first plans listed are above the bound by up to one part in so many; half as far again with every step.
_FIRST_SHARE = 2000
_STEPS = 20
#: How much farther than needed covers are listed, for the steps that follow.
_AHEAD = 4

#: Combinations kept at a time by the search for a first plan.
_BEAM = 200

#: Digits (binary) of the numbers that are listed; sums of a few stay within a machine word.
_BITS = 52
#: Allowance for rounding in the bounds that cut partial covers: those within it are kept.
_SLACK = 1e-11


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
    """

    costs: Rows
    prices: tuple[int, ...]
    least: tuple[int, ...]


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
    bound, room = start, max(start // _FIRST_SHARE, 1)
    lists: _Lists | None = None
    for _ in range(_STEPS):
        figure = start + room if ceiling is None else min(start + room, ceiling)
        if lists is None or figure - start > lists.room:
            lists = _Lists.within(interval, box, charges, worth, _AHEAD * room) or _Lists.within(
                interval, box, charges, worth, room
            )
        choice = None if lists is None else lists.cheapest_below(figure)
        if choice is None:
            return Listed(bound, None, complete=False)
        bound = max(bound, choice.bound)
        if choice.counts is not None or figure == ceiling:
            return choice
        room += room // 2 + 1
    return Listed(bound, None, complete=False)


@dataclass(frozen=True)
class _Lists:
    """Each model's covers that cost at most ``room`` above its least, rounded to ``shift`` binary digits."""

    covers: tuple[_Covers, ...]
    room: int
    least: tuple[int, ...]
    worth: int
    shift: int
    prices: IntArray
    available: IntArray

    @classmethod
    def within(
        cls, interval: ExactInterval, box: Box, charges: Charges, worth: int, room: int
    ) -> _Lists | None:
        """List the covers; ``None`` if they are too many."""
        shift = max(0, (sum(charges.least) + room).bit_length() - _BITS)
        lists: list[_Covers] = []
        for m, least in enumerate(charges.least):
            costs = [
                (cost + price) >> shift for cost, price in zip(charges.costs[m], charges.prices, strict=True)
            ]
            limit = -(-(least + room) >> shift)
            covers = _covers_below(
                interval.rates[m], costs, interval.needs[m], box.low[m], box.high[m], limit
            )
            if covers is None:
                return None
            lists.append(covers)
        return cls(
            tuple(lists),
            room,
            charges.least,
            worth,
            shift,
            np.array([price >> shift for price in charges.prices], dtype=np.int64),
            np.array(interval.available, dtype=np.int64),
        )

    def cheapest_below(self, figure: int) -> Listed | None:
        """Return the cheapest plan below a figure; ``None`` if combinations are too many."""
        most = figure + self.worth  # of costs and prices together
        limit = -(-most >> self.shift)
        room = most - sum(self.least)  # that all models have above their least
        lists = [
            covers.below(-(-(least + room) >> self.shift))
            for covers, least in zip(self.covers, self.least, strict=True)
        ]
        rough = _cheapest_choice(lists, self.prices, self.available, limit, _BEAM)
        if rough is not None and rough[1] is not None:
            limit = rough[0] + 1
        chosen = _cheapest_choice(lists, self.prices, self.available, limit)
        if chosen is None:
            return None
        total, counts = chosen
        bound = figure if counts is None else min(figure, (total << self.shift) - self.worth)
        return Listed(bound, counts, complete=True)


@dataclass(frozen=True)
class _Covers:
    """Covers of one model: server counts, shape (covers, h), and costs, shape (covers,), cheapest first."""

    counts: IntArray
    costs: IntArray

    def below(self, limit: int) -> _Covers:
        """Return those that cost less than a limit."""
        number = int(np.searchsorted(self.costs, limit))
        return _Covers(self.counts[:number], self.costs[:number])


def _covers_below(
    rates: Sequence[int],
    costs: Sequence[int],
    need: int,
    low: Sequence[int],
    high: Sequence[int],
    limit: int,
) -> _Covers | None:
    """List the covers that cost less than ``limit`` and can spare no server; ``None`` if they are too many.

    A cover is built type by type, the cheapest per unit of coverage first, and cut where fractional servers
    of the types that follow cannot end below the limit.
    """
    base = sum(cost * count for cost, count in zip(costs, low, strict=True))
    left = need - sum(rate * count for rate, count in zip(rates, low, strict=True))
    if left <= 0:
        found = [(tuple(low), base)] if base < limit else []
        return _Covers(
            np.array([counts for counts, _ in found], dtype=np.int64).reshape(len(found), len(low)),
            np.array([cost for _, cost in found], dtype=np.int64),
        )
    shift = max(0, left.bit_length() - _BITS)
    # A server counts for no more than the need: the same covers, and better bounds.
    clipped = [-(-min(rate, left) >> shift) for rate in rates]
    left >>= shift
    types = [h for h, rate in enumerate(rates) if rate > 0 and high[h] > low[h] and base + costs[h] < limit]
    types.sort(key=lambda h: costs[h] / clipped[h])
    steps = _Steps.of(
        [clipped[h] for h in types],
        [costs[h] for h in types],
        [_most(high[h] - low[h], clipped[h], costs[h], left, limit - base) for h in types],
        limit,
    )
    listed = steps.covers(left, base)
    if listed is None:
        return None
    taken, spare, paid = listed
    needless = (taken > 0) & (np.array(steps.rates, dtype=np.int64) <= spare[:, np.newaxis])
    kept = np.flatnonzero(~needless.any(axis=1))
    kept = kept[np.argsort(paid[kept], kind="stable")]
    counts = np.tile(np.array(low, dtype=np.int64), (len(kept), 1))
    counts[:, types] += taken[kept]
    return _Covers(counts, paid[kept])


def _most(span: int, rate: int, cost: int, left: int, limit: int) -> int:
    """Return the most servers of a type that are of use and cost less than the limit."""
    most = min(span, -(-left // rate))
    return min(most, (limit - 1) // cost) if cost else most


@dataclass(frozen=True)
class _Steps:
    """Types in the order they are decided, and what all before them reach and cost."""

    rates: list[int]
    costs: list[int]
    spans: list[int]
    limit: int
    reach: FloatArray
    paid: FloatArray
    ratios: FloatArray

    @classmethod
    def of(cls, rates: list[int], costs: list[int], spans: list[int], limit: int) -> _Steps:
        counts = np.array(spans, dtype=np.float64)
        reach = np.concatenate([[0.0], np.cumsum(counts * rates)])
        paid = np.concatenate([[0.0], np.cumsum(counts * costs)])
        return cls(rates, costs, spans, limit, reach, paid, np.array(costs) / np.array(rates))

    def covers(self, left: int, base: int) -> tuple[IntArray, IntArray, IntArray] | None:
        """Return counts (in this order of types), coverage to spare and cost of every cover."""
        types = len(self.rates)
        lefts, costs = np.array([left], dtype=np.int64), np.array([base], dtype=np.int64)
        taken = np.zeros((1, types), dtype=np.int64)
        ended: list[tuple[IntArray, IntArray, IntArray]] = []
        for step in range(types):
            most = np.minimum(self.spans[step], -(-lefts // self.rates[step]))
            number = most - self._fewest(step, lefts, costs) + 1
            np.clip(number, 0, None, out=number)
            total = int(number.sum())
            if total > MOST_COVERS:
                return None
            parent = np.repeat(np.arange(len(lefts)), number)
            count = most[parent] - _places(number)
            lefts, costs = lefts[parent] - count * self.rates[step], costs[parent] + count * self.costs[step]
            taken = taken[parent]
            taken[:, step] = count
            end = np.flatnonzero((lefts <= 0) & (costs < self.limit))
            ended.append((taken[end], -lefts[end], costs[end]))
            goes_on = np.flatnonzero(self._may_end(step + 1, lefts, costs))
            lefts, costs, taken = lefts[goes_on], costs[goes_on], taken[goes_on]
        return (
            np.concatenate([entry[0] for entry in ended]) if ended else taken[:0],
            np.concatenate([entry[1] for entry in ended]) if ended else lefts[:0],
            np.concatenate([entry[2] for entry in ended]) if ended else costs[:0],
        )

    def _fewest(self, step: int, lefts: IntArray, costs: IntArray) -> IntArray:
        """Return a count of the step's type below which nothing ends under the limit."""
        if step + 1 == len(self.rates):
            return -(-lefts // self.rates[step])
        ratio = float(self.ratios[step + 1])
        saved = self.rates[step] * ratio - self.costs[step]  # by one server more
        if saved <= 1e-4 * self.costs[step]:
            return np.zeros(len(lefts), dtype=np.int64)
        fewest = (costs + lefts * ratio - self.limit * (1 + _SLACK)) / saved - 0.01
        return np.clip(np.ceil(fewest), 0, self.spans[step]).astype(np.int64)

    def _may_end(self, step: int, lefts: IntArray, costs: IntArray) -> npt.NDArray[np.bool_]:
        """Return whether fractional servers of the types from ``step`` on cover the rest below the limit."""
        targets = lefts + self.reach[step]
        last = np.searchsorted(self.reach, targets * (1 - _SLACK)) - 1
        inside = (lefts > 0) & (last < len(self.rates))
        last = np.clip(last, step, max(step, len(self.rates) - 1))
        if step == len(self.rates):
            return np.zeros(len(lefts), dtype=bool)
        least = costs + self.paid[last] - self.paid[step] + (targets - self.reach[last]) * self.ratios[last]
        allowance = _SLACK * (self.limit + self.reach[-1] * self.ratios[-1])
        may_end: npt.NDArray[np.bool_] = inside & (least < self.limit + allowance)
        return may_end


def _places(numbers: IntArray) -> IntArray:
    """Return 0, 1, ... within each of several groups of the given sizes."""
    return np.arange(int(numbers.sum())) - np.repeat(np.cumsum(numbers) - numbers, numbers)


def _cheapest_choice(
    lists: Sequence[_Covers],
    prices: IntArray,
    available: IntArray,
    limit: int,
    beam: int | None = None,
) -> tuple[int, Rows | None] | None:
    """Choose a cover per model within availability, cheapest with the price of all servers that are left.

    Returns the total, and ``None`` as rows if none is below the limit; ``None`` if combinations are too many.
    """
    lists = _useful(lists, prices, available, limit)
    order = sorted(range(len(lists)), key=lambda m: len(lists[m].costs))
    if not len(lists[order[0]].costs):
        return limit, None
    use = [covers.counts.max(axis=0) for covers in lists]
    scarce = np.flatnonzero((sum(use) > available) | (prices > 0))
    prices, available = prices[scarce], available[scarce]
    costs, used = np.zeros(1, dtype=np.int64), np.zeros((1, len(scarce)), dtype=np.int64)
    steps: list[tuple[IntArray, IntArray]] = []
    for place, m in enumerate(order):
        rest = order[place + 1 :]
        later_cost = sum(int(lists[other].costs[0]) for other in rest)
        later_use = sum((use[other][scarce] for other in rest), np.zeros(len(scarce), dtype=np.int64))
        covers = lists[m]
        # What is left over of priced types at the very least costs its price.
        idle = np.clip(available - used - later_use - use[m][scarce], 0, None) @ prices
        number = np.searchsorted(covers.costs, limit - later_cost - costs - idle)
        if int(number.sum()) > MOST_COMBINATIONS:
            return None
        parent, choice = np.repeat(np.arange(len(costs)), number), _places(number)
        costs, used = costs[parent] + covers.costs[choice], used[parent] + covers.counts[choice][:, scarce]
        fits = (used <= available).all(axis=1)
        idle = np.clip(available - used - later_use, 0, None) @ prices
        kept = np.flatnonzero(fits & (costs + later_cost + idle < limit))
        kept = kept[_cheapest_of_equal(used[kept], costs[kept])]
        if beam is not None and len(kept) > beam:
            kept = kept[np.argpartition((costs + idle)[kept], beam)[:beam]]
        costs, used = costs[kept], used[kept]
        steps.append((parent[kept], choice[kept]))
        if not len(costs):
            return limit, None
    totals = costs + (available - used) @ prices
    best = int(np.argmin(totals))
    return int(totals[best]), _traced(lists, order, steps, best)


def _useful(lists: Sequence[_Covers], prices: IntArray, available: IntArray, limit: int) -> list[_Covers]:
    """Leave out covers that fit no choice below the limit, whatever the other models take."""
    lists = list(lists)
    shrinks = True
    while shrinks and all(len(covers.costs) for covers in lists):
        shrinks = False
        most = [covers.counts.max(axis=0) for covers in lists]
        fewest = [covers.counts.min(axis=0) for covers in lists]
        cheapest = [int(covers.costs[0]) for covers in lists]
        all_most, all_fewest, all_cheapest = sum(most), sum(fewest), sum(cheapest)
        for m, covers in enumerate(lists):
            idle = np.clip(available - covers.counts - (all_most - most[m]), 0, None) @ prices
            kept = covers.costs + (all_cheapest - cheapest[m]) + idle < limit
            kept &= (covers.counts <= available - (all_fewest - fewest[m])).all(axis=1)
            if not kept.all():
                lists[m] = _Covers(covers.counts[kept], covers.costs[kept])
                shrinks = True
    return lists


def _cheapest_of_equal(used: IntArray, costs: IntArray) -> IntArray:
    """Return the place of the cheapest of all combinations that use the same servers, for each use."""
    keys = _keys(used)
    order = np.lexsort((costs, *keys))
    if not len(order):
        return order
    new = np.zeros(len(order), dtype=bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[order[1:]] != key[order[:-1]]
    return order[new]


def _keys(used: IntArray) -> list[IntArray]:
    """Return a few numbers per row that tell rows apart."""
    keys: list[IntArray] = []
    size = 1
    key = np.zeros(len(used), dtype=np.int64)
    for column in used.T:
        span = int(column.max(initial=0)) + 1
        if size * span >= 2**62:
            keys.append(key)
            key, size = np.zeros(len(used), dtype=np.int64), 1
        key = key * span + column
        size *= span
    return [*keys, key]


def _traced(
    lists: Sequence[_Covers], order: Sequence[int], steps: Sequence[tuple[IntArray, IntArray]], place: int
) -> Rows:
    """Return the covers that lead to a combination."""
    rows: dict[int, tuple[int, ...]] = {}
    for m, (parent, choice) in zip(reversed(order), reversed(steps), strict=True):
        rows[m] = tuple(int(count) for count in lists[m].counts[choice[place]])
        place = int(parent[place])
    return tuple(rows[m] for m in range(len(lists)))
