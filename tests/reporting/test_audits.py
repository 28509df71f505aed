"""The page of an audit says what was recomputed, and what is a solver's word."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

import hercules_opt as ho
from hercules_opt.provisioning.checking.verify import audit
from hercules_opt.reporting.audits import audit_page


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        ("auto", "verified, every claim was recomputed in exact arithmetic"),
        ("highs", "verified, all but the bounds that a solver claims was recomputed in exact arithmetic"),
    ],
)
def test_a_bound_that_a_solver_claims_is_not_called_recomputed(solver: str, words: str) -> None:
    day = ho.load_instance("tiny")
    plan = ho.provision(day, solver=solver)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(audit_page(plan, audit(day, plan), Path("plan.json")))
    assert words in captured.get()
