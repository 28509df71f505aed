"""``--solver``: failures are told, limits keep the plan, exit codes say how it ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import call
from test_interrupted_solvers import hard_instance

import hercules_opt as ho
from hercules_opt.provisioning.solvers import SOLVERS

FAULTY = Path(__file__).parents[1] / "provisioning" / "solvers"


@pytest.fixture
def faulty(monkeypatch):
    """The solvers that fail, importable here and in a child."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAULTY), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(FAULTY))
    import faulty_solvers

    return faulty_solvers


def test_a_named_solver_solves_the_day() -> None:
    outcome = call("provision", "tiny", "--solver", "cbc", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    plan = outcome.json["plan"]
    assert (plan["status"], plan["solver"], plan["objective"]) == ("optimal", "cbc", 547.5)
    assert {interval["bound_source"] for interval in plan["intervals"]} == {"claimed"}
    assert outcome.json["policies"][0]["solver"] == "cbc"


def test_a_solver_that_fails_is_told_and_the_plan_kept(faulty, monkeypatch, tmp_path: Path) -> None:
    """One line per reason, not per interval; exit code 4; the file holds the notes."""
    monkeypatch.setitem(SOLVERS, "scip", faulty.Missing)
    path = tmp_path / "plan.json"
    outcome = call("provision", "tiny", "--solver", "scip", "--out", path)
    assert outcome.code == 4
    note = (
        "solver scip failed: faulty-package is not installed, try 'pip install faulty-package' "
        "(No module named 'a_package_that_is_not_there')"
    )
    ending = "stopped by a failure of the solver: there is a plan for all 4 intervals, without a bound"
    assert outcome.err.splitlines() == [f"hercules-opt: {line}" for line in (f"wrote {path}", note, ending)]
    assert ho.load_plan(path).notes == (note,)
    assert json.loads(path.read_text())["notes"] == [note]
    assert call("verify", "tiny", path).code == 0


def test_at_the_time_limit_there_is_a_plan_with_its_bound(tmp_path: Path) -> None:
    """Exit code 4 where the gap is not reached, 0 where it is; the bound is the solver's claim."""
    instance = tmp_path / "hard.toml"
    hard_instance(instance, 1)
    outcome = call("provision", instance, "--solver", "cbc", "--time-limit-s", "3", "--json")
    plan = outcome.json["plan"]
    assert outcome.code == 4
    assert (plan["status"], plan["stopped_by"]) == ("feasible", "time_limit")
    assert plan["intervals"][0]["bound_source"] == "claimed"
    assert 0 < plan["gap"] < 0.2
    assert (
        "stopped by the time limit: there is a plan for all 1 interval, with a gap of at most" in outcome.err
    )
    wide = call("provision", instance, "--solver", "cbc", "--time-limit-s", "20", "--gap", "0.3", "--json")
    assert (wide.code, wide.json["plan"]["status"]) == (0, "feasible")
