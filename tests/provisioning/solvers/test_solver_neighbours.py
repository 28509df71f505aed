"""``highspy``, CVXPY and linopy in one process with us, imported before or after: all work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from hercules_opt.provisioning.solvers import SOLVERS

NEIGHBOURS = ("pulp", "cvxpy", "highspy", "linopy")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEIGHBOURS),
    reason=f"needs {', '.join(NEIGHBOURS)}",
)

#: Import the others and solve with their HiGHS; solve with each of our solvers.
SCRIPT = """
def theirs():
    import pulp, cvxpy, highspy, linopy
    x = cvxpy.Variable(integer=True)
    cvxpy.Problem(cvxpy.Minimize(x), [x >= 2.5]).solve(solver=cvxpy.HIGHS)
    assert round(float(x.value)) == 3
    model = linopy.Model()
    y = model.add_variables(lower=2.5, integer=True, name="y")
    model.add_objective(1 * y)
    model.solve("highs", progress=False)
    assert round(float(model.objective.value)) == 3

def ours():
    import hercules_opt as ho
    problem = ho.ProvisioningProblem([[10.0]], [[30.0]], [9], [25.0])
    for name in NAMES:
        plan = ho.provision(problem, solver=name)
        assert (plan.status, plan.notes) == ("optimal", ()), (name, plan.notes)
"""


@pytest.mark.parametrize("order", ["theirs(); ours()", "ours(); theirs(); ours()"])
def test_all_solvers_live_with_their_neighbours(order):
    script = f"NAMES = {['auto', *SOLVERS]!r}\n{SCRIPT}\n{order}\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
