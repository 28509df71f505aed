"""SCIP and HiGHS as OR-Tools carries them, through its MathOpt.

They are never loaded in the user's process: the HiGHS of OR-Tools and the one of ``highspy`` cannot share
one. OR-Tools' older interface, pywraplp, calls a gap of 1e-4 optimal, and loses the best answer of HiGHS at a
time limit; MathOpt does neither.
"""

from __future__ import annotations

import datetime
import math
from typing import Any, ClassVar

from hercules_opt.provisioning.solvers.base import Capabilities
from hercules_opt.provisioning.solvers.child import FloatChildSolver, Reply, Request


class _MathOpt(FloatChildSolver):
    """A solver of MathOpt's, by the name it has there."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        package="ortools",
        child=True,
        time_limit=True,
        node_limit=False,
        bound=True,
        continuous=True,
        whole_coefficients=False,
    )
    solver_type: ClassVar[str]

    @classmethod
    def load(cls) -> None:
        """Import OR-Tools."""
        from ortools.math_opt.python import mathopt  # noqa: F401

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve one program."""
        from ortools.math_opt.python import mathopt

        model = mathopt.Model()
        columns = [
            model.add_variable(lb=low, ub=high, is_integer=bool(whole))
            for low, high, whole in zip(request["low"], request["high"], request["whole"], strict=True)
        ]
        for column, cost in zip(columns, request["costs"], strict=True):
            model.objective.set_linear_coefficient(column, cost)
        for places, entries, low, high in request["rows"]:
            row = model.add_linear_constraint(
                lb=-math.inf if low is None else low, ub=math.inf if high is None else high
            )
            for place, entry in zip(places, entries, strict=True):
                row.set_coefficient(columns[place], entry)
        result = mathopt.solve(
            model,
            getattr(mathopt.SolverType, cls.solver_type),
            params=mathopt.SolveParameters(
                time_limit=datetime.timedelta(seconds=request["time_limit_s"]),
                relative_gap_tolerance=request["gap"],
                absolute_gap_tolerance=0.0,
            ),
        )
        values = None
        if result.has_primal_feasible_solution():
            values = list(result.variable_values(columns))
        bound = result.best_objective_bound()
        return {
            "verdict": _verdict(result.termination),
            "values": values,
            "bound": bound if math.isfinite(bound) else None,
        }


def _verdict(termination: Any) -> str:
    """Return our word for how a run of MathOpt's ended; every column is bounded, so no cost is unbounded."""
    reason = termination.reason.name
    if reason in ("OPTIMAL", "INFEASIBLE"):
        return str(reason.lower())
    if reason == "INFEASIBLE_OR_UNBOUNDED":
        return "infeasible"
    limit = termination.limit.name if termination.limit is not None else ""
    if reason in ("FEASIBLE", "NO_SOLUTION_FOUND") and limit in ("TIME", "NODE"):
        return f"{limit.lower()}_limit"
    raise ValueError(f"MathOpt ended with {reason} {limit}: {termination.detail}")


class Scip(_MathOpt):
    """SCIP."""

    name: ClassVar[str] = "scip"
    solver_type: ClassVar[str] = "GSCIP"


class OrToolsHighs(_MathOpt):
    """The HiGHS of OR-Tools."""

    name: ClassVar[str] = "ortools-highs"
    solver_type: ClassVar[str] = "HIGHS"
