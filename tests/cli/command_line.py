"""Run the command line, in this process or as one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hercules_opt.cli.app import execute

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "hercules_opt.cli"]
#: The same, hearing Ctrl-C also where the tests run in a shell's background, which has it ignored.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from hercules_opt.cli import main; main()",
]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout; NaN and Infinity are no JSON."""

        def refuse(name: str) -> Any:
            raise ValueError(name)

        return json.loads(self.out, parse_constant=refuse)


def call(*arguments: str | Path) -> Outcome:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = execute([str(argument) for argument in arguments])
    return Outcome(int(code), out.getvalue(), err.getvalue())


def environment(**changes: str) -> dict[str, str]:
    """Return an environment without the settings that change how output looks."""
    unwanted = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "HERCULES_OPT_DEBUG", "PYTHONIOENCODING")
    kept = {name: entry for name, entry in os.environ.items() if name not in unwanted}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": paths, **changes}


def process(*arguments: str | Path, cwd: Path | None = None, **changes: str) -> Outcome:
    """Run the command line as a process of its own, with pipes."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        env=environment(**changes),
        cwd=cwd,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_one_message(outcome: Outcome, *fragments: str) -> None:
    """Check that nothing but one line on stderr told what is wrong."""
    assert outcome.out == ""
    assert outcome.err.startswith("hercules-opt: error: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    assert len(outcome.err) < 700
    for fragment in fragments:
        assert fragment in outcome.err
    assert outcome.code == 2
