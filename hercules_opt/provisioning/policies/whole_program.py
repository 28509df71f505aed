"""Hercules provisioning by one named solver: each interval's program as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import prove_infeasible
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.policies.hercules import covering_start, least_short
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows
from hercules_opt.provisioning.solvers import SOLVERS, Solver
from hercules_opt.provisioning.solvers.covering import Covering, cover_exactly
from hercules_opt.provisioning.solvers.falling_over import failure_note


@dataclass(frozen=True)
class WholeProgram:
    """The integer program of each interval, given to one solver; what it answers is checked exactly.

    Its bound is named a claim. Nothing takes its place if it fails: the interval then has the start, counts
    found without it, and says that the solver failed. That nothing covers is proven by prices where they
    can; where they find a plan instead, the solver has failed too.

    Parameters
    ----------
    solver
        Name of the solver.
    """

    name: ClassVar[str] = "hercules"
    solvers: ClassVar[tuple[str, ...]] = tuple(SOLVERS)

    solver: str
    _running: dict[str, Solver] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[WholeProgram], tuple[str]]:
        """Copy without what is running."""
        return type(self), (self.solver,)

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Solve one interval."""
        greedy = Greedy().solve(interval, effort).counts
        start = covering_start(interval, greedy)
        if self.solver not in self._running:
            self._running[self.solver] = SOLVERS[self.solver]()
        found = cover_exactly(interval, effort, self._running[self.solver], start)
        if found.infeasible:
            proof = prove_infeasible(interval, effort)
            if proof.counts is None:
                return least_short(interval, greedy, proof, effort)
            found = Covering(
                proof.counts, None, False, "solver_failure", "said infeasible of loads that a plan covers"
            )
        return self._answer(interval, found, greedy)

    def close(self) -> None:
        """End the solver's process, if it has one."""
        for solver in self._running.values():
            solver.close()
        self._running.clear()

    def _answer(self, interval: ExactInterval, found: Covering, greedy: Rows) -> IntervalAnswer:
        failed = found.stopped_by == "solver_failure"
        notes = (failure_note(self.solver, found.reason),) if failed else ()
        if found.counts is None:
            return IntervalAnswer(greedy, stopped_by=found.stopped_by, notes=notes)
        claimed = None if found.bound is None else found.bound * interval.cost_unit
        return IntervalAnswer(found.counts, claimed, stopped_by=found.stopped_by, notes=notes)
