"""The fidelity benchmark runs, and its summary says what its details do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_smoke_run_compares_all_loads_and_targets(tmp_path: Path) -> None:
    file = tmp_path / "fidelity.json"
    command = [sys.executable, "-m", "benchmarks.simulator_fidelity", "--smoke", "--json", str(file)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tables = json.loads(file.read_text(encoding="utf-8"))["tables"]
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
