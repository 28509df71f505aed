"""What a solver is, what it can do, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal, Protocol

from hercules_opt.provisioning.programs.program import Figure, Program, Values

Verdict = Literal["optimal", "infeasible", "time_limit", "node_limit", "solver_failure"]

#: How far from a whole number a solver's value may be.
_FRACTION = 0.01


@dataclass(frozen=True)
class SolverAnswer:
    """What a solver says; a candidate and a claim until they are checked.

    Parameters
    ----------
    verdict
        What it says of itself.
    values
        Its best answer, whole where the column is; it may break a row by the solver's tolerance.
    bound
        Lower bound on the cost that it claims; ``None`` if it gives none.
    reason
        What went wrong, in a few words, where the verdict is ``"solver_failure"``.
    """

    verdict: Verdict
    values: Values | None = None
    bound: Fraction | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a solver takes and gives.

    Parameters
    ----------
    package
        Distribution that carries it.
    child
        Whether it runs in a process of its own, which contains hangs and crashes.
    time_limit
        Whether it stops at a time limit by itself, with its best answer.
    node_limit
        Whether its search ends without a time limit.
    bound
        Whether it gives a lower bound where it is stopped before it is done.
    continuous
        Whether it takes columns that need not be whole.
    whole_coefficients
        Whether every coefficient must be a whole number.
    """

    package: str
    child: bool
    time_limit: bool
    node_limit: bool
    bound: bool
    continuous: bool
    whole_coefficients: bool


class Solver(Protocol):
    """Solves programs one at a time; holds no state that an answer depends on."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def solve(self, program: Program, gap: float, time_limit_s: float | None) -> SolverAnswer:
        """Return an answer within the relative gap, or the best until the time limit; raise nothing."""
        ...

    def close(self) -> None:
        """End what the solver keeps between calls; it can be used again."""
        ...


def whole_values(program: Program, solution: Sequence[float]) -> Values | None:
    """Return a solver's values, rounded where they must be whole; ``None`` if one is nowhere near its place.

    Rounding repairs the solver's tolerance, no more.
    """
    values: list[Figure] = []
    for column, value in zip(program.columns, solution, strict=True):
        low, high = float(column.low), float(column.high)
        if not low - _FRACTION <= value <= high + _FRACTION:
            return None
        kept: Figure = round(value) if column.whole else Fraction(value)
        if column.whole and abs(value - kept) > _FRACTION:
            return None
        values.append(min(max(kept, column.low), column.high))
    return tuple(values)
