"""GLPK through ``swiglpk``: not a dependency, used where it is installed.

GLPK aborts its process on misuse, as good a reason as any for a child.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hercules_opt.provisioning.solvers.base import Capabilities
from hercules_opt.provisioning.solvers.child import FloatChildSolver, Reply, Request


class Glpk(FloatChildSolver):
    """``glp_intopt`` with its presolver."""

    name: ClassVar[str] = "glpk"
    capabilities: ClassVar[Capabilities] = Capabilities(
        package="swiglpk",
        child=True,
        time_limit=True,
        node_limit=False,
        bound=False,
        continuous=True,
        whole_coefficients=False,
    )

    @classmethod
    def load(cls) -> None:
        """Import GLPK."""
        import swiglpk  # noqa: F401

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve one program."""
        import swiglpk as glpk

        glpk.glp_term_out(glpk.GLP_OFF)
        problem = glpk.glp_create_prob()
        try:
            _fill(glpk, problem, request)
            return _solve(glpk, problem, request)
        finally:
            glpk.glp_delete_prob(problem)


def _fill(glpk: Any, problem: Any, request: Request) -> None:
    """Copy the program; GLPK counts rows and columns from 1."""
    glpk.glp_set_obj_dir(problem, glpk.GLP_MIN)
    glpk.glp_add_cols(problem, len(request["costs"]))
    columns = zip(request["low"], request["high"], request["costs"], request["whole"], strict=True)
    for place, (low, high, cost, whole) in enumerate(columns, start=1):
        glpk.glp_set_col_bnds(problem, place, glpk.GLP_FX if low == high else glpk.GLP_DB, low, high)
        glpk.glp_set_obj_coef(problem, place, cost)
        glpk.glp_set_col_kind(problem, place, glpk.GLP_IV if whole else glpk.GLP_CV)
    for columns_of_row, entries, low, high in request["rows"]:
        row = glpk.glp_add_rows(problem, 1)
        glpk.glp_set_row_bnds(problem, row, _kind(glpk, low, high), low or 0.0, high or 0.0)
        places, figures = glpk.intArray(len(entries) + 1), glpk.doubleArray(len(entries) + 1)
        for number, (place, entry) in enumerate(zip(columns_of_row, entries, strict=True), start=1):
            places[number], figures[number] = place + 1, entry
        glpk.glp_set_mat_row(problem, row, len(entries), places, figures)


def _kind(glpk: Any, low: float | None, high: float | None) -> Any:
    if low is None:
        return glpk.GLP_FR if high is None else glpk.GLP_UP
    if high is None:
        return glpk.GLP_LO
    return glpk.GLP_FX if low == high else glpk.GLP_DB


def _solve(glpk: Any, problem: Any, request: Request) -> Reply:
    terms = glpk.glp_iocp()
    glpk.glp_init_iocp(terms)
    terms.presolve = glpk.GLP_ON
    terms.mip_gap = request["gap"]
    terms.tm_lim = max(1, min(round(1000 * request["time_limit_s"]), 2**31 - 1))
    code = glpk.glp_intopt(problem, terms)
    status = glpk.glp_mip_status(problem)
    cost = glpk.glp_mip_obj_val(problem)
    found = status in (glpk.GLP_OPT, glpk.GLP_FEAS)
    values = None
    if found:
        values = [glpk.glp_mip_col_val(problem, place + 1) for place in range(len(request["costs"]))]
    if code == glpk.GLP_ENOPFS or (code == 0 and status == glpk.GLP_NOFEAS):
        return {"verdict": "infeasible", "values": None, "bound": None}
    if code == glpk.GLP_ETMLIM:
        return {"verdict": "time_limit", "values": values, "bound": None}
    if code == 0 and status == glpk.GLP_OPT:
        return {"verdict": "optimal", "values": values, "bound": cost}
    if code == glpk.GLP_EMIPGAP and found:
        # The bound is not told; at the gap it is no lower than this.
        return {"verdict": "optimal", "values": values, "bound": cost - request["gap"] * abs(cost)}
    raise ValueError(f"GLPK ended with code {code} and status {status}")
