"""Whole processes: pipes, terminals, signals, and readers who go away."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import COMMAND, INTERRUPTIBLE, ROOT, call, environment, process

import hercules_opt as ho

ANSI = re.compile(r"\x1b\[")


def shell(script: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``HO`` stands for the command."""
    command = " ".join(COMMAND)
    return subprocess.run(
        ["bash", "-c", script.replace("HO", command)],
        capture_output=True,
        text=True,
        env=environment(**changes),
        timeout=120,
        check=False,
    )


def on_terminal(*arguments: str, columns: int = 80, **changes: str) -> str:
    """Run a command whose stdout and stderr are a terminal, and return what it shows."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(TERM="xterm-256color", COLUMNS=str(columns), **changes),
    )
    os.close(slave)
    shown = _read_all(master)
    assert child.wait(timeout=60) == 0
    return shown


def _read_all(master: int) -> str:
    parts = []
    with contextlib.suppress(OSError):  # a terminal whose other end is closed
        while part := os.read(master, 65536):
            parts.append(part)
    os.close(master)
    return b"".join(parts).decode()


def test_a_process_prints_what_the_function_does(tmp_path: Path) -> None:
    """Also from another folder, and by the module's name."""
    outcome = process("instances", "tiny", cwd=tmp_path)
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out == call("instances", "tiny").out


def test_json_in_a_pipe_is_the_only_thing_on_stdout() -> None:
    outcome = process("run", "tiny", "--json")
    assert outcome.json["plans"][0]["objective"] == 547.5
    assert outcome.err == ""


def test_what_a_library_prints_does_not_end_up_between_our_results() -> None:
    """HiGHS prints a line on descriptor 1 on some hard cases; here a library prints in every case."""
    noisy = (
        "import os; import hercules_opt.cli as cli; import hercules_opt.cli.app as app; "
        "run = app.execute; "
        "app.execute = lambda given: (os.write(1, b'noise'), run(given), os.write(1, b'noise'))[1]; "
        "cli.main(['instances', '--json'])"
    )
    command = [COMMAND[0], "-c", noisy]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=True)
    assert json.loads(done.stdout)["command"] == "instances"
    assert "noise" not in done.stdout + done.stderr


def test_no_colours_and_no_progress_in_a_pipe() -> None:
    outcome = process("run", "tiny")
    assert outcome.code == 0
    assert not ANSI.search(outcome.out)
    assert outcome.err == ""
    assert max(len(line) for line in outcome.out.splitlines()) <= 80
    assert not any(line != line.rstrip() for line in outcome.out.splitlines())


def test_a_terminal_gets_colours_and_what_to_do_next() -> None:
    shown = on_terminal("run", "tiny")
    assert ANSI.search(shown)
    assert "Next: hercules-opt run tiny --out day" in shown


def test_no_color_is_respected_on_a_terminal() -> None:
    shown = on_terminal("instances", "tiny", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|4[0-7])", shown)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("HO run tiny | true; exit ${PIPESTATUS[0]}", 0),
        ("HO run tiny | head -c 1; exit ${PIPESTATUS[0]}", 0),
        ("HO instances --schema | head -1; exit ${PIPESTATUS[0]}", 0),
        ("HO --help | true; exit ${PIPESTATUS[0]}", 0),
        ("HO run tiny --json 2>&1 | true; exit ${PIPESTATUS[0]}", 0),
        ("HO run nosuch 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", 2),
        ("HO run tiny >&-", 0),
        ("HO run nosuch 2>&-", 2),
    ],
)
def test_a_reader_who_goes_away_is_no_error(script: str, code: int) -> None:
    done = shell(script)
    assert done.returncode == code
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    done = shell("HO run tiny > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "hercules-opt: error: stdout: cannot be written: No space left on device\n"


def test_an_encoding_without_our_signs_gets_others() -> None:
    done = shell("HO instances mlperf-fleet", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_an_internal_error_is_one_line_and_the_trace_is_there_on_demand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> list[str]:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("hercules_opt.problem.library.library_names", fail)
    monkeypatch.delenv("HERCULES_OPT_DEBUG", raising=False)
    outcome = call("instances")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert "internal error (RuntimeError: two lines): this is a bug of ours, please report it" in outcome.err
    monkeypatch.setenv("HERCULES_OPT_DEBUG", "1")
    assert "Traceback" in call("instances").err


def test_ctrl_c_saves_what_was_found_and_leaves_a_clean_terminal(tmp_path: Path) -> None:
    """The signal comes once the progress bar has counted an interval; in the end the cursor is shown."""
    instance = tmp_path / "large.toml"
    _write_large(instance)
    master, slave = pty.openpty()
    with (tmp_path / "stdout").open("w") as stdout:
        child = subprocess.Popen(
            [*INTERRUPTIBLE, "run", str(instance), "--out", str(tmp_path / "day"), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=slave,
            env=environment(TERM="xterm-256color"),
        )
    os.close(slave)
    shown = ""
    deadline = time.monotonic() + 60
    while not re.search(r"[1-9][0-9]*/1500", shown) and time.monotonic() < deadline:
        shown += os.read(master, 65536).decode()
    child.send_signal(signal.SIGINT)
    shown += _read_all(master)
    assert child.wait(timeout=60) == 130
    assert "Traceback" not in shown
    assert "stopped by an interrupt" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    document = json.loads((tmp_path / "stdout").read_text())
    assert document["plan"]["stopped_by"] == "interrupt"
    assert sorted(path.name for path in (tmp_path / "day").iterdir()) == ["plan-hercules.json", "table.csv"]
    plan = ho.load_plan(tmp_path / "day" / "plan-hercules.json")
    assert ho.verify(ho.load_instance(instance), None, plan) == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _write_large(path: Path) -> None:
    """Save an instance that takes minutes: many types, models and intervals, scarce servers."""
    random = np.random.default_rng(0)
    types, models, intervals = 12, 12, 1500
    rates = random.uniform(50, 500, (types, models)).round(3)
    powers = random.uniform(100, 400, (types, models)).round(3)
    loads = random.uniform(500, 1500, (models, intervals)).round(2)
    instance = ho.Instance.model_validate(
        {
            "format": 1,
            "name": "large",
            "servers": {f"t{h}": {"available": 12} for h in range(types)},
            "models": {f"m{m}": {} for m in range(models)},
            "loads": {"qps": {f"m{m}": loads[m].tolist() for m in range(models)}},
            "efficiency": {
                "pairs": [
                    {"server_type": f"t{h}", "model": f"m{m}", "qps": rates[h, m], "power_w": powers[h, m]}
                    for h in range(types)
                    for m in range(models)
                ]
            },
        }
    )
    ho.save_instance(instance, path)


def test_ctrl_c_before_any_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> ho.Instance:
        raise KeyboardInterrupt

    monkeypatch.setattr("hercules_opt.problem.loading.load_instance", interrupt)
    for command in (["run", "tiny"], ["verify", "tiny", "plan.json"], ["instances", "tiny"]):
        outcome = call(*command)
        assert outcome.code == 130
        assert outcome.out == ""
        assert outcome.err == "hercules-opt: interrupted: nothing was written\n"


def test_the_installed_command_is_this_function() -> None:
    assert 'hercules-opt = "hercules_opt.cli:main"' in (ROOT / "pyproject.toml").read_text()
