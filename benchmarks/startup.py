"""Whole-process start of ``import hercules_opt`` and ``hercules-opt --help``, beside ``import pandas``.

    python -m benchmarks.startup [--smoke] [--json FILE]

Each command is a fresh process, timed from outside by the wall clock, its bytecode cached by a first run that
does not count. The commands take turns, so that a disturbance meets all of them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.harness import Report, main

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import hercules_opt": ["-c", "import hercules_opt"],
    "hercules-opt --help": ["-m", "hercules_opt.cli", "--help"],
    "import pandas": ["-c", "import pandas"],
}
TARGETS_S = {"import hercules_opt": 0.25, "hercules-opt --help": 0.6}


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one Python process; stop with its error if it fails."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return elapsed


def measure(smoke: bool) -> Report:
    """Time all commands in turns."""
    for arguments in COMMANDS.values():
        seconds(arguments)
    runs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(2 if smoke else 15):
        for name, arguments in COMMANDS.items():
            runs[name].append(seconds(arguments))
    medians = {name: statistics.median(times) for name, times in runs.items()}
    rows = [
        {
            "process": name,
            "median_s": medians[name],
            "fastest_s": min(times),
            "slowest_s": max(times),
            "of_import_pandas": medians[name] / medians["import pandas"],
            "target_s": TARGETS_S.get(name),
            "met": medians[name] <= TARGETS_S[name] if name in TARGETS_S else None,
        }
        for name, times in runs.items()
    ]
    return Report({"Whole-process start": rows})


if __name__ == "__main__":
    main("startup", "Time of importing the package and of --help, as whole processes.", measure)
