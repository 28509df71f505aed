"""Solvers one after another: where one fails the next takes over, and it is said."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.solvers import SOLVERS
from hercules_opt.provisioning.solvers.covering import Covering, cover_exactly


def failure_note(name: str, reason: str | None) -> str:
    """Return what to tell of a solver that failed."""
    return f"solver {name} failed: {reason or 'it gave no reason'}"


def first_that_works(
    interval: ExactInterval,
    effort: Effort,
    names: Iterable[str] = tuple(SOLVERS),
    known: Rows | None = None,
    limits: Limits | None = None,
) -> tuple[Covering, tuple[str, ...]]:
    """Return the answer of the first solver that does not fail, and a note on each that did."""
    notes: list[str] = []
    found = Covering(None, None, False, "solver_failure")
    for name in names:
        with closing(SOLVERS[name]()) as solver:
            found = cover_exactly(interval, effort, solver, known, limits)
        if notes and found.stopped_by != "solver_failure":
            notes[-1] += f"; {name} took over"
        if found.stopped_by != "solver_failure":
            break
        notes.append(failure_note(name, found.reason))
    return found, tuple(notes)
