"""The page of solvers says what the classes do."""

from __future__ import annotations

import re
from pathlib import Path

import hercules_opt as ho
from hercules_opt.provisioning.policies import Hercules
from hercules_opt.provisioning.solvers import SOLVERS
from hercules_opt.provisioning.solvers.child import DEFAULT_LIMIT_S, LATE_S, LATE_SHARE, START_S

PAGE = (Path(__file__).parents[3] / "docs" / "solvers.md").read_text(encoding="utf-8")


def test_the_table_is_the_capabilities():
    said = {True: "yes", False: "no"}
    rows = []
    for name, solver in SOLVERS.items():
        can = solver.capabilities
        yes_or_no = [can.time_limit, can.node_limit, can.bound, can.continuous, can.whole_coefficients]
        cells = [
            f"`{name}`",
            can.package,
            "child" if can.child else "ours",
            *(said[flag] for flag in yes_or_no),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    first_table = PAGE.partition("## What is trusted")[0]
    assert re.findall(r"^\| `.*\|$", first_table, re.MULTILINE) == rows


def test_names_and_limits_are_the_ones_of_the_code():
    assert ("branch-and-price", *SOLVERS) == Hercules.solvers
    assert f"within {START_S:g} s" in PAGE
    assert f"a tenth and {LATE_S:g} s" in PAGE.replace("\n", " ")
    assert LATE_SHARE == 0.1
    assert f"a program gets {DEFAULT_LIMIT_S:g} s" in PAGE


def test_the_example_runs():
    """As printed, with the solver that is always there."""
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    scope: dict[str, object] = {}
    exec(code[1].replace('"cbc"', '"highs"'), scope)
    plan = scope["plan"]
    assert isinstance(plan, ho.Plan)
    assert (plan.status, plan.stopped_by, plan.notes) == ("optimal", None, ())
