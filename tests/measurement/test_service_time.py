"""Service times: what is handed to a model while the clock runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import hercules_opt as ho
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY
from hercules_opt.measurement import service_time as module
from hercules_opt.measurement.service_time import scaled, service_times
from hercules_opt.measurement.timing import Call, Timing

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_row_numbers_are_fresh_and_dense_features_are_memory_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zeros would be one page of the system's, read over and over; ones for every call take gigabytes."""
    timed: list[Call] = []

    def told(calls: Sequence[Call], budget_s: float) -> list[Timing]:
        timed.extend(calls)
        return [Timing(1.0, 0.0, 1)] * len(calls)

    monkeypatch.setattr(module, "timed_in_turns", told)
    model = scaled(ho.catalogue.models["dlrm-rmc3"], 1e-3)
    server = ho.catalogue.servers["T2"]
    times = service_times(
        "rmc3", model, server, DEFAULT_EFFICIENCY, batches=(64,), threads=(1,), available_gb=8.0
    )
    assert [one.items for one in times] == [64]
    (inputs,) = (call.args[1] for call in timed)  # type: ignore[attr-defined]
    assert len(inputs) == 400
    assert inputs[0]["dense"].shape == (64, 2560)
    assert (inputs[0]["dense"] == 1.0).all()
    assert len({id(each["dense"]) for each in inputs}) == 1
    ids = {each["ids_0_0"].ctypes.data for each in inputs}
    assert len(ids) > 390
