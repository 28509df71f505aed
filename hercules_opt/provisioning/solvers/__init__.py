"""Solvers of integer programs by name, one module each; what each can do is data on its class.

``covering`` gets exact answers from any of them, ``falling_over`` goes on with the next where one fails.
"""

from __future__ import annotations

from hercules_opt.provisioning.solvers.base import Capabilities, Solver, SolverAnswer, Verdict
from hercules_opt.provisioning.solvers.cbc import Cbc
from hercules_opt.provisioning.solvers.cp_sat import CpSat
from hercules_opt.provisioning.solvers.glpk import Glpk
from hercules_opt.provisioning.solvers.mathopt import OrToolsHighs, Scip
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

#: Every solver, in the order in which one takes over from another that fails.
SOLVERS: dict[str, type[Solver]] = {
    solver.name: solver for solver in (SciPyHighs, OrToolsHighs, Scip, CpSat, Cbc, Glpk)
}

__all__ = ["SOLVERS", "Capabilities", "Solver", "SolverAnswer", "Verdict"]
