"""Objectives on the command line: chosen by name, told with their unit, verified."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_one_message, call


@pytest.mark.parametrize(
    ("objective", "line"),
    [
        ("power", "Mean provisioned power"),
        ("servers,power", "Mean number of servers"),
    ],
)
def test_an_objective_is_told_and_verified(tmp_path: Path, objective: str, line: str) -> None:
    """The summary names what was minimized; the plan keeps it and verifies."""
    plan = tmp_path / "plan.json"
    outcome = call("provision", "tiny", "--objective", objective, "--out", plan)
    assert outcome.code == 0
    assert line in outcome.out
    assert call("verify", "tiny", plan).code == 0
    assert f'"objective_name": "{objective.replace(",", ", ")}"' in plan.read_text()


def test_run_takes_an_objective() -> None:
    """Both plans are made for it."""
    document = call("run", "tiny", "--objective", "servers", "--json").json
    assert [plan["objective_name"] for plan in document["plans"]] == ["servers", "servers"]
    assert document["plans"][0]["objective"] <= document["plans"][1]["objective"]
    assert all(plan["verified"] for plan in document["plans"])


@pytest.mark.parametrize(
    ("objective", "fragment"),
    [
        ("watts", "objective: unknown objective, found 'watts'"),
        ("power,power", "objective: an objective may appear only once, found 'power'"),
    ],
)
@pytest.mark.parametrize("command", ["provision", "run"])
def test_bad_objectives_are_one_message(command: str, objective: str, fragment: str) -> None:
    """What was found and what is allowed."""
    outcome = call(command, "tiny", "--objective", objective)
    assert outcome.code == 2
    assert_one_message(outcome, fragment)


def test_requirements_are_kept_and_verified(tmp_path: Path) -> None:
    """A file of requirements and a cap; the cap of the command line counts."""
    file, plan = tmp_path / "keep.toml", tmp_path / "plan.json"
    file.write_text('forbid = [["gpu", "retrieval"]]\npower_cap_w = 1\n')
    outcome = call("provision", "tiny", "--requirements", file, "--power-cap-w", 1e6, "--out", plan)
    assert outcome.code == 0
    assert '"power_cap_w": 1000000.0' in plan.read_text()
    assert call("verify", "tiny", plan).code == 0
    capped = call("provision", "tiny", "--requirements", file)
    assert capped.code == 3
    assert "infeasible" in capped.err


@pytest.mark.parametrize(
    ("toml", "fragment"),
    [
        ('forbid = [["gpux", "ranking"]]', "forbid: unknown server type, found 'gpux'. Did you mean 'gpu'?"),
        ("[pn]\n", "pn: unknown key. Did you mean 'pin'?"),
        ("[fixed.gpu]\nranking = 99\n", "fixed, interval 0, gpu: must be at most what is available"),
        ("[at_least]\nrankin = 1\n", "at_least: unknown model, found 'rankin'. Did you mean 'ranking'?"),
    ],
)
@pytest.mark.parametrize(
    "command", [("provision",), ("run",), ("what-if",), ("export", "--interval", "0")], ids=lambda c: c[0]
)
def test_bad_requirements_are_one_message(
    tmp_path: Path, command: tuple[str, ...], toml: str, fragment: str
) -> None:
    """File and key, what was found and what is allowed."""
    file = tmp_path / "keep.toml"
    file.write_text(toml)
    outcome = call(command[0], "tiny", *command[1:], "--requirements", file)
    assert outcome.code == 2
    assert_one_message(outcome, f"{file}, {fragment}")


def test_requirements_are_named_beside_a_table(tmp_path: Path) -> None:
    """Not the table's file, which is read without fault."""
    table, file = tmp_path / "table.csv", tmp_path / "keep.toml"
    table.write_text("server_type,model,qps,power_w\ncpu,ranking,100,200\n")
    file.write_text('pin = { gpu = "rankin" }\n')
    outcome = call("provision", "tiny", "--table", table, "--requirements", file)
    assert_one_message(outcome, f"{file}, pin: unknown model, found 'rankin'. Did you mean 'ranking'?")


def test_run_shows_more_policies(tmp_path: Path) -> None:
    """Each is compared, verified and written; oblivious is averaged over seeds."""
    folder = tmp_path / "day"
    outcome = call("run", "tiny", "--also", "oblivious,greedy-priority", "--out", folder)
    assert outcome.code == 0
    assert "Oblivious is a sample: of 20 seeds," in " ".join(outcome.out.split())
    names = {path.name for path in folder.iterdir()}
    assert {"plan-oblivious.json", "plan-greedy-priority.json", "plan-hercules.json"} < names
    assert "plan-lp-rounding.json" not in names
    document = call("compare", "tiny", *sorted(folder.glob("plan-*.json")), "--json").json
    assert document["oblivious_seeds"]["seeds"] == 20
    assert len(document["plans"]) == 4


def test_an_unknown_policy_is_one_message() -> None:
    """With the nearest name."""
    outcome = call("run", "tiny", "--also", "greedy-prority")
    assert outcome.code == 2
    assert_one_message(
        outcome, "--also: unknown policy, found 'greedy-prority'. Did you mean 'greedy-priority'?"
    )
