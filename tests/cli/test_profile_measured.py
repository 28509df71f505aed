"""``profile --evaluator measured``: what it refuses, and what an interrupt leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho
from hercules_opt.measurement import measured_profile


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
