"""What a policy is, and what it answers for one interval."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Protocol

from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows


@dataclass(frozen=True)
class IntervalAnswer:
    """Counts for one interval and what is known about them.

    Parameters
    ----------
    counts
        Servers by model and type, within availability; they may fall short of the needs.
    claimed_bound
        Lower bound on the objective that a solver claims; ``None`` where there is none.
    certificate
        Proof of a bound or of infeasibility that can be recomputed.
    infeasible
        Whether nothing covers: proven by the certificate, or without one claimed by the solver.
    stopped_by
        What cut the search short: ``"time_limit"``, ``"node_limit"``, ``"solver_failure"``, ``"interrupt"``.
    notes
        What the user should be told: which solver failed, and why.
    """

    counts: Rows
    claimed_bound: Fraction | None = None
    certificate: Certificate | None = None
    infeasible: bool = False
    stopped_by: str | None = None
    notes: tuple[str, ...] = ()


class Policy(Protocol):
    """Chooses the servers of one interval; holds no state between intervals."""

    name: ClassVar[str]
    solvers: ClassVar[tuple[str, ...]]  # that it can use, its own choice first; empty if it needs none

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Return counts within availability, whatever the needs."""
        ...
