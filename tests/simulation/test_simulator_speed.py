"""The speed benchmark runs, and all simulators in it simulate the same queue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_smoke_run_prints_and_writes_the_same_queue_thrice(tmp_path: Path) -> None:
    """The mean waits of short runs lie around Erlang's."""
    pytest.importorskip("simpy")
    pytest.importorskip("ciw")
    file = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.simulator_speed", "--smoke", "--json", str(file)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    report = json.loads(file.read_text(encoding="utf-8"))
    assert [row["simulator"] for row in report["plain_queue"]] == ["SimPy", "Ciw", "hercules_opt"]
    for row in report["plain_queue"]:
        assert row["simulator"] in shown
        assert row["mean_wait_ms"] == pytest.approx(row["exact_mean_wait_ms"], rel=0.3)
    assert len(report["all_features"]) == 3
    assert report["search"]["lower_qps"] <= report["search"]["qps"] <= report["search"]["upper_qps"]
    assert set(report["first_call"]) == {"cold_s", "cached_s"}
