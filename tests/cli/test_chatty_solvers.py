"""A solver that prints on descriptor 1, as C code does and as HiGHS did: stdout holds the answer alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

CHATTY = """
import ctypes, os
from scipy import optimize
from hercules_opt.cli import main

libc = ctypes.CDLL(None)

def chatty(solve):
    def solved(*given, **named):
        libc.puts(b"noise of C")
        libc.fflush(None)
        os.write(1, b"noise of the descriptor\\n")
        os.write(2, b"was here\\n")
        return solve(*given, **named)
    return solved

for name in ("milp", "linprog"):
    setattr(optimize, name, chatty(getattr(optimize, name)))
main()
"""

COMMANDS = (
    ("run", "tiny"),
    ("provision", "tiny"),
    ("provision", "tiny", "--solver", "highs"),
    ("provision", "tiny", "--power-cap-w", "1000"),
    ("provision", "tiny", "--policy", "lp-rounding"),
    ("what-if", "tiny", "--load", "2"),
    ("compare", "tiny", "plan.json"),
)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no C library of the process to print with")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_solver_prints_is_not_in_the_answer(command: tuple[str, ...], tmp_path: Path) -> None:
    """Every command that solves; compare only has to solve greedy, which needs no solver."""
    if "plan.json" in command:
        assert _called(("provision", "tiny", "--out", "plan.json"), tmp_path).returncode == 0
    outcome = _called((*command, "--json"), tmp_path)
    assert outcome.returncode in (0, 3), outcome.stderr
    assert json.loads(outcome.stdout)["schema_version"] == 1
    if command[0] != "compare":
        assert "was here" in outcome.stderr


def _called(command: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHATTY, *command],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
