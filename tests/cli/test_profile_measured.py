"""``profile --evaluator measured``: what it refuses, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import INTERRUPTIBLE, assert_one_message, call, environment

import hercules_opt as ho
from hercules_opt.measurement import measured_profile
from hercules_opt.measurement.this_host import this_host

#: An instance whose only server type is this host.
HERE = """
format = 1
name = "here"
[day]
interval_h = 24
[servers.this-host]
available = 1
[servers.this-host.cpu]
name = NAME
cores = 2
clock_ghz = 1.0
flops_per_cycle = 1.0
llc_mb = 32
memory_gb_s = 20
memory_gb = 8
idle_w = 10
tdp_w = 20
memory_idle_w = 0
memory_active_w = 0
[models.small]
sla_ms = 100
[models.small.query_size]
distribution = "fixed"
mean_items = 100
[models.small.architecture]
top_mlp = [64, 1]
[[models.small.architecture.tables]]
rows = 1000
dim = 16
lookups = 20
[loads.qps]
small = [1]
"""


def test_what_measuring_refuses(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert_one_message(
        call("profile", "tiny", "--evaluator", "mesured"),
        "hercules-opt: error: --evaluator: unknown evaluator, found 'mesured'. Did you mean 'measured'?",
    )
    assert_one_message(
        call("profile", "hpca22", "--evaluator", "measured"),
        "error: --evaluator: needs --cache FOLDER, to keep what is measured. It takes minutes per pair",
    )
    measured = ("profile", "hpca22", "--evaluator", "measured", "--cache", tmp_path)
    for option in (("--method", "lattice"), ("--seed", "3"), ("--workers", "2"), ("--no-check",)):
        assert_one_message(
            call(*measured, *option), f"error: {option[0]}: has no meaning with --evaluator measured"
        )
    assert_one_message(call(*measured), "error: servers.T1: is not this host, and only this host can be")
    assert_one_message(call("profile", "tiny", *measured[2:]), "servers.cpu.cpu: is required to search")
    assert_one_message(call(*measured, "--points", "0"), "--points")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> ho.EfficiencyTable:
        options["progress"]("dlrm-rmc1, cpu 2x1c d4: 100 QPS")
        raise KeyboardInterrupt

    monkeypatch.setattr(measured_profile, "profile_measured", interrupted)
    outcome = call("profile", "hpca22", "--evaluator", "measured", "--cache", tmp_path / "kept")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.splitlines() == [
        "hercules-opt: dlrm-rmc1, cpu 2x1c d4: 100 QPS",
        f"hercules-opt: interrupted: what was measured is kept in {tmp_path / 'kept'}, the same command goes "
        "on from there",
    ]


@pytest.mark.slow
@pytest.mark.skipif(this_host().cores < 2, reason="one core has one way to be used")
def test_ctrl_c_keeps_points_ends_all_processes_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """A real run with a tiny model, interrupted in its second schedule; with one schedule it is complete."""
    pytest.importorskip("onnxruntime")
    instance, kept = tmp_path / "here.toml", tmp_path / "kept"
    instance.write_text(HERE.replace("NAME", json.dumps(this_host().name)))
    command = ["profile", str(instance), "--evaluator", "measured", "--cache", str(kept)]
    child = subprocess.Popen(
        [*INTERRUPTIBLE, *command, "--points", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(), start_new_session=True,
    )  # fmt: skip
    assert child.stderr is not None
    told = [child.stderr.readline()]
    while sum(" expected" in line for line in told) < 2:
        told.append(child.stderr.readline())
        assert told[-1], told
    servers = _servers(child.pid)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    ending = f"interrupted: what was measured is kept in {kept}, the same command goes on from there\n"
    assert err.endswith(f"hercules-opt: {ending}")
    assert len(servers) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(servers[0], 0)
    (file,) = kept.iterdir()
    (point,) = json.loads(file.read_text())["points"]
    outcome = call(*command, "--points", "1", "--json")
    assert outcome.code == 0
    assert " expected" not in outcome.err
    (row,) = outcome.json["efficiency"]
    assert row["kind"] == "measured"
    assert (row["qps"] or 0.0) == point["qps"][0]


def _servers(parent: int) -> list[int]:
    """Return the children of a process that hold a model of ours; Linux only."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, command in commands.items() if b"hercules_opt.measurement.worker" in command]
