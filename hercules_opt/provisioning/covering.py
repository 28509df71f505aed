"""Exact coverage with a solver that is not exact.

HiGHS solves a relaxation. If its counts n fall short of a model's need by a hair, every true cover has more
than n_h servers of some type h that serves the model: the box is split by which type that is first, and each
part is solved again. The split loses no true cover and repeats none, so the search is finite and ends with an
exact answer; the bound is the least over the parts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from hercules_opt.provisioning.box import Box
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.exact import ExactInterval, Rows
from hercules_opt.provisioning.highs import relaxed_optimum

_NODE_LIMIT = 400


@dataclass(frozen=True)
class Covering:
    """What branch and bound says of one interval.

    Parameters
    ----------
    counts
        Cheapest exact cover found.
    bound
        Claimed lower bound in units of cost; ``None`` if the solver gave none.
    infeasible
        Whether the solver claims that nothing covers.
    stopped_by
        ``"time_limit"``, ``"node_limit"`` or ``"solver_failure"`` where the search was cut.
    """

    counts: Rows | None
    bound: Fraction | None
    infeasible: bool
    stopped_by: str | None


def cover_exactly(interval: ExactInterval, effort: Effort) -> Covering:
    """Solve one interval."""
    search = _Search(interval, effort)
    search.run()
    bounds = [bound for bound, _, _ in search.open] + search.closed
    if search.best is not None:
        bounds.append(Fraction(search.best_cost))
    proven = search.stopped_by is None
    return Covering(
        search.best,
        min(bounds) if bounds else None,
        infeasible=proven and search.best is None and not bounds,
        stopped_by=search.stopped_by,
    )


@dataclass
class _Search:
    interval: ExactInterval
    effort: Effort
    best: Rows | None = None
    best_cost: int = 0
    open: list[tuple[Fraction, int, Box]] = field(default_factory=list)
    closed: list[Fraction] = field(default_factory=list)
    stopped_by: str | None = None
    _boxes: int = 0

    def run(self) -> None:
        self._push(Fraction(0), Box.whole(self.interval))
        solved = 0
        while self.open and self.stopped_by is None:
            if self.best is not None and self.open[0][0] >= self.best_cost * (1 - Fraction(self.effort.gap)):
                return
            if self.effort.expired or solved == _NODE_LIMIT:
                self.stopped_by = "time_limit" if self.effort.expired else "node_limit"
                return
            solved += 1
            below, _, box = heapq.heappop(self.open)
            self._solve(below, box)

    def _push(self, bound: Fraction, box: Box) -> None:
        self._boxes += 1
        heapq.heappush(self.open, (bound, self._boxes, box))

    def _solve(self, below: Fraction, box: Box) -> None:
        answer = relaxed_optimum(self.interval, box, self.effort.gap, self.effort.remaining_s)
        if answer.verdict == "infeasible":
            return
        bound = below if answer.bound is None else max(below, answer.bound)
        if answer.verdict != "optimal":
            self.stopped_by = answer.verdict
        short = self.interval.short_models(answer.counts) if answer.counts is not None else []
        if answer.counts is None or not short:
            self.closed.append(bound)
            if answer.counts is not None:
                self._offer(answer.counts)
            return
        for part in _parts(self.interval, box, short[0], answer.counts):
            self._push(bound, part)

    def _offer(self, counts: Rows) -> None:
        cost = self.interval.cost(counts)
        if self.best is None or cost < self.best_cost:
            self.best, self.best_cost = counts, cost


def _parts(interval: ExactInterval, box: Box, model: int, counts: Rows) -> Iterator[Box]:
    """Split a box by the first type of which every cover of ``model`` must have more than ``counts``."""
    rest = box
    for h, rate in enumerate(interval.rates[model]):
        if rate == 0:
            continue
        count = counts[model][h]
        if count < rest.high[model][h]:
            yield rest.at_least(model, h, max(count + 1, rest.low[model][h]))
        rest = rest.at_most(model, h, min(count, rest.high[model][h]))
