"""CP-SAT of OR-Tools: whole numbers throughout, so programs are scaled to whole coefficients first."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar

from hercules_opt.provisioning.programs.program import Program
from hercules_opt.provisioning.solvers.base import Capabilities
from hercules_opt.provisioning.solvers.child import ChildSolver, Reply, Request, SolverFailureError


class CpSat(ChildSolver):
    """CP-SAT with one worker: with several, equal calls may give different answers."""

    name: ClassVar[str] = "cp-sat"
    capabilities: ClassVar[Capabilities] = Capabilities(
        package="ortools",
        child=True,
        time_limit=True,
        node_limit=False,
        bound=True,
        continuous=False,
        whole_coefficients=True,
    )

    def _request(self, program: Program) -> tuple[Request, Fraction]:
        from hercules_opt.provisioning.programs.whole_relaxation import WholeRelaxation

        if not program.whole:
            raise SolverFailureError("takes whole columns only")
        relaxed = WholeRelaxation.of(program)
        request: Request = {
            "costs": relaxed.costs,
            "low": [int(column.low) for column in program.columns],
            "high": [int(column.high) for column in program.columns],
            "offset": relaxed.cost_error,
            "rows": relaxed.rows,
        }
        return request, relaxed.cost_scale

    @classmethod
    def load(cls) -> None:
        """Import OR-Tools."""
        from ortools.sat.python import cp_model  # noqa: F401

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve one program."""
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        columns = [
            model.new_int_var(low, high, "")
            for low, high in zip(request["low"], request["high"], strict=True)
        ]
        for places, entries, low, high in request["rows"]:
            row = cp_model.LinearExpr.weighted_sum([columns[place] for place in places], entries)
            if low is not None:
                model.add(row >= low)
            if high is not None:
                model.add(row <= high)
        model.minimize(cp_model.LinearExpr.weighted_sum(columns, request["costs"]))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_time_in_seconds = request["time_limit_s"]
        solver.parameters.relative_gap_limit = request["gap"]
        status = solver.solve(model)
        verdicts = {cp_model.OPTIMAL: "optimal", cp_model.INFEASIBLE: "infeasible"}
        if status not in (*verdicts, cp_model.FEASIBLE, cp_model.UNKNOWN):
            raise ValueError(f"CP-SAT ended with {solver.status_name(status)}")
        found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        bound = solver.best_objective_bound
        return {
            "verdict": verdicts.get(status, "time_limit"),
            "values": [solver.value(column) for column in columns] if found else None,
            "bound": bound - request["offset"] if found and math.isfinite(bound) else None,
        }
