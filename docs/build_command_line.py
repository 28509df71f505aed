"""Run the examples of command-line.md and write what they print.

    python -m docs.build_command_line [--check]

Every block of the page that begins with a line ``$ hercules-opt ...`` is run, in one folder, in order. With
``--check`` nothing is written; the exit code is 1 if the page is out of date, apart from run times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from hercules_opt.cli.app import execute

PAGE = Path(__file__).with_name("command-line.md")
BLOCK = re.compile(r"```console\n(\$ hercules-opt.*?)```", re.DOTALL)
SECONDS = re.compile(r"\b\d+\.\d\d? s\b")


def outputs(arguments: list[str]) -> tuple[int, str]:
    """Run the command line at 80 columns; return its exit code, and what it printed, stderr last."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = execute(arguments)
    return int(code), out.getvalue() + err.getvalue()


def rerun(block: re.Match[str]) -> str:
    """Return a block with what its commands print now; a code other than 0 is asked for by ``echo $?``."""
    lines: list[str] = []
    code = 0
    for line in block[1].splitlines():
        if line == "$ echo $?":
            lines += [line, str(code)]
        elif line.startswith("$ hercules-opt"):
            code, printed = outputs(shlex.split(line)[2:])
            lines += [line, *printed.splitlines()]
        elif line.startswith("$ cat "):
            lines += [line, *Path(line.removeprefix("$ cat ")).read_text(encoding="utf-8").splitlines()]
    return "```console\n" + "\n".join(lines) + "\n```"


def rebuilt(page: str) -> str:
    """Return the page with every example run again, in a folder of its own."""
    before, columns = Path.cwd(), os.environ.pop("COLUMNS", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return BLOCK.sub(rerun, page)
        finally:
            os.chdir(before)
            if columns is not None:
                os.environ["COLUMNS"] = columns


def without_times(page: str) -> str:
    """Return a page whose run times are all the same."""
    return SECONDS.sub("0.00 s", page)


def main() -> int:
    """Rebuild or check the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    fresh = rebuilt(page)
    if without_times(fresh) == without_times(page):
        return 0
    if check:
        print(f"{PAGE.name} is out of date: run python -m docs.build_command_line", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
