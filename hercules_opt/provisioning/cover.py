"""One model alone: the bounded integer covering knapsack, by depth-first branch and bound in whole numbers.

Minimize the cost of whole servers, each type between its lowest and highest count, so that their coverage
reaches the need. Types are taken in order of cost per unit of coverage, most servers first; the bound is the
same program with fractional servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

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
    usable.sort(key=lambda h: (Fraction(costs[h], clipped[h]), h))
    search = _Search([clipped[h] for h in usable], [costs[h] for h in usable], [spans[h] for h in usable])
    search.run(left, node_limit)
    if search.best is None:
        return Cover(None, None, base + search.bound)
    counts = list(low)
    for h, count in zip(usable, search.best, strict=False):
        counts[h] += count
    assert search.best_cost is not None
    return Cover(tuple(counts), base + search.best_cost, base + search.bound)


@dataclass
class _Frame:
    """A type's place on the current path: how many are taken, and what was open before."""

    count: int
    left: int
    cost: int


@dataclass
class _Search:
    rates: list[int]
    costs: list[int]
    spans: list[int]
    best: list[int] | None = None
    best_cost: int | None = None
    bound: int = 0
    _cut: list[int] = field(default_factory=list)

    def run(self, need: int, node_limit: int) -> None:
        """Search; leave the best counts (a prefix of the types), their cost and the lower bound."""
        path = [self._frame(0, need, 0)]
        threshold: int | None = None
        nodes = 0
        while path and nodes < node_limit:
            nodes += 1
            level, top = len(path) - 1, path[-1]
            left = top.left - top.count * self.rates[level]
            cost = top.cost + top.count * self.costs[level]
            if left <= 0:
                if self.best_cost is None or cost < self.best_cost:
                    self.best, self.best_cost = [frame.count for frame in path], cost
                    threshold = cost - cost // PRECISION
                self._step_down(path)
                continue
            bound = self._fractional(level + 1, left, cost)
            if bound is None or (threshold is not None and bound >= threshold):
                # Fewer of the cheapest type per unit of coverage leave a bound at least as high: all are cut.
                if bound is not None:
                    self._cut.append(bound)
                path.pop()
                self._step_down(path)
                continue
            path.append(self._frame(level + 1, left, cost))
        self._close(path)

    def _frame(self, level: int, left: int, cost: int) -> _Frame:
        return _Frame(min(self.spans[level], -(-left // self.rates[level])), left, cost)

    @staticmethod
    def _step_down(path: list[_Frame]) -> None:
        while path and path[-1].count == 0:
            path.pop()
        if path:
            path[-1].count -= 1

    def _fractional(self, level: int, left: int, cost: int) -> int | None:
        """Return the least cost, rounded up, with fractional servers of the types from ``level`` on."""
        for index in range(level, len(self.rates)):
            reach = self.rates[index] * self.spans[index]
            if reach >= left:
                return cost - (-left * self.costs[index] // self.rates[index])
            left -= reach
            cost += self.costs[index] * self.spans[index]
        return None

    def _close(self, path: list[_Frame]) -> None:
        """Take the lowest bound over what was found, cut or left open."""
        places = [(level, frame, frame.count - 1) for level, frame in enumerate(path)]
        if path:
            places.append((len(path) - 1, path[-1], path[-1].count))
        for level, frame, count in places:
            if count < 0:
                continue
            left = frame.left - count * self.rates[level]
            cost = frame.cost + count * self.costs[level]
            bound = cost if left <= 0 else self._fractional(level + 1, left, cost)
            if bound is not None:
                self._cut.append(bound)
        if self.best_cost is not None:
            self._cut.append(self.best_cost)
        self.bound = min(self._cut)
