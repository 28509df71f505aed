"""Choose one of each model's listed covers within availability.

What is left over of a priced type costs its price, which leaves few combinations that are cheap enough. Of
combinations that use the same servers the cheapest is kept. The servers in use are fields of a few machine
words, each with a bit to spare that tells whether more are used than available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hercules_opt.provisioning.engine.cover_lists import Covers, places
from hercules_opt.provisioning.programs.exact import Rows

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import IntArray

#: Bits of a word, without its sign.
_WORD = 63
#: Choices of equal cost that are returned at most.
_MOST_EQUAL = 1000


@dataclass(frozen=True)
class Stock:
    """Servers of each type and their prices.

    Parameters
    ----------
    prices
        In units of 2^bits, rounded down.
    available
        Servers of each type.
    bits
        Digits (binary) that costs leave to their rests.
    rounding
        By how much rounding may lower the price of what is idle.
    """

    prices: IntArray
    available: IntArray
    bits: int
    rounding: int


@dataclass(frozen=True)
class Choices:
    """The choices of least cost.

    Parameters
    ----------
    total
        Least cost with the price of all servers that are left, rounded down.
    rows
        All choices that rounding cannot tell from it; none if no choice is below the limit.
    all_listed
        Whether there are no more of them.
    """

    total: int
    rows: tuple[Rows, ...]
    all_listed: bool


def cheapest_choices(
    lists: Sequence[Covers], stock: Stock, limit: int, most: int, beam: int | None = None
) -> Choices | None:
    """Choose a cover per model, cheapest with the price of all servers that are left.

    ``None`` if a step has more combinations than ``most``. A beam keeps only so many of them, the most
    promising, and may miss the cheapest.
    """
    nothing = Choices(limit, (), all_listed=True)
    order = sorted(range(len(lists)), key=lambda m: len(lists[m].costs))
    if not len(lists[order[0]].costs):
        return nothing
    use = [covers.counts.max(axis=0) for covers in lists]
    scarce = np.flatnonzero((sum(use) > stock.available) | (stock.prices > 0))
    fields = _Fields.of(stock.prices[scarce], stock.available[scarce])
    costs, rests = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    used = fields.packed(np.zeros((1, len(scarce)), dtype=np.int64))
    steps: list[tuple[IntArray, IntArray]] = []
    for place, m in enumerate(order):
        rest = order[place + 1 :]
        later_cost = sum(int(lists[other].costs[0]) for other in rest)
        later_use = sum((use[other][scarce] for other in rest), np.zeros(len(scarce), dtype=np.int64))
        covers = lists[m]
        idle = fields.idle_cost(used, later_use + use[m][scarce])
        number = np.searchsorted(covers.costs, limit - later_cost - costs - idle)
        if int(number.sum()) > most:
            return None
        parent, choice = np.repeat(np.arange(len(costs)), number), places(number)
        used = used[parent] + fields.packed(covers.counts[:, scarce])[choice]
        fit = np.flatnonzero(fields.fits(used))
        parent, choice, used = parent[fit], choice[fit], used[fit]
        rests = rests[parent] + covers.rests[choice]
        costs = costs[parent] + covers.costs[choice] + (rests >> stock.bits)
        rests &= (1 << stock.bits) - 1
        kept = _cheapest_of_equal(used, costs, rests)
        idle = fields.idle_cost(used[kept], later_use)
        below = costs[kept] + later_cost + idle < limit
        kept, idle = kept[below], idle[below]
        if beam is not None and len(kept) > beam:
            kept = kept[np.argpartition(costs[kept] + idle, beam)[:beam]]
        costs, rests, used = costs[kept], rests[kept], used[kept]
        steps.append((parent[kept], choice[kept]))
        if not len(costs):
            return nothing
    totals = costs + fields.idle_cost(used, np.zeros(len(scarce), dtype=np.int64))
    total = int(totals.min())
    best = np.flatnonzero(totals <= total + stock.rounding)[:_MOST_EQUAL]
    rows = tuple(_traced(lists, order, steps, int(place)) for place in best)
    return Choices(total, rows, all_listed=len(best) < _MOST_EQUAL)


def useful(lists: Sequence[Covers], stock: Stock, limit: int) -> list[Covers]:
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
            idle = np.clip(stock.available - covers.counts - (all_most - most[m]), 0, None) @ stock.prices
            kept = covers.costs + (all_cheapest - cheapest[m]) + idle < limit
            kept &= (covers.counts <= stock.available - (all_fewest - fewest[m])).all(axis=1)
            if not kept.all():
                lists[m] = covers[kept]
                shrinks = True
    return lists


def _cheapest_of_equal(used: IntArray, costs: IntArray, rests: IntArray) -> IntArray:
    """Return the place of the cheapest of all combinations that use the same servers, for each use."""
    order: IntArray = np.lexsort((rests, costs, *used.T))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (used[order[1:]] != used[order[:-1]]).any(axis=1)
    return order[new]


def _traced(
    lists: Sequence[Covers], order: Sequence[int], steps: Sequence[tuple[IntArray, IntArray]], place: int
) -> Rows:
    """Return the covers that lead to a combination."""
    rows: dict[int, tuple[int, ...]] = {}
    for m, (parent, choice) in zip(reversed(order), reversed(steps), strict=True):
        rows[m] = tuple(int(count) for count in lists[m].counts[choice[place]])
        place = int(parent[place])
    return tuple(rows[m] for m in range(len(lists)))


@dataclass(frozen=True)
class _Fields:
    """Counts of several types packed into words: an array of shape (n, types) becomes one of (n, words)."""

    available: IntArray
    prices: IntArray
    word: tuple[int, ...]
    offset: tuple[int, ...]
    full: IntArray
    spare: IntArray

    @classmethod
    def of(cls, prices: IntArray, available: IntArray) -> _Fields:
        """Lay out the fields; each holds twice what is available, and the top bit is the one to spare."""
        word, offset = [0], [0]
        widths = [int(count).bit_length() + 1 for count in available]
        for width, following in pairwise(widths):
            end = offset[-1] + width
            fits = end + following <= _WORD
            word.append(word[-1] if fits else word[-1] + 1)
            offset.append(end if fits else 0)
        word, offset = word[: len(widths)], offset[: len(widths)]
        spare = np.zeros(max(word, default=0) + 1, dtype=np.int64)
        for place, shift, width in zip(word, offset, widths, strict=True):
            spare[place] |= 1 << (shift + width - 1)
        fields = cls(available, prices, tuple(word), tuple(offset), np.zeros_like(spare), spare)
        return replace(fields, full=fields.packed(available[np.newaxis, :])[0] | spare)

    def packed(self, counts: IntArray) -> IntArray:
        """Return counts as words."""
        words = np.zeros((len(counts), len(self.spare)), dtype=np.int64)
        for h, (place, shift) in enumerate(zip(self.word, self.offset, strict=True)):
            words[:, place] |= counts[:, h] << shift
        return words

    def fits(self, used: IntArray) -> npt.NDArray[np.bool_]:
        """Return whether no type is used more often than it is available."""
        fits: npt.NDArray[np.bool_] = ((self.full - used) & self.spare == self.spare).all(axis=1)
        return fits

    def idle_cost(self, used: IntArray, later: IntArray) -> IntArray:
        """Return the price of what stays idle even if ``later`` is used as well."""
        cost = np.zeros(len(used), dtype=np.int64)
        for h, (place, shift) in enumerate(zip(self.word, self.offset, strict=True)):
            reach = int(self.available[h] - later[h])
            if reach > 0 and self.prices[h] > 0:
                mask = (1 << int(self.available[h]).bit_length()) - 1
                cost += np.maximum(reach - ((used[:, place] >> shift) & mask), 0) * self.prices[h]
        return cost
