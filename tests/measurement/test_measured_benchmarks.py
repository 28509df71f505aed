"""The benchmarks of real machines run to their end: what they print is for a quiet machine to say."""

from __future__ import annotations

import pytest

from benchmarks import measured, worker_dispatch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_workers_are_compared_with_a_loop_that_hands_nothing_over() -> None:
    rows, lookups = worker_dispatch.measure(smoke=True).tables.values()
    kinds = {str(row["workers"]).split()[1] for row in rows}
    assert kinds == {"direct", "threads", "processes"}
    assert all(isinstance(row["pieces_s"], float) and row["pieces_s"] > 1.0 for row in rows)
    assert [row["table"] for row in lookups] == ["its own, or inherited", "shared memory"]


@pytest.mark.slow
def test_this_host_is_measured_from_microbenchmarks_to_regret() -> None:
    report = measured.measure(smoke=True)
    tables = {title: len(rows) for title, rows in report.tables.items()}
    assert tables["Service time of a batch"] >= 5
    assert tables["Largest rate within the latency target"] == 1
    assert tables["What the predicted schedule loses, measured in turns"] == 1
    assert 1 <= tables["All schedules measured"] <= measured.POINTS
    assert report.notes[0].count("others kept") == 1
