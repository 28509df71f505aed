"""One model alone: every cover that costs less than a limit, type by type, in arrays.

Numbers are whole; those that need more digits than a machine word are rounded so that no cover is lost and
none is overrated: costs down, rates up, needs down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray, IntArray

Places = slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]

#: Partial covers at which listing gives up.
MOST_COVERS = 40_000
#: Digits (binary) of the numbers that are listed; sums of a few stay within a machine word.
BITS = 52

#: Digits that rests may have: the sum over all servers of a cover still fits a word.
MOST_RESTS = 36

#: Allowance for rounding in the bounds that cut partial covers: those within it are kept.
_SLACK = 1e-11


@dataclass(frozen=True)
class Rounded:
    """Costs of one server of each type as whole * 2^bits + rest; no rests where bits are too many."""

    whole: tuple[int, ...]
    rests: tuple[int, ...]
    bits: int

    @classmethod
    def of(cls, costs: Sequence[int], bits: int) -> Rounded:
        """Split costs."""
        mask = (1 << bits) - 1 if bits <= MOST_RESTS else 0
        return cls(tuple(cost >> bits for cost in costs), tuple(cost & mask for cost in costs), bits)


@dataclass(frozen=True)
class Covers:
    """Covers of one model, cheapest first.

    Parameters
    ----------
    counts
        Servers, shape (covers, h).
    costs, rests
        Cost of each, shape (covers,): costs * 2^bits + rests, the rests below 2^bits.
    """

    counts: IntArray
    costs: IntArray
    rests: IntArray

    def __getitem__(self, places: Places) -> Covers:
        """Return some of them."""
        return Covers(self.counts[places], self.costs[places], self.rests[places])

    def below(self, limit: int) -> Covers:
        """Return those that cost less than a limit, rests left out."""
        return self[slice(int(np.searchsorted(self.costs, limit)))]


def _sorted_covers(counts: IntArray, costs: Rounded) -> Covers:
    """Return counts, shape (covers, h), with what they cost."""
    rests = counts @ np.array(costs.rests, dtype=np.int64)
    paid = counts @ np.array([min(cost, 2**BITS) for cost in costs.whole], dtype=np.int64)
    covers = Covers(counts, paid + (rests >> costs.bits), rests & ((1 << costs.bits) - 1))
    return covers[np.lexsort((covers.rests, covers.costs))]


def covers_below(
    rates: Sequence[int],
    costs: Rounded,
    need: int,
    low: Sequence[int],
    high: Sequence[int],
    limit: int,
) -> Covers | None:
    """List the covers that cost less than ``limit`` and can spare no server; ``None`` if they are too many.

    A cover is built type by type, the cheapest per unit of coverage first, and cut where fractional servers
    of the types that follow cannot end below the limit.
    """
    whole = costs.whole
    base = sum(cost * count for cost, count in zip(whole, low, strict=True))
    left = need - sum(rate * count for rate, count in zip(rates, low, strict=True))
    bottom = np.array(low, dtype=np.int64)
    if base >= limit:
        return _sorted_covers(np.zeros((0, len(low)), dtype=np.int64), costs)
    if left <= 0:
        return _sorted_covers(bottom[np.newaxis, :], costs).below(limit)
    shift = max(0, left.bit_length() - BITS)
    # A server counts for no more than the need: the same covers, and better bounds.
    clipped = [-(-min(rate, left) >> shift) for rate in rates]
    left >>= shift
    types = [h for h, rate in enumerate(rates) if rate > 0 and high[h] > low[h] and base + whole[h] < limit]
    types.sort(key=lambda h: whole[h] / clipped[h])
    steps = _Steps.of(
        [clipped[h] for h in types],
        [whole[h] for h in types],
        [_most(high[h] - low[h], clipped[h], whole[h], left, limit - base) for h in types],
        limit,
    )
    listed = steps.covers(left, base)
    if listed is None:
        return None
    taken, spare = listed
    # Rounding is worth less than one unit of coverage per server and one for the need.
    rounding = taken.sum(axis=1) + 1 if shift else 0
    needless = (taken > 0) & (np.array(steps.rates, dtype=np.int64) <= (spare - rounding)[:, np.newaxis])
    kept = np.flatnonzero(~needless.any(axis=1))
    counts = np.tile(bottom, (len(kept), 1))
    counts[:, types] += taken[kept]
    return _sorted_covers(counts, costs).below(limit)


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

    def covers(self, left: int, base: int) -> tuple[IntArray, IntArray] | None:
        """Return counts (in this order of types) and coverage to spare of every cover."""
        types = len(self.rates)
        lefts, costs = np.array([left], dtype=np.int64), np.array([base], dtype=np.int64)
        taken = np.zeros((1, types), dtype=np.int64)
        ended: list[tuple[IntArray, IntArray]] = []
        for step in range(types):
            most = np.minimum(self.spans[step], -(-lefts // self.rates[step]))
            number = most - self._fewest(step, lefts, costs) + 1
            np.clip(number, 0, None, out=number)
            total = int(number.sum())
            if total > MOST_COVERS:
                return None
            parent = np.repeat(np.arange(len(lefts)), number)
            count = most[parent] - places(number)
            lefts, costs = lefts[parent] - count * self.rates[step], costs[parent] + count * self.costs[step]
            taken = taken[parent]
            taken[:, step] = count
            end = np.flatnonzero((lefts <= 0) & (costs < self.limit))
            ended.append((taken[end], -lefts[end]))
            goes_on = np.flatnonzero(self._may_end(step + 1, lefts, costs))
            lefts, costs, taken = lefts[goes_on], costs[goes_on], taken[goes_on]
        return (
            np.concatenate([entry[0] for entry in ended]) if ended else taken[:0],
            np.concatenate([entry[1] for entry in ended]) if ended else lefts[:0],
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


def places(numbers: IntArray) -> IntArray:
    """Return 0, 1, ... within each of several groups of the given sizes."""
    return np.arange(int(numbers.sum())) - np.repeat(np.cumsum(numbers) - numbers, numbers)
