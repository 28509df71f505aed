"""One model alone: the bounded integer covering knapsack, by depth-first branch and bound in whole numbers.

Minimize the cost of whole servers, each type between its lowest and highest count, so that their coverage
reaches the need. Types are taken in order of cost per unit of coverage, most servers first; the bound is the
same program with fractional servers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import accumulate

#: A branch that could improve by less than this share is cut; the bound says so.
PRECISION = 10**8


@dataclass(frozen=True)
class Cover:
    """The cheapest cover found and a proven lower bound on every cover's cost."""

    counts: tuple[int, ...] | None
    cost: int | None
    bound: int


def least_cover(
    rates: Sequence[int],
    costs: Sequence[int],
    need: int,
    low: Sequence[int],
    high: Sequence[int],
    node_limit: int,
) -> Cover | None:
    """Return the cheapest cover, or ``None`` if even the highest counts do not cover.

    Parameters
    ----------
    rates, costs
        Coverage and cost of one server of each type, whole numbers at least 0.
    need
        Coverage to reach.
    low, high
        Lowest and highest count of each type.
    node_limit
        Nodes after which the search stops; the bound stays valid, the cover may then be missing or not the
        best.
    """
    base = sum(cost * count for cost, count in zip(costs, low, strict=True))
    left = need - sum(rate * count for rate, count in zip(rates, low, strict=True))
    if left <= 0:
        return Cover(tuple(low), base, base)
    spans = [top - bottom for bottom, top in zip(low, high, strict=True)]
    usable = [h for h, rate in enumerate(rates) if rate > 0 and spans[h] > 0]
    if sum(rates[h] * spans[h] for h in usable) < left:
        return None
    # A server counts for no more than the need: the same whole-number covers, and a better bound.
    clipped = {h: min(rates[h], left) for h in usable}

    def by_ratio(one: int, other: int) -> int:
        """Compare exactly by cost per unit of coverage; ties stay in the order of the types."""
        return costs[one] * clipped[other] - costs[other] * clipped[one]

    usable.sort(key=cmp_to_key(by_ratio))
    search = _Search([clipped[h] for h in usable], [costs[h] for h in usable], [spans[h] for h in usable])
    search.run(left, node_limit)
    if search.best is None:
        return Cover(None, None, base + search.bound)
    counts = list(low)
    for h, count in zip(usable, search.best, strict=False):
        counts[h] += count
    assert search.best_cost is not None
    return Cover(tuple(counts), base + search.best_cost, base + search.bound)


class _Search:
    """Depth first; the path is three lists with an entry per type: how many, and what was open before."""

    def __init__(self, rates: list[int], costs: list[int], spans: list[int]) -> None:
        self.rates = rates
        self.costs = costs
        self.spans = spans
        self.best: list[int] | None = None
        self.best_cost: int | None = None
        self.bound = 0
        #: Coverage and cost of all servers of the types before each.
        self.reach = [0, *accumulate(rate * span for rate, span in zip(rates, spans, strict=True))]
        self.paid = [0, *accumulate(cost * span for cost, span in zip(costs, spans, strict=True))]

    def run(self, need: int, node_limit: int) -> None:
        """Search; leave the best counts (a prefix of the types), their cost and the lower bound."""
        rates, costs, spans, fractional = self.rates, self.costs, self.spans, self._fractional
        counts, lefts, before = [min(spans[0], -(-need // rates[0]))], [need], [0]
        lowest: list[int] = []  # bounds of what was cut
        threshold: int | None = None
        nodes = 0
        while counts and nodes < node_limit:
            nodes += 1
            level, count = len(counts) - 1, counts[-1]
            left = lefts[-1] - count * rates[level]
            cost = before[-1] + count * costs[level]
            if left <= 0:
                if self.best_cost is None or cost < self.best_cost:
                    self.best, self.best_cost = counts.copy(), cost
                    threshold = cost - cost // PRECISION
            else:
                bound = fractional(level + 1, left, cost)
                if bound is not None and (threshold is None or bound < threshold):
                    counts.append(min(spans[level + 1], -(-left // rates[level + 1])))
                    lefts.append(left)
                    before.append(cost)
                    continue
                # Fewer of the cheapest type per unit of coverage leave a bound at least as high: all are cut.
                if bound is not None:
                    lowest.append(bound)
                counts.pop()
            while counts and counts[-1] == 0:
                counts.pop()
            del lefts[len(counts) :], before[len(counts) :]
            if counts:
                counts[-1] -= 1
        self.bound = min(self._open(counts, lefts, before) + lowest)

    def _fractional(self, level: int, left: int, cost: int) -> int | None:
        """Return the least cost, rounded up, with fractional servers of the types from ``level`` on."""
        target = left + self.reach[level]
        after = bisect_left(self.reach, target, level + 1)
        if after == len(self.reach):
            return None
        last = after - 1
        rest = target - self.reach[last]
        return cost + self.paid[last] - self.paid[level] - (-rest * self.costs[last] // self.rates[last])

    def _open(self, counts: list[int], lefts: list[int], before: list[int]) -> list[int]:
        """Return bounds of what was found or left open."""
        places = [(level, count - 1) for level, count in enumerate(counts)]
        if counts:
            places.append((len(counts) - 1, counts[-1]))
        bounds = [] if self.best_cost is None else [self.best_cost]
        for level, count in places:
            if count < 0:
                continue
            left = lefts[level] - count * self.rates[level]
            cost = before[level] + count * self.costs[level]
            bound = cost if left <= 0 else self._fractional(level + 1, left, cost)
            if bound is not None:
                bounds.append(bound)
        return bounds
