"""The least total shortfall of one interval, with a proof.

Any load may be missed, at a cost of one per QPS. At given prices of availability each model alone chooses its
servers and what it misses, an exact knapsack; the sum of these minus the prices of all servers is a lower
bound on what all models miss together. Prices come from a linear program over the choices seen so far, as in
``pricing``; counts that stay fractional are split. Floating point only proposes.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.provisioning.certificate import MOST_DEPTH, Branch, Certificate, Leaf, Node
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.columns import ColumnPool, Mixture
from hercules_opt.provisioning.engine.cover import least_cover
from hercules_opt.provisioning.engine.multipliers import shortfall_multipliers
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, common_unit, exact, float_at_most

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray

_NODE_LIMIT = 200
_ROUND_LIMIT = 60
_KNAPSACK_NODES = 20_000
_WHOLE = 1e-6


@dataclass(frozen=True)
class Missing:
    """Counts, what they miss in QPS, and a proof of how little anything can miss."""

    counts: Rows
    qps: Fraction
    certificate: Certificate

    @property
    def bound_qps(self) -> Fraction:
        """The proven lower bound."""
        return exact(self.certificate.bound or 0.0)


def missed_qps(interval: ExactInterval, counts: Rows) -> list[Fraction]:
    """Return the QPS that each model is short of its required load."""
    return [
        max(Fraction(0), interval.required[m] - interval.coverage(m, row)) * interval.weights[m]
        for m, row in enumerate(counts)
    ]


def least_missing(interval: ExactInterval, known: Rows, effort: Effort) -> Missing:
    """Return the counts found that miss least, and the proof; ``known`` are counts to begin with."""
    search = _Search(interval, known, effort)
    root = search.run()
    unit = common_unit([*interval.weights, *search.loads])
    bound = max(Fraction(0), math.ceil(min(_bounds(root)) / unit) * unit)
    certificate = Certificate("shortfall", float_at_most(min(bound, search.best_qps)), _frozen(root))
    return Missing(search.best, search.best_qps, certificate)


@dataclass
class _Part:
    box: Box
    leaf: Leaf
    bound: Fraction | None  # None: the box is empty
    mixture: Mixture | None
    depth: int
    split: tuple[int, int, int] | None = None  # model, server type, count
    parts: tuple[_Part, _Part] | None = None


def _bounds(part: _Part) -> list[Fraction]:
    if part.parts is not None:
        return [bound for child in part.parts for bound in _bounds(child)]
    return [] if part.bound is None else [part.bound]


def _frozen(part: _Part) -> Node:
    if part.parts is None or part.split is None:
        return part.leaf
    model, server_type, count = part.split
    return Branch(server_type, model, count, _frozen(part.parts[0]), _frozen(part.parts[1]))


class _Search:
    """Lowest bound first, until the best counts miss no more than is proven or the effort is spent."""

    def __init__(self, interval: ExactInterval, known: Rows, effort: Effort) -> None:
        self.interval = interval
        self.effort = effort
        self.loads = [
            required * weight for required, weight in zip(interval.required, interval.weights, strict=True)
        ]
        self.best, self.best_qps = known, sum(missed_qps(interval, known), Fraction(0))
        self._scale = max(1e-9, float(max(self.loads)))
        self._digits = max(0, 12 - math.ceil(math.log10(self._scale)))
        self._grid = math.lcm(
            10**self._digits, *(figure.denominator for figure in (*interval.weights, *self.loads))
        )
        active = [m for m, need in enumerate(interval.needs) if need > 0]
        self._columns = ColumnPool(active, len(interval.needs), interval.available)
        for m in active:
            self._add(m, (0,) * len(interval.available))
            self._add(m, known[m])
        self._branch_weights = np.array(
            [[float(rate * weight) for rate in row]
             for row, weight in zip(interval.rates, interval.weights, strict=True)]
        )  # fmt: skip

    def run(self) -> _Part:
        root = self._part(Box.whole(self.interval), None)
        queue = [(root.bound or Fraction(0), 0, root)]
        nodes = next_plan = 1
        while queue and nodes < _NODE_LIMIT and not self.effort.expired:
            bound, _, part = heapq.heappop(queue)
            if self._enough(bound):
                break
            if nodes >= next_plan:
                next_plan *= 2
                self._combine(part)
            split = _split(part.mixture, self._branch_weights)
            if self._enough(bound) or split is None or part.depth == MOST_DEPTH:
                continue
            model, server_type, count = split
            part.split = split
            part.parts = (
                self._part(part.box.at_most(model, server_type, count), part),
                self._part(part.box.at_least(model, server_type, count + 1), part),
            )
            for child in part.parts:
                if child.bound is not None and not self._enough(child.bound):
                    nodes += 1
                    heapq.heappush(queue, (child.bound, nodes, child))
        return root

    def _enough(self, bound: Fraction) -> bool:
        return bound >= self.best_qps * (1 - exact(self.effort.gap))

    def _part(self, box: Box, parent: _Part | None) -> _Part:
        """Price a box until its bound is enough or no prices are better."""
        start = parent.leaf.multipliers if parent is not None else self._first_prices()
        leaf, bound = self._priced(box, start)
        mixture: Mixture | None = None
        for _ in range(_ROUND_LIMIT):
            if bound is None or self._enough(bound) or self.effort.expired:
                break
            mixture = self._columns.mix(box, len(self.loads) * 10.0)
            if mixture is None:
                break
            seen = len(self._columns)
            fresh = self._priced(box, tuple(float(price) * self._scale for price in mixture.prices))
            if fresh[1] is None or fresh[1] > bound:
                leaf, bound = fresh
            if len(self._columns) == seen:
                break
        return _Part(box, leaf, bound, mixture, 0 if parent is None else parent.depth + 1)

    def _first_prices(self) -> tuple[float, ...]:
        return tuple(float(price) for price in shortfall_multipliers(self.interval))

    def _priced(self, box: Box, prices: tuple[float, ...]) -> tuple[Leaf, Fraction | None]:
        """Return the exact bound of a box at these prices, and remember the choices they lead to."""
        rounded = tuple(round(price, self._digits) + 0.0 for price in prices)
        costs = [int(exact(price) * self._grid) for price in rounded]
        least = [self._least(m, costs, box) for m in range(len(self.loads))]
        leaf = Leaf(rounded, tuple(None if figure is None else float_at_most(figure) for figure in least))
        paid = [exact(figure) for figure in leaf.least if figure is not None]
        if len(paid) < len(least):
            return leaf, None
        earned = [exact(p) * count for p, count in zip(rounded, self.interval.available, strict=True)]
        return leaf, sum(paid, Fraction(0)) - sum(earned, Fraction(0))

    def _least(self, model: int, prices: list[int], box: Box) -> Fraction | None:
        """Return the least of missing QPS plus prices of one model in a box; ``None`` if the box is empty."""
        interval, low, high = self.interval, box.low[model], box.high[model]
        if any(bottom > top for bottom, top in zip(low, high, strict=True)):
            return None
        need = interval.needs[model]
        weight, load = interval.weights[model], self.loads[model]
        # A missing unit of coverage costs its QPS; the first one less, since the need was rounded up.
        first = weight - (need * weight - load)
        cover = least_cover(
            (*interval.rates[model], 1, 1),
            (*prices, int(first * self._grid), int(weight * self._grid)),
            need,
            (*low, 0, 0),
            (*high, min(1, need), max(0, need - 1)),
            _KNAPSACK_NODES,
        )
        assert cover is not None  # everything can be missed
        if cover.counts is not None and need > 0:
            self._add(model, cover.counts[:-2])
        return Fraction(cover.bound, self._grid)

    def _add(self, model: int, counts: tuple[int, ...]) -> None:
        if (model, counts) not in self._columns:
            reached = self.interval.coverage(model, counts) * self.interval.weights[model]
            missed = max(Fraction(0), self.loads[model] - reached)
            self._columns.add((model, counts), float(missed) / self._scale)

    def _combine(self, part: _Part) -> None:
        """Offer the best choice among the columns, and the mixture rounded down and filled up."""
        room = float(self.best_qps - (part.bound or 0)) / self._scale
        self._offer(self._columns.plan(np.array(part.leaf.multipliers) / self._scale, room))
        if part.mixture is not None:
            self._offer(tuple(tuple(int(x + _WHOLE) for x in row) for row in part.mixture.counts))

    def _offer(self, counts: Rows | None) -> None:
        if counts is None or not self.interval.fits(counts):
            return
        missed = sum(missed_qps(self.interval, counts), Fraction(0))
        if missed < self.best_qps:
            self.best, self.best_qps = counts, missed


def _split(mixture: Mixture | None, weights: FloatArray) -> tuple[int, int, int] | None:
    """Choose the fractional count whose rounding moves the most QPS."""
    if mixture is None:
        return None
    distance = np.abs(mixture.counts - np.rint(mixture.counts))
    score = np.where(distance > _WHOLE, distance * weights, -1.0)
    model, server_type = np.unravel_index(int(np.argmax(score)), score.shape)
    if distance[model, server_type] <= _WHOLE:
        return None
    return int(model), int(server_type), math.floor(mixture.counts[model, server_type])
