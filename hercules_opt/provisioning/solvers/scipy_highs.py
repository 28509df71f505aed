"""HiGHS as SciPy carries it: in this process, always there."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction
from typing import Any, ClassVar

from hercules_opt.provisioning.programs.program import Program
from hercules_opt.provisioning.solvers.base import Capabilities, SolverAnswer, Verdict, whole_values

#: Nodes of one branch and bound, so that a call without a time limit ends.
_NODE_LIMIT = 5_000


class SciPyHighs:
    """``scipy.optimize.milp``."""

    name: ClassVar[str] = "highs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        package="scipy",
        child=False,
        time_limit=True,
        node_limit=True,
        bound=True,
        continuous=True,
        whole_coefficients=False,
    )

    def solve(self, program: Program, gap: float, time_limit_s: float | None) -> SolverAnswer:
        """Solve the relaxation."""
        from scipy import optimize

        from hercules_opt.provisioning.programs.relaxation import Relaxation

        relaxed = Relaxation.of(program)
        options: Any = {"mip_rel_gap": gap, "node_limit": _NODE_LIMIT}
        if time_limit_s is not None:
            options["time_limit"] = max(time_limit_s, 1e-3)
        result = _interruptibly(
            lambda: optimize.milp(
                relaxed.costs,
                integrality=relaxed.whole,
                bounds=optimize.Bounds(relaxed.low, relaxed.high),
                constraints=optimize.LinearConstraint(relaxed.rows, lb=relaxed.row_low, ub=relaxed.row_high),
                options=options,
            )
        )
        claimed = result.mip_dual_bound
        bound = None
        if claimed is not None and math.isfinite(claimed):
            bound = Fraction(claimed) * relaxed.cost_scale
        values = None if result.x is None else whole_values(program, result.x.tolist())
        verdict = _verdict(result)
        reason = result.message if verdict == "solver_failure" else None
        return SolverAnswer(verdict, values, bound, reason)

    def close(self) -> None:
        """Nothing is open."""


def _interruptibly(call: Callable[[], Any]) -> Any:
    """Return what a call returns; Ctrl-C ends the wait at once, and the call later, by its limits.

    HiGHS does not hear of signals while it runs, but lets other threads run.
    """
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=1.0)
    return outcome.result()


def _verdict(result: Any) -> Verdict:
    verdicts: dict[int, Verdict] = {0: "optimal", 1: "time_limit", 2: "infeasible"}
    if result.status == 4 and (result.mip_node_count or 0) >= _NODE_LIMIT:  # SciPy has no status for it
        return "node_limit"
    return verdicts.get(result.status, "solver_failure")
