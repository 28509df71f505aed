"""CBC through PuLP.

PuLP says "Optimal" after a time limit where CBC has an answer, and gives no bound. Both are read from CBC's
log.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hercules_opt.provisioning.solvers.base import Capabilities
from hercules_opt.provisioning.solvers.child import FloatChildSolver, Reply, Request

_RESULT = re.compile(r"^Result - (.*)$", re.MULTILINE)
_FIGURE = r"^{}:\s+([-+.0-9eE]+|-?inf)\s*$"
_BOUND = re.compile(_FIGURE.format("Lower bound"), re.MULTILINE)
_OBJECTIVE = re.compile(_FIGURE.format("Objective value"), re.MULTILINE)
#: Half of the last digit with which CBC prints a bound.
_ROUNDED = 0.0005
#: What CBC says in place of a result where its preprocessing ends it; our columns are all bounded.
_EARLY_INFEASIBLE = re.compile(r"^(Problem is infeasible|Pre-processing says infeasible)", re.MULTILINE)
#: What CBC's results stand for, by how they begin.
_VERDICTS = {
    "Optimal solution found": "optimal",
    "Problem proven infeasible": "infeasible",
    "Linear relaxation infeasible": "infeasible",
    "Stopped on time": "time_limit",
    "Stopped on node limit": "node_limit",
}


class Cbc(FloatChildSolver):
    """PuLP's ``COIN_CMD``."""

    name: ClassVar[str] = "cbc"
    capabilities: ClassVar[Capabilities] = Capabilities(
        package="pulp",
        child=True,
        time_limit=True,
        node_limit=False,
        bound=True,
        continuous=True,
        whole_coefficients=False,
    )

    @classmethod
    def load(cls) -> None:
        """Import PuLP and look for CBC."""
        if not _solver().available():
            raise ImportError("PuLP finds no CBC")

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve one program."""
        import pulp

        program = pulp.LpProblem("program", pulp.LpMinimize)
        columns = [
            pulp.LpVariable(f"x{index}", low, high, cat="Integer" if whole else "Continuous")
            for index, (low, high, whole) in enumerate(
                zip(request["low"], request["high"], request["whole"], strict=True)
            )
        ]
        program += pulp.LpAffineExpression(list(zip(columns, request["costs"], strict=True)))
        for places, entries, low, high in request["rows"]:
            row = pulp.LpAffineExpression(
                [(columns[place], entry) for place, entry in zip(places, entries, strict=True)]
            )
            if low is not None:
                program += row >= low
            if high is not None:
                program += row <= high
        with tempfile.TemporaryDirectory(prefix="hercules-opt-") as folder:
            log = Path(folder) / "cbc.log"
            solver = _solver(gapRel=request["gap"], timeLimit=request["time_limit_s"], logPath=str(log))
            solver.tmpDir = folder
            program.solve(solver)
            reply = reply_from_log(log.read_text(encoding="utf-8", errors="replace"))
        if program.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
            return {**reply, "values": None}
        values = [  # PuLP leaves out a column that no row and no cost names
            low if column.value() is None else column.value()
            for column, low in zip(columns, request["low"], strict=True)
        ]
        return {**reply, "values": values}


def _solver(**terms: Any) -> Any:
    """Return PuLP's CBC: the one it carries, else the one on the path."""
    import pulp

    carried = getattr(getattr(pulp, "PULP_CBC_CMD", None), "pulp_cbc_path", None)
    path = carried if carried and os.access(carried, os.X_OK) else None
    return pulp.COIN_CMD(path=path, msg=False, options=["preprocess off"], **terms)


def reply_from_log(log: str) -> Reply:
    """Return verdict and bound from CBC's log."""
    result = _RESULT.findall(log)
    verdict = next(
        (verdict for words, verdict in _VERDICTS.items() if result and result[-1].startswith(words)), None
    )
    if not result and _EARLY_INFEASIBLE.search(log):
        verdict = "infeasible"
    if verdict is None:
        raise ValueError(f"CBC's result is {result[-1][:100]!r}" if result else "CBC's log has no result")
    bounds, objectives = _BOUND.findall(log), _OBJECTIVE.findall(log)
    bound = None
    if verdict != "infeasible" and bounds:
        bound = float(bounds[-1]) - _ROUNDED
    elif verdict == "optimal" and objectives:
        bound = float(objectives[-1])
    return {"verdict": verdict, "bound": bound if bound is not None and math.isfinite(bound) else None}
