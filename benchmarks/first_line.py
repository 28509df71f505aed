"""How long ``hercules-opt run hpca22`` takes, cold and warm, and where the time goes.

    python -m benchmarks.first_line [--smoke] [--json FILE]

Each command is a fresh process. Cold: nothing is kept of the cost model's programs and of the simulator's
kernels. Warm: the same folders again. The machine should be left alone meanwhile; CPU time says what two
cores share.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Report, Row, main

INSTANCE, SMOKE_INSTANCE = "hpca22", "tiny"
#: Targets in seconds, by temperature; without the check, which came later and has one of its own.
TARGETS_S = {("cold", "--no-check"): 25.0, ("warm", "--no-check"): 10.0, ("cold", "--check"): 40.0}


def measure(smoke: bool) -> Report:
    """Time the first line with and without its check, then its parts."""
    instance = SMOKE_INSTANCE if smoke else INSTANCE
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for check in ("--no-check", "--check"):
            kept = Path(folder) / check
            for temperature in ("cold", "warm"):
                spent = seconds(kept, "run", instance, check)
                target = TARGETS_S.get((temperature, check))
                met = None if target is None else spent["wall_s"] <= target
                case = {"command": f"run {instance} {check}", "programs": temperature}
                rows.append({**case, **spent, "target_s": target, "met": met})
        table = str(Path(folder) / "table.csv")
        parts = {
            "start of Python and the command line": ("--help",),
            "stage 1: schedules": ("profile", instance, "--no-check"),
            "stage 1 with the check": ("profile", instance, "--out", table),
            "stage 2: the plan of hercules": ("provision", instance, "--table", table),
        }
        shares = [{"part": part, **seconds(kept, *command)} for part, command in parts.items()]
    return Report(
        {"The first line": rows, "Its parts, warm, each a process of its own": shares},
        [f"{len(os.sched_getaffinity(0))} cores." if hasattr(os, "sched_getaffinity") else "All cores."],
    )


def seconds(kept: Path, *arguments: str) -> dict[str, float]:
    """Return wall and CPU time of one command, whose programs are kept in a folder; stop if it fails."""
    environment = {
        **os.environ,
        "HERCULES_OPT_CACHE_DIR": str(kept),
        "NUMBA_CACHE_DIR": str(kept / "kernels"),
    }
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "hercules_opt.cli", *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"hercules-opt {' '.join(arguments)} failed:\n{done.stderr}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": spent}


if __name__ == "__main__":
    main("first_line", "Time of the first line, cold and warm, and where it goes.", measure)
