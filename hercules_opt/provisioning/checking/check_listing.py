"""Check by listing that no plan of an interval is below a figure; exact, sharing no code with the solvers.

Every plan costs, prices included, the sum of its models' covers and the price of the servers it leaves idle.
If that is below the figure, then each cover is below the figure minus what the other models pay at least.
Those covers are listed and combined model by model; of combinations that use the same servers the cheapest is
kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

#: Partial covers and combinations looked at before giving up.
_MOST_STEPS = 20_000_000


class ListingError(Exception):
    """A listing that takes too long."""


@dataclass(frozen=True)
class Offer:
    """What one model can take and needs: rate, cost with price, lowest and highest count per type."""

    rates: tuple[Fraction, ...]
    costs: tuple[Fraction, ...]
    need: Fraction
    low: tuple[int, ...]
    high: tuple[int, ...]


@dataclass(frozen=True)
class _Cover:
    """A cover's cost, and the servers it takes of each type."""

    cost: int
    counts: tuple[int, ...]


def nothing_below(
    figure: Fraction,
    offers: Sequence[Offer],
    least: Sequence[Fraction],
    prices: Sequence[Fraction],
    available: tuple[int, ...],
) -> bool:
    """Return whether no choice of covers within availability, idle servers at their price, is below a figure.

    Parameters
    ----------
    figure
        Cost with prices, of servers in use or idle.
    offers
        One per model.
    least
        What each model pays at least; shown elsewhere.
    prices, available
        Per server type.
    """
    unit = _unit([figure, *least, *prices, *(cost for offer in offers for cost in offer.costs)])
    room = figure - sum(least, Fraction(0))
    steps = _Steps()
    lists: list[list[_Cover]] = []
    for offer, pays in zip(offers, least, strict=True):
        lists.append(_covers_below(offer, int((pays + room) / unit), unit, steps))
        if not lists[-1]:
            return True
    whole_prices = [int(price / unit) for price in prices]
    return _no_choice_below(int(figure / unit), lists, whole_prices, available, steps)


class _Steps:
    """Counts steps, and stops at too many."""

    def __init__(self) -> None:
        self.taken = 0

    def take(self, number: int) -> None:
        self.taken += number
        if self.taken > _MOST_STEPS:
            raise ListingError(f"a leaf was not listed within {_MOST_STEPS} steps")


def _covers_below(offer: Offer, limit: int, unit: Fraction, steps: _Steps) -> list[_Cover]:
    """List the covers below a limit, cheapest first, except those that can spare a server."""
    low = offer.low
    base = sum(int(cost / unit) * count for cost, count in zip(offer.costs, low, strict=True))
    need = offer.need - sum((rate * count for rate, count in zip(offer.rates, low, strict=True)), Fraction(0))
    if need <= 0:
        return [_Cover(base, low)] if base < limit else []
    unit_qps = _unit([*offer.rates, need])
    items = sorted(
        (cost / rate, h, int(min(rate, need) / unit_qps), int(cost / unit), top - bottom)
        for h, (rate, cost, bottom, top) in enumerate(
            zip(offer.rates, offer.costs, low, offer.high, strict=True)
        )
        if rate > 0 and top > bottom
    )
    types = [item[1] for item in items]
    steps_of_types = [item[2:] for item in items]
    # Coverage missing, cost, smallest rate taken so far, counts in the order of the items.
    partial: list[tuple[int, int, int, tuple[int, ...]]] = [(int(need / unit_qps), base, 0, ())]
    found: list[_Cover] = []
    for place, (rate, cost, most) in enumerate(steps_of_types):
        grown: list[tuple[int, int, int, tuple[int, ...]]] = []
        rest = steps_of_types[place + 1 :]
        for missing, paid, smallest, counts in partial:
            count = min(most, -(-missing // rate))
            if count * rate >= missing:
                total = paid + count * cost
                if total < limit and count * rate - missing < min(rate, smallest or rate):
                    found.append(_Cover(total, _spread((*counts, count), types, low)))
                count -= 1
            while count >= 0:
                left, spent = missing - count * rate, paid + count * cost
                # Fewer of the cheapest type only raise what the rest costs: stop at the first.
                if not _can_end_below(rest, left, spent, limit):
                    break
                grown.append(
                    (left, spent, min(rate, smallest or rate) if count else smallest, (*counts, count))
                )
                count -= 1
        partial = grown
        steps.take(len(grown))
    found.sort(key=lambda cover: cover.cost)
    return found


def _spread(counts: tuple[int, ...], types: Sequence[int], low: tuple[int, ...]) -> tuple[int, ...]:
    """Return counts of all types, given those above the lowest count of the first few ``types``."""
    spread = list(low)
    for h, count in zip(types, counts, strict=False):
        spread[h] += count
    return tuple(spread)


def _can_end_below(items: Sequence[tuple[int, int, int]], missing: int, paid: int, limit: int) -> bool:
    """Return whether fractional servers of the types in ``items`` cover the rest below the limit."""
    for rate, cost, most in items:
        if rate * most >= missing:
            return paid * rate + missing * cost < limit * rate
        missing -= rate * most
        paid += cost * most
    return False


def _no_choice_below(
    limit: int, lists: list[list[_Cover]], prices: list[int], available: tuple[int, ...], steps: _Steps
) -> bool:
    """Return whether no choice of a cover per model, idle servers at their price, is below the limit."""
    types = range(len(available))
    lists = sorted(lists, key=len)
    most = [[max(cover.counts[h] for cover in covers) for h in types] for covers in lists]
    scarce = [h for h in types if prices[h] > 0 or sum(row[h] for row in most) > available[h]]
    fields = _Fields([available[h] for h in scarce], [prices[h] for h in scarce])
    full, spare = fields.full, fields.spare
    chosen = {0: 0}  # cost of the cheapest choice by what it uses
    for place, covers in enumerate(lists):
        later_cost = sum(rest[0].cost for rest in lists[place + 1 :])
        later_use = [sum(row[h] for row in most[place + 1 :]) for h in scarce]
        options = [(cover.cost, fields.packed([cover.counts[h] for h in scarce])) for cover in covers]
        own_use = [later + most[place][h] for later, h in zip(later_use, scarce, strict=True)]
        reached: dict[int, int] = {}
        for used, cost in chosen.items():
            bar = limit - later_cost - cost - fields.idle_cost(used, own_use)
            for number, (added, use) in enumerate(options):
                if added >= bar:
                    steps.take(number)
                    break
                both = used + use
                # All that the fields have to spare is left: no type is used more often than it is available.
                if (full - both) & spare == spare and cost + added < reached.get(both, limit):
                    reached[both] = cost + added
            else:
                steps.take(len(options))
        chosen = {
            used: cost
            for used, cost in reached.items()
            if cost + later_cost + fields.idle_cost(used, later_use) < limit
        }
    return not chosen


class _Fields:
    """Server counts of several types side by side in one number, each with a bit to spare."""

    def __init__(self, available: Sequence[int], prices: Sequence[int]) -> None:
        self._available = available
        self._priced = [h for h, price in enumerate(prices) if price > 0]
        self._prices = prices
        # A field holds two counts of its type, and the bit to spare.
        widths = [count.bit_length() + 2 for count in available]
        self._offsets = [sum(widths[:h]) for h in range(len(widths))]
        self._masks = [(1 << (width - 1)) - 1 for width in widths]
        self.spare = sum(
            1 << (offset + width - 1) for offset, width in zip(self._offsets, widths, strict=True)
        )
        self.full = self.packed(available) | self.spare

    def packed(self, counts: Sequence[int]) -> int:
        """Return counts as one number."""
        return sum(count << offset for count, offset in zip(counts, self._offsets, strict=True))

    def idle_cost(self, used: int, later: Sequence[int]) -> int:
        """Return the price of what stays idle even if ``later`` is used as well."""
        cost = 0
        for h in self._priced:
            idle = self._available[h] - ((used >> self._offsets[h]) & self._masks[h]) - later[h]
            if idle > 0:
                cost += idle * self._prices[h]
        return cost


def _unit(values: Sequence[Fraction]) -> Fraction:
    """Return the largest number of which all values are whole multiples."""
    scale = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * scale) for value in values)) or scale, scale)
