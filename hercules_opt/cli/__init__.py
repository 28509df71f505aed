"""The command line, ``hercules-opt``: one module per command, shared pieces apart."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line on the process's arguments, or on given ones, and leave with its exit code."""
    from hercules_opt.cli.app import execute
    from hercules_opt.cli.compiling import keep_compiled
    from hercules_opt.cli.output import keep_stdout_ours

    keep_stdout_ours()
    keep_compiled(os.environ)
    sys.exit(execute(sys.argv[1:] if arguments is None else list(arguments)))
