"""Every benchmark runs to its end as a user runs it: what its figures are is for a quiet machine to say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODULES = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "benchmarks").glob("[!_]*.py")}
BENCHMARKS = sorted(name for name, text in MODULES.items() if 'if __name__ == "__main__":' in text)
#: Packages of an extra that a benchmark cannot do without.
NEEDED = {
    "measured": ("onnx", "onnxruntime"),
    "search": ("optuna",),
    "simulator_speed": ("simpy", "ciw"),
    "worker_dispatch": ("onnx", "onnxruntime"),
}

#: The one table that is empty where all is well.
MISSED = "Schedules that the model passes and the simulator fails, at the model's rate and target"


def test_modules_that_are_no_benchmark_are_known() -> None:
    """Else a benchmark whose last lines are missing would do nothing, and do it well."""
    assert set(MODULES) - set(BENCHMARKS) == {"harness", "mlperf_results", "rivals"}
    assert {*NEEDED, *CHECKS} <= set(BENCHMARKS)


def measured(report: dict[str, Any], shown: str) -> None:
    """From microbenchmarks to the regret."""
    tables = report["tables"]
    assert len(tables["Service time of a batch"]) >= 5
    assert len(tables["Largest rate within the latency target"]) == 1
    assert len(tables["What the predicted schedule loses, measured in turns"]) == 1
    assert 1 <= len(tables["All schedules measured"]) <= 3
    assert report["notes"][0].count("others kept") == 1


def simulator_fidelity(report: dict[str, Any], shown: str) -> None:
    """All loads and targets are compared, and the summary says what the details do."""
    tables = report["tables"]
    details = tables.pop("percentiles"), tables.pop("throughputs")
    assert {(row["quantity"], row["at"]) for row in details[0]} == {
        (quantity, share) for quantity in ("p95", "p99") for share in (0.3, 0.6, 0.8, 0.9)
    }
    assert {row["at"] for row in details[1]} == {1.5, 3.0, 10.0}
    summaries = [rows[0] for title, rows in tables.items() if "by placement" in title]
    for rows, summary in zip(details, summaries, strict=True):
        errors = [abs(row["model"] / row["simulated"] - 1) for row in rows]
        assert summary["figures"] == len(rows)
        assert summary["median"] == pytest.approx(100 * np.median(errors))
        assert summary["worst"] == pytest.approx(100 * max(errors))
        assert summary["worst_is"] in shown


def simulator_speed(report: dict[str, Any], shown: str) -> None:
    """All simulators simulate the same queue: the mean waits of short runs lie around Erlang's."""
    assert [row["simulator"] for row in report["plain_queue"]] == ["SimPy", "Ciw", "hercules_opt"]
    for row in report["plain_queue"]:
        assert row["simulator"] in shown
        assert row["mean_wait_ms"] == pytest.approx(row["exact_mean_wait_ms"], rel=0.3)
    assert len(report["all_features"]) == 3
    assert report["search"]["lower_qps"] <= report["search"]["qps"] <= report["search"]["upper_qps"]
    assert set(report["first_call"]) == {"cold_s", "cached_s"}


def worker_dispatch(report: dict[str, Any], shown: str) -> None:
    """Workers are compared with a loop that hands nothing over."""
    rows, lookups = report["tables"].values()
    assert {row["workers"].split()[1] for row in rows} == {"direct", "threads", "processes"}
    assert all(isinstance(row["pieces_s"], float) and row["pieces_s"] > 1.0 for row in rows)
    assert [row["table"] for row in lookups] == ["its own, or inherited", "shared memory"]


#: What is known of the tables of a smoke run, besides that there are some.
CHECKS: dict[str, Callable[[dict[str, Any], str], None]] = {
    check.__name__: check for check in (measured, simulator_fidelity, simulator_speed, worker_dispatch)
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_smoke_run(name: str, tmp_path: Path) -> None:
    """It prints something, and every table that it writes has rows."""
    for package in NEEDED.get(name, ()):
        pytest.importorskip(package)
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--smoke", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    report = json.loads(file.read_text(encoding="utf-8"))
    tables = report.get("tables", report)  # the speed of simulators has a form of its own
    assert tables
    assert all(rows for title, rows in tables.items() if title != MISSED)
    CHECKS.get(name, lambda report, shown: None)(report, done.stdout)
