"""Exact answers from a solver that is not exact.

The solver sees a relaxation. If its answer breaks a row by a hair, every true solution differs from it
upwards in some column of the row (downwards where the coefficient is negative, or where the row limits from
above): the program is split by which column that is first, and each part is solved again. The split loses no
solution and repeats none, so the search is finite and ends with an exact answer; the bound is the least over
the parts.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact
from hercules_opt.provisioning.programs.interval_program import interval_program
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.programs.program import Program, Row, Values
from hercules_opt.provisioning.solvers.base import Solver, SolverAnswer
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_NODE_LIMIT = 400
_DEFAULT = SciPyHighs()
#: Share of a row's size by which an answer may break it; more is no tolerance but a wrong answer.
_TOLERANCE = Fraction(1, 10_000)
#: Share of a bound and of the dearest column that floating point may have lost.
_PRECISION = Fraction(1, 10**8)
#: Share by which a claimed bound may exceed the cost of a true answer.
_OVERSHOOT = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class Solved:
    """What is known of a program after the search.

    Parameters
    ----------
    values
        Cheapest answer found that breaks nothing.
    bound
        Claimed lower bound on the cost; ``None`` if the solver gave none.
    infeasible
        Whether the solver claims that there is no answer.
    stopped_by
        ``"time_limit"``, ``"node_limit"`` or ``"solver_failure"`` where the search was cut.
    reason
        What the solver did wrong, where it failed.
    """

    values: Values | None
    bound: Fraction | None
    infeasible: bool
    stopped_by: str | None
    reason: str | None = None


@dataclass(frozen=True)
class Covering:
    """What is known of one interval: as ``Solved``, with counts for values."""

    counts: Rows | None
    bound: Fraction | None
    infeasible: bool
    stopped_by: str | None
    reason: str | None = None


def cover_exactly(
    interval: ExactInterval,
    effort: Effort,
    solver: Solver = _DEFAULT,
    known: Rows | None = None,
    limits: Limits | None = None,
) -> Covering:
    """Solve one interval as a whole; ``known`` are counts known to cover, which no true claim denies."""
    built = interval_program(interval, limits=limits)
    if built is None:
        return Covering(None, None, True, None)
    start = None if known is None else tuple(known[m][h] for m, h in built.pairs)
    found = solve_exactly(built.program, effort, solver, start)
    counts = None if found.values is None else built.counts(found.values)
    return Covering(counts, found.bound, found.infeasible, found.stopped_by, found.reason)


def solve_exactly(
    program: Program, effort: Effort, solver: Solver = _DEFAULT, known: Values | None = None
) -> Solved:
    """Solve a program of whole columns; ``known`` is an answer known beforehand: no true claim denies it."""
    if not program.whole:
        raise ValueError("only a program of whole columns can be split")
    search = _Search(program, effort, solver)
    if known is not None:
        search.offer(known)
    search.run()
    return Solved(
        search.best,
        search.bound(),
        infeasible=search.stopped_by is None and search.best is None and not search.closed,
        stopped_by=search.stopped_by,
        reason=search.reason,
    )


@dataclass
class _Search:
    program: Program
    effort: Effort
    solver: Solver
    best: Values | None = None
    best_cost: Fraction = Fraction(0)
    open: list[tuple[Fraction, int, Program]] = field(default_factory=list)
    closed: list[Fraction] = field(default_factory=list)
    stopped_by: str | None = None
    reason: str | None = None
    _parts: int = 0

    def run(self) -> None:
        if not self.program.columns:
            if not self.program.violated(()):
                self.offer(())
            return
        self._push(_trivial_bound(self.program), self.program)
        solved = 0
        while self.open and self.stopped_by is None:
            if self._enough(self.open[0][0]):
                return
            if self.effort.expired or solved == _NODE_LIMIT:
                self.stopped_by = "time_limit" if self.effort.expired else "node_limit"
                return
            solved += 1
            below, _, part = heapq.heappop(self.open)
            self._solve(below, part)

    def bound(self) -> Fraction | None:
        """Return the least bound of all parts, unless it says no more than the columns' own bounds do."""
        bounds = [bound for bound, _, _ in self.open] + self.closed
        if self.best is not None:
            bounds.append(self.best_cost)
            if min(bounds) == self.best_cost:
                return self.best_cost
        return min(bounds) if bounds and min(bounds) > _trivial_bound(self.program) else None

    def offer(self, values: Values) -> None:
        """Take an answer that breaks nothing, if it is the cheapest so far."""
        cost = Fraction(self.program.cost(values))
        if self.best is None or cost < self.best_cost:
            self.best, self.best_cost = values, cost

    def _enough(self, bound: Fraction) -> bool:
        return self.best is not None and bound >= self.best_cost * (1 - exact(self.effort.gap))

    def _push(self, bound: Fraction, part: Program) -> None:
        self._parts += 1
        heapq.heappush(self.open, (bound, self._parts, part))

    def _solve(self, below: Fraction, part: Program) -> None:
        answer = self.solver.solve(part, self.effort.gap, self.effort.remaining_s)
        lie = self._lie(part, answer)
        if lie is not None:
            answer = SolverAnswer("solver_failure", reason=lie)
        if answer.verdict == "infeasible":
            return
        bound = below if answer.bound is None else max(below, self._claim(answer.bound))
        if answer.verdict != "optimal":
            self.stopped_by = answer.verdict
            self.reason = answer.reason
        broken = part.violated(answer.values) if answer.values is not None else []
        if answer.values is None or not broken:
            self.closed.append(bound)
            if answer.values is not None:
                self.offer(answer.values)
                self._check_optimal(part, answer)
            return
        for smaller in _split(part, broken[0], answer.values):
            self._push(bound, smaller)

    def _claim(self, bound: Fraction) -> Fraction:
        """Return what a claimed bound is worth: less the solver's precision, then the next cost there is."""
        if not self.solver.capabilities.whole_coefficients:
            dearest = max(abs(Fraction(column.cost)) for column in self.program.columns)
            bound -= _PRECISION * (abs(bound) + dearest)
        whole = self.program.whole and all(isinstance(column.cost, int) for column in self.program.columns)
        return Fraction(math.ceil(bound)) if whole else bound

    def _check_optimal(self, part: Program, answer: SolverAnswer) -> None:
        """Take back an "optimal" whose own bound leaves more than the gap; answer and bound stay good."""
        if answer.verdict != "optimal" or answer.bound is None or answer.values is None:
            return
        cost = Fraction(part.cost(answer.values))
        gap = (cost - answer.bound) / max(abs(cost), Fraction(1))
        if gap > exact(self.effort.gap) + _OVERSHOOT:
            self.stopped_by = "solver_failure"
            self.reason = f"said optimal with a gap of {float(gap):.2g}"

    def _lie(self, part: Program, answer: SolverAnswer) -> str | None:
        """Return what is wrong with an answer beyond any tolerance."""
        if self.best is not None and part.within_bounds(self.best):
            if answer.verdict == "infeasible":
                return "said infeasible of a program with a known answer"
            if answer.bound is not None and answer.bound > _above(self.best_cost):
                return "claimed a bound above the cost of a known answer"
        if answer.values is None:
            return "said optimal without an answer" if answer.verdict == "optimal" else None
        if not part.within_bounds(answer.values):
            return "gave an answer outside the bounds"
        for row in part.violated(answer.values):
            if abs(Fraction(row.missing(answer.values))) > _TOLERANCE * _size(row, answer.values):
                return f"gave an answer that breaks {row.name}"
        above = answer.bound is not None and answer.bound > _above(Fraction(part.cost(answer.values)))
        if above and not part.violated(answer.values):
            return "claimed a bound above the cost of its own answer"
        return None


def _trivial_bound(program: Program) -> Fraction:
    """Return the cost with every column at its cheaper end."""
    ends = (min(column.cost * column.low, column.cost * column.high) for column in program.columns)
    return Fraction(sum(ends))


def _above(cost: Fraction) -> Fraction:
    return cost + abs(cost) * _OVERSHOOT


def _size(row: Row, values: Values) -> Fraction:
    limits = [abs(Fraction(limit)) for limit in (row.low, row.high) if limit is not None]
    parts = [abs(Fraction(entry * values[index])) for index, entry in row.entries]
    return max(limits, default=Fraction(0)) + sum(parts, Fraction(0))


def _split(part: Program, row: Row, values: Values) -> Iterator[Program]:
    """Split by the first column that every solution has beyond ``values``, in the direction that helps."""
    upwards = row.missing(values) > 0
    rest = part
    for index, coefficient in row.entries:
        column, value = rest.columns[index], values[index]
        if (coefficient > 0) == upwards:
            if value < column.high:
                yield rest.narrowed([(index, max(value + 1, column.low), column.high)])
            rest = rest.narrowed([(index, column.low, min(value, column.high))])
        else:
            if value > column.low:
                yield rest.narrowed([(index, column.low, min(value - 1, column.high))])
            rest = rest.narrowed([(index, max(value, column.low), column.high)])
