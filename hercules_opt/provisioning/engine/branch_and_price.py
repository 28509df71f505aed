"""Solve one interval by branch and price, and keep the proof.

Each model's whole-number covers are columns (see ``pricing``), which gives a far tighter bound than the
program's linear relaxation. A small integer program over the columns seen so far gives plans; counts that
stay fractional are split, lowest bound first, until the bound is close enough to the best plan or the effort
is spent. Every bound is exact, and the tree of splits with its prices is the certificate.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.provisioning.certificate import MOST_DEPTH, Branch, Certificate, CertificateKind, Leaf, Node
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.columns import Mixture
from hercules_opt.provisioning.engine.pricing import Priced, PriceSearch
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact, stated

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray

_NODE_LIMIT = 1000
_WHOLE = 1e-6
#: Share of the best known cost from which on given prices are worth a listing.
_NEAR = Fraction(995, 1000)


@dataclass(frozen=True)
class Proof:
    """A certificate, ``None`` where nothing was proven, and the best counts known at its end."""

    certificate: Certificate | None
    counts: Rows | None


def least_power(
    interval: ExactInterval, best: Rows | None, effort: Effort, prices: Sequence[float] | None = None
) -> Proof:
    """Return the cheapest counts found that cover, and a bound on power as close as the effort allows.

    ``best`` is a plan known beforehand, and ``prices`` are those of a similar interval, or ``None``.
    """
    search = _TreeSearch(interval, "bound", effort, best)
    root = search.run(prices)
    bounds = [bound for bound in _leaf_bounds(root) if bound is not None]
    if not bounds:  # every leaf is empty
        return Proof(Certificate("infeasible", None, _frozen(root, emptied=True)), None)
    bound = stated(max(Fraction(0), _next_multiple(min(bounds), interval.cost_unit)))
    return Proof(Certificate("bound", bound, _frozen(root)), search.best)


def prove_infeasible(interval: ExactInterval, effort: Effort) -> Proof:
    """Prove that nothing covers, or find counts that do."""
    search = _TreeSearch(interval, "infeasible", effort, None)
    root = search.run()
    if search.best is not None:
        return Proof(None, search.best)
    if all(bound is None or bound > 0 for bound in _leaf_bounds(root)):
        return Proof(Certificate("infeasible", None, _frozen(root)), None)
    return Proof(None, None)


def _next_multiple(value: Fraction, unit: Fraction) -> Fraction:
    """Round up: every power is a multiple of the common unit of all powers."""
    return math.ceil(value / unit) * unit


@dataclass
class _Part:
    """A box with its best leaf so far, and how it was split."""

    box: Box
    priced: Priced
    depth: int
    split: tuple[int, int, int] | None = None  # model, server type, count
    parts: tuple[_Part, _Part] | None = None


def _leaf_bounds(part: _Part) -> list[Fraction | None]:
    if part.parts is None:
        return [part.priced.bound]
    return [bound for child in part.parts for bound in _leaf_bounds(child)]


def _frozen(part: _Part, *, emptied: bool = False) -> Node:
    """Return the tree of leaves; ``emptied``: they are to say only which models have no cover.

    What the others cost at least includes power, which a proof of infeasibility leaves out.
    """
    if part.parts is None or part.split is None:
        leaf = part.priced.leaf
        if not emptied:
            return leaf
        return Leaf(leaf.multipliers, tuple(None if least is None else 0.0 for least in leaf.least))
    model, server_type, count = part.split
    parts = (_frozen(child, emptied=emptied) for child in part.parts)
    return Branch(server_type, model, count, *parts)


class _TreeSearch:
    """Lowest bound first; stops when the goal is met, or the effort spent."""

    def __init__(
        self, interval: ExactInterval, kind: CertificateKind, effort: Effort, best: Rows | None
    ) -> None:
        self.interval = interval
        self.kind = kind
        self.effort = effort
        self.best = best
        self.prices = PriceSearch(interval, kind, best)
        unit = interval.cost_unit
        self.weights = np.sqrt([[float(cost * unit) for cost in row] for row in interval.costs])
        self.queue: list[tuple[float, int, _Part]] = []
        self.nodes = 0
        self.next_plan = 1  # nodes at which the columns are combined again; doubles each time

    def run(self, prices: Sequence[float] | None = None) -> _Part:
        root = None if prices is None else self._settled_at(prices)
        if root is not None:
            return root
        root = self._evaluate(Box.whole(self.interval), None)
        while self.queue and self.nodes < _NODE_LIMIT and not self.effort.expired:
            part = heapq.heappop(self.queue)[2]
            if self._enough(part.priced.bound):
                break
            if self.kind == "bound" and self._closed_by_listing(part):
                continue
            if self.nodes >= self.next_plan:
                self.next_plan *= 2
                self._offer(self.prices.plan(root.priced, self.best))
            split = _split(part.priced.mixture, self.weights)
            if split is None or part.depth == MOST_DEPTH:
                continue
            model, server_type, count = split
            part.split = split
            part.parts = (
                self._evaluate(part.box.at_most(model, server_type, count), part),
                self._evaluate(part.box.at_least(model, server_type, count + 1), part),
            )
        return root

    def _settled_at(self, prices: Sequence[float]) -> _Part | None:
        """Return the whole box if given prices settle it, alone or by listing."""
        box = Box.whole(self.interval)
        part = _Part(box, self.prices.at(box, prices), 0)
        bound = part.priced.bound
        if bound is None or self._enough(bound):
            return part
        if self.best is None or bound < self.interval.cost(self.best) * self.interval.cost_unit * _NEAR:
            return None
        return part if self._closed_by_listing(part) else None

    def _evaluate(self, box: Box, parent: _Part | None) -> _Part:
        start = None if parent is None else parent.priced.leaf
        depth = 0 if parent is None else parent.depth + 1
        part = _Part(box, self.prices.improve(box, start, self._enough, self.effort), depth)
        if part.priced.bound is not None and not self._enough(part.priced.bound):
            self._offer_whole(part.priced.mixture)
            heapq.heappush(self.queue, (float(part.priced.bound), self.nodes, part))
        self.nodes += 1
        return part

    def _closed_by_listing(self, part: _Part) -> bool:
        """List the plans of a part that are below the best; what was listed raises the bound in any case."""
        assert part.priced.bound is not None
        ceiling = None
        if self.best is not None:
            ceiling = self.interval.cost(self.best) * self.interval.cost_unit
        leaf, counts, complete = self.prices.listed(part.box, part.priced.leaf, ceiling)
        if leaf.listed is not None and exact(leaf.listed) > part.priced.bound:
            part.priced = replace(part.priced, leaf=leaf, bound=exact(leaf.listed))
        if counts is None:
            return complete
        self._offer(counts)
        return self.interval.solved_by(counts)  # rounding may have let pass what falls short by a hair

    def _enough(self, bound: Fraction | None) -> bool:
        """Whether a part with this bound needs no more work."""
        if bound is None:
            return True
        if self.kind == "infeasible":
            return bound > 0 or self.best is not None
        if self.best is None:
            return False
        unit = self.interval.cost_unit
        target = self.interval.cost(self.best) * unit * (1 - exact(self.effort.gap))
        return _next_multiple(bound, unit) >= target

    def _offer_whole(self, mixture: Mixture | None) -> None:
        """Offer the linear program's counts if they are whole."""
        if mixture is not None and _distance(mixture).max() <= _WHOLE:
            self._offer(tuple(tuple(round(float(x)) for x in row) for row in mixture.counts))

    def _offer(self, counts: Rows | None) -> None:
        """Take counts as the best plan if they cover exactly and cost less."""
        if counts is None or not self.interval.solved_by(counts):
            return
        if self.best is None or self.interval.cost(counts) < self.interval.cost(self.best):
            self.best = counts


def _distance(mixture: Mixture) -> FloatArray:
    return np.abs(mixture.counts - np.rint(mixture.counts))


def _split(mixture: Mixture | None, weights: FloatArray) -> tuple[int, int, int] | None:
    """Choose the pair to split on: a fractional count of large servers, else two mixed covers that differ.

    The distance from whole is weighted by the square root of the power: to decide on large servers first
    raises bounds faster, and small ones fill what is left.
    """
    if mixture is None:
        return None
    distance = _distance(mixture)
    score = np.where(distance > _WHOLE, distance * weights, -1.0)
    model, server_type = np.unravel_index(int(np.argmax(score)), score.shape)
    if distance[model, server_type] > _WHOLE:
        return int(model), int(server_type), math.floor(mixture.counts[model, server_type])
    first: dict[int, tuple[int, ...]] = {}
    for m, counts in mixture.columns:
        other = first.setdefault(m, counts)
        for h, (a, b) in enumerate(zip(other, counts, strict=True)):
            if a != b:
                return m, h, min(a, b)
    return None
