"""``export`` on the command line: files, stdout, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho
from hercules_opt.cli.export import ENDINGS
from hercules_opt.provisioning.files.export import FORMS


def test_formats_are_those_of_the_function() -> None:
    assert ENDINGS.keys() == FORMS.keys()


@pytest.mark.parametrize(("form", "ending"), ENDINGS.items())
def test_a_file_is_what_the_function_returns(form: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"tiny{ending}"
    outcome = call("export", "tiny", "--interval", "2", "--format", form, "--out", path)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"hercules-opt: wrote {path}\n")
    expected = ho.export_program(ho.load_instance("tiny"), interval=2, form=form)
    assert path.read_text() == expected
    assert call("export", "tiny", "--interval", "2", "--format", form).out == expected


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["tiny"], ["--interval: must say which interval, from 0 to 3"]),
        (["tiny", "--interval", "4"], ["--interval: must be a whole number from 0 to 3, found 4"]),
        (["tiny", "--interval", "-1"], ["--interval: must be a whole number from 0 to 3, found -1"]),
        (["tiny", "--interval", "one"], ["invalid value for '--interval'", "valid integer"]),
        (["tiny", "--interval", "0", "--format", "pls"], ["--format: unknown format, found 'pls'"]),
        (["tiny", "--interval", "0", "--format", ""], ["--format: unknown format, found ''"]),
        (["tiny", "--interval", "0", "--out", "x.mps"], ["x.mps: a file name must end in .lp, found .mps"]),
        (["tiny", "--interval", "0", "--format", "mps", "--out", "x"], ["must end in .mps, found none"]),
        (["tiny", "--interval", "0", "--out", "nosuch/x.lp"], ["nosuch/x.lp: cannot be written"]),
        (["nosuch", "--interval", "0"], ["nosuch"]),
        (["tiny", "--table", "nosuch.csv", "--interval", "0"], ["nosuch.csv"]),
        (["hpca22", "--interval", "0"], ["needs an efficiency table"]),
    ],
)
def test_bad_calls_are_one_message(arguments: list[str], fragments: list[str]) -> None:
    assert_one_message(call("export", *arguments), *fragments)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--solver", "glpkk"], "for policy 'hercules', found 'glpkk'. Did you mean 'glpk'?"),
        (["--solver", "CBC"], "for policy 'hercules', found 'CBC'"),
        (["--solver", ""], "for policy 'hercules', found ''"),
        (["--solver", "gurobi"], "for policy 'hercules', found 'gurobi'"),
        (["--policy", "greedy", "--solver", "cbc"], "for policy 'greedy', found 'cbc'"),
    ],
)
def test_solvers_that_are_not_there_are_one_message(arguments: list[str], fragment: str) -> None:
    assert_one_message(call("provision", "tiny", *arguments), "solver: unknown solver", fragment)
