"""What a newcomer types first, and mistypes."""

from __future__ import annotations

import pytest
from command_line import assert_one_message, call

import hercules_opt

COMMANDS = ("run", "profile", "provision", "compare", "verify", "validate", "instances")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_no_arguments_and_help_list_the_commands_and_first_steps(arguments: list[str]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 0
    assert outcome.err == ""
    for command in COMMANDS:
        assert f"\n  {command} " in outcome.out
    assert "hercules-opt run mlperf-fleet" in outcome.out


def test_version() -> None:
    assert call("--version").out == f"hercules-opt {hercules_opt.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    outcome = call(command, "--help")
    assert outcome.code == 0
    assert f"Usage: hercules-opt {command} " in outcome.out
    assert "--json" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["rum"], ["unknown command, found 'rum'", "Did you mean 'run'?"]),
        (["xyzzy"], ["unknown command", "Valid names: 'calibrate'", "'run'"]),
        (["run"], ["missing argument 'INSTANCE'", "See 'hercules-opt run --help'."]),
        (["run", "nosuch"], ["nosuch: no such file, and no instance of this name", "'tiny'"]),
        (["run", "tinny"], ["Did you mean 'tiny'?"]),
        (["run", "tiny.toml"], ["The library has 'tiny': leave out '.toml'."]),
        (["run", "./nosuch.toml"], ["nosuch.toml: no such file"]),
        (["run", "tiny", "mlperf-fleet"], ["unexpected extra argument", "mlperf-fleet"]),
        (["run", "tiny", "--jsn"], ["unknown option '--jsn'. Did you mean '--json'?"]),
        (["provision", "tiny", "--gpa", "0.1"], ["unknown option '--gpa'. Did you mean '--gap'?"]),
        (["--verison"], ["unknown option '--verison'. Did you mean '--version'?"]),
        (["run", "tiny", "--gap"], ["'--gap' requires an argument"]),
        (["run", "tiny", "--gap", "small"], ["'--gap'"]),
        (["run", "tiny", "--gap", "2"], ["gap: must be at least 0 and at most 1, found 2.0"]),
        (["run", "tiny", "--gap", "nan"], ["gap: must be a finite number, found nan"]),
        (["run", "tiny", "--time-limit-s", "-1"], ["--time-limit-s: must be at least 0"]),
        (["run", "tiny", "--seed", "-1"], ["--seed", "0"]),
        (["run", "tiny", "--seed", "1.5"], ["'--seed'"]),
        (["provision", "tiny", "--policy", "greddy"], ["unknown policy", "Did you mean 'greedy'?"]),
        (["provision", "tiny", "--out", "plan.xlsx"], ["must end in .csv or .json, found .xlsx"]),
        (["provision", "tiny", "--out", "plan"], ["must end in .csv or .json, found none"]),
        (["provision", "tiny", "--out", "no/such/plan.json"], ["cannot be written: No such file"]),
        (["provision", "tiny", "--table", "nosuch.csv"], ["nosuch.csv: no such file"]),
        (["provision", "tiny", "--table", "table.txt"], ["must end in .csv or .json, found .txt"]),
        (["run", "tiny", "--out", "no/such/folder"], ["cannot be written: No such file or directory"]),
        (["compare", "tiny"], ["missing argument 'PLAN...'"]),
        (["verify", "tiny"], ["missing argument 'PLAN'"]),
        (["verify", "tiny", "nosuch.json"], ["nosuch.json: no such file"]),
        (["validate"], ["missing argument 'FILE...'"]),
        (["instances", "tinny"], ["Did you mean 'tiny'?"]),
        (["instances", "tiny", "--schema"], ["the schema is the same for all instances"]),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_message(arguments: list[str], fragments: list[str]) -> None:
    assert_one_message(call(*arguments), *fragments)
