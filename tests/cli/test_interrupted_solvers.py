"""Ctrl-C while a solver is at work: the plan so far, exit code 130, a clean terminal, no process left."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import INTERRUPTIBLE, environment
from test_processes import _read_all

import hercules_opt as ho

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

#: What runs while each solver is at work, besides the command itself.
PROCESSES = {"highs": 0, "scip": 1, "cbc": 2}


def hard_instance(path: Path, intervals: int) -> None:
    """Save an instance of which each interval takes any solver ten seconds and more."""
    random = np.random.default_rng(0)
    size = 30
    rates = random.uniform(50, 500, (size, size)).round(3)
    powers = random.uniform(100, 400, (size, size)).round(3)
    loads = random.uniform(2000, 4000, (size, intervals)).round(2)
    loads[:, : intervals - 1] /= 100  # all but the last are easy
    instance = {
        "format": 1,
        "name": "hard",
        "servers": {f"t{h}": {"available": 12} for h in range(size)},
        "models": {f"m{m}": {} for m in range(size)},
        "loads": {"qps": {f"m{m}": loads[m].tolist() for m in range(size)}},
        "efficiency": {
            "pairs": [
                {"server_type": f"t{h}", "model": f"m{m}", "qps": rates[h, m], "power_w": powers[h, m]}
                for h in range(size)
                for m in range(size)
            ]
        },
    }
    ho.save_instance(ho.Instance.model_validate(instance), path)


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    children = [
        int(name)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for name in task.read_text().split()
    ]
    return children + [below for child in children for below in descendants(child)]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "solver", ["cbc", *(pytest.param(name, marks=pytest.mark.slow) for name in PROCESSES if name != "cbc")]
)
def test_ctrl_c_keeps_what_was_found_and_leaves_no_process(solver: str, tmp_path: Path) -> None:
    """The signal comes in the middle of the second interval; the first is kept, the second is greedy's."""
    instance = tmp_path / "hard.toml"
    hard_instance(instance, 2)
    plan_file = tmp_path / "plan.json"
    master, slave = pty.openpty()
    with (tmp_path / "stdout").open("w") as stdout:
        child = subprocess.Popen(
            [*INTERRUPTIBLE, "provision", str(instance), "--solver", solver, "--out", str(plan_file)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=slave,
            env=environment(TERM="xterm-256color"),
        )
    os.close(slave)
    shown = ""
    deadline = time.monotonic() + 60
    while "1/2" not in shown and time.monotonic() < deadline:
        shown += os.read(master, 65536).decode()
    while len(descendants(child.pid)) < PROCESSES[solver] and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    below = descendants(child.pid)
    assert len(below) == PROCESSES[solver]
    child.send_signal(signal.SIGINT)
    begin = time.monotonic()
    shown += _read_all(master)
    assert child.wait(timeout=60) == 130
    assert time.monotonic() - begin < 8
    assert "Traceback" not in shown
    assert "stopped by an interrupt" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert not any(is_running(pid) for pid in below)
    plan = ho.load_plan(plan_file)
    assert (plan.stopped_by, plan.solver) == ("interrupt", solver)
    assert plan.interval_status[0] == "optimal"
    assert ho.verify(ho.load_instance(instance), None, plan) == []
