"""Calibration through the cost model: constants that made the rates come back; bad input is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.calibration.from_table import table_observations
from hercules_opt.calibration.rates import Observation, _parameter, calibrate_rates, predicted_qps
from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.problem.servers import Accelerator, ServerType

TRUE = Efficiency.model_validate({"host": {"gemm": 0.45, "core_gb_s": 6.0}})
ENDLESS_MS = 1e6


def host(cores: int, memory_gb_s: float) -> ServerType:
    server = ho.catalogue.servers["T2"]
    assert server.cpu is not None
    return server.replace(cpu=server.cpu.replace(cores=cores, memory_gb_s=memory_gb_s))


def observations(efficiency: Efficiency) -> list[Observation]:
    """Rates of two models on three hosts, as the cost model with some constants predicts them."""
    schedule = ho.Schedule(placement="cpu", threads=4, cores_per_thread=1, batch_size=256)
    asked = [
        Observation(f"{name} x {model}", name, model, server, of, 1.0, schedule)
        for name, server in (("small", host(4, 60.0)), ("wide", host(8, 60.0)), ("fast", host(8, 200.0)))
        for model in ("dlrm-rmc1", "dlrm-rmc3")
        for of in [ho.catalogue.models[model].replace(sla_ms=ENDLESS_MS)]
    ]
    rates = predicted_qps(asked, efficiency)
    return [
        Observation(*list(vars(one).values())[:5], float(qps), schedule)
        for one, qps in zip(asked, rates, strict=True)
    ]


def test_the_constants_that_made_the_rates_come_back() -> None:
    told: list[str] = []
    found = calibrate_rates(
        observations(TRUE), device_class="host", title="t", data="d", constants=["gemm", "core_gb_s"],
        progress=told.append,
    )  # fmt: skip
    calibration = found.calibration
    assert calibration.constants == pytest.approx({"gemm": 0.45, "core_gb_s": 6.0}, rel=1e-2)
    assert calibration.relative_error < 0.01
    assert max(abs(residual.left_out_error) for residual in calibration.residuals) < 0.01
    assert calibration.ranges["cpu.memory_gb_s"] == (60.0, 200.0)
    assert set(found.without) == {"small", "wide", "fast"}
    assert told == ["fitting gemm, core_gb_s to 6 rates"]


def test_an_error_of_one_server_type_is_told() -> None:
    """One host gives half of what the model says: the interval is wide, and the report points at it."""
    seen = observations(TRUE)
    slow = [vars(one) | {"qps": one.qps * (0.5 if one.group == "fast" else 1.0)} for one in seen]
    found = calibrate_rates(
        [Observation(**one) for one in slow], device_class="host", title="t", data="d", constants=["gemm"]
    )
    errors = {residual.label: residual.left_out_error for residual in found.calibration.residuals}
    worst = max(errors, key=lambda label: abs(errors[label]))
    assert worst.startswith("fast")
    assert found.calibration.relative_error > 0.5


def test_schedules_that_are_not_named_are_the_best_ones() -> None:
    """A rate without its schedule is taken as that of the best, by the constants in use."""
    of = ho.catalogue.models["dlrm-rmc3"]
    qps = ho.optimize_schedule(host(2, 60.0), of, efficiency=TRUE).qps
    seen = [Observation("a", "a", "dlrm-rmc3", host(2, 60.0), of, qps)]
    found = calibrate_rates(seen, device_class="host", title="t", data="d", constants=["gemm"])
    assert found.calibration.residuals[0].error == pytest.approx(0.0, abs=0.01)
    assert found.calibration.coverage is None


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        (["gem"], "constants: unknown constant, found 'gem'. Did you mean 'gemm'"),
        (["gemm", "memory", "launch_us", "fork_us"], "constants: must be 1 to 3 names, found 4"),
        ([], "constants: must be 1 to 3 names, found 0"),
        (["gemm", "gemm"], "constants: a constant may appear only once, found 'gemm'"),
        (["source"], "constants: unknown constant, found 'source'"),
        (["cache_gb_s"], "constants: unknown constant, found 'cache_gb_s'"),
    ],
)
def test_constants_that_cannot_be_fitted(constants: list[str], message: str) -> None:
    with pytest.raises(ho.InputError, match=message):
        calibrate_rates([], device_class="host", title="t", data="d", constants=constants)


@pytest.mark.parametrize(
    ("name", "typical"),
    [("launch_us", 1.0), ("table_us", 0.5), ("row_ns", 10.0), ("row_overhead_bytes", 64.0), ("gemm", 0.7)],
)
def test_the_limits_of_a_constant_leave_room_for_what_is_usual(name: str, typical: float) -> None:
    """Those of microseconds may be up to a second, and yet a ten thousandth of that is far too much."""
    found = _parameter(name, "host", Efficiency())
    assert found.low < 0.1 * typical < typical < found.high


def test_fewer_rates_than_constants() -> None:
    with pytest.raises(ho.InputError, match=r"at least as many rates as constants are fitted \(3\), found 0"):
        calibrate_rates([], device_class="host", title="t", data="d")


def test_a_schedule_that_the_server_does_not_have_is_named_with_its_measurement() -> None:
    (first, second, *_) = observations(TRUE)
    assert second.schedule is not None
    wrong = Observation(**{**vars(second), "schedule": second.schedule.replace(threads=400)})
    message = r"measurements, small x dlrm-rmc3, schedule.*: must .* found 400"
    with pytest.raises(ho.InputError, match=message):
        calibrate_rates([first, wrong], device_class="host", title="t", data="d", constants=["gemm"])


def table(rows: list[dict[str, Any]]) -> ho.EfficiencyTable:
    return ho.EfficiencyTable.from_rows(rows)


def test_a_measured_table_as_observations() -> None:
    """Pairs without a rate, and servers of another class, are left out; the schedule is kept."""
    instance = ho.load_instance("hpca22")
    schedule = {"placement": "cpu", "threads": 4, "cores_per_thread": 1, "batch_size": 64}
    rows = [
        {"server_type": "T2", "model": "dlrm-rmc1", "qps": 100.0, "schedule": schedule},
        {"server_type": "T1", "model": "dlrm-rmc1", "reason": "too slow"},
        {"server_type": "T7", "model": "dlrm-rmc1", "qps": 300.0},
    ]
    seen = table_observations(instance, table(rows), "host")
    assert [(one.label, one.group, one.qps) for one in seen] == [("T2 x dlrm-rmc1", "T2", 100.0)]
    assert seen[0].schedule is not None
    assert [one.group for one in table_observations(instance, table(rows), "accelerator")] == ["T7"]
    with pytest.raises(ho.InputError, match="must hold a rate of a server type without an accelerator"):
        table_observations(instance, table(rows[2:]), "host")
    unknown = [{"server_type": "T22", "model": "dlrm-rmc1", "qps": 1.0}]
    with pytest.raises(ho.InputError, match="is not in the instance, found 'T22'"):
        table_observations(instance, table(unknown), "host")


@pytest.mark.parametrize("kind", ["analytic", "calibrated"])
def test_a_table_of_predictions_is_not_taken_for_measurements(kind: str) -> None:
    """Else the cost model would be fitted to itself, and state that it is never off."""
    rows = [{"server_type": "T2", "model": "dlrm-rmc1", "qps": 100.0, "kind": kind}]
    with pytest.raises(ho.InputError, match=f"T2 x dlrm-rmc1, kind: must be measured, .* found '{kind}'"):
        table_observations(ho.load_instance("hpca22"), table(rows), "host")


def test_a_prediction_states_its_interval_and_its_range(tmp_path: Path) -> None:
    """Inside: the calibration's error speaks. Outside, or not calibrated: it says why it does not."""
    calibration = calibrate_rates(
        observations(TRUE), device_class="host", title="t", data="d", constants=["gemm"]
    ).calibration
    of = ho.catalogue.models["dlrm-rmc1"]
    schedule = ho.Schedule(placement="cpu", threads=4, cores_per_thread=1, batch_size=256)
    inside = ho.predict(host(4, 60.0), of, schedule, efficiency=calibration.efficiency)
    assert inside.outside == ()
    assert (inside.relative_error, inside.confidence) == (calibration.relative_error, 0.9)
    low, high = inside.bounded_qps_interval
    assert high / inside.bounded_qps == pytest.approx(1.0 + calibration.relative_error)
    assert np.sqrt(low * high) == pytest.approx(inside.bounded_qps)
    wide = ho.predict(host(16, 300.0), of, schedule, efficiency=calibration.efficiency)
    assert wide.outside == (
        "cpu.cores is 16, calibrated from 4 to 8",
        "cpu.memory_gb_s is 300, calibrated from 60 to 200",
    )
    assumed = ho.predict(host(4, 60.0), of, schedule)
    assert assumed.outside == ("the constants are assumed, not calibrated",)
    assert assumed.confidence is None


def test_a_calibration_of_a_part_that_is_not_there() -> None:
    """An accelerator's calibration says nothing about a host alone."""
    efficiency = ho.load_calibration("mlperf-dlrm-accelerator").efficiency
    schedule = ho.Schedule(placement="cpu", threads=4, cores_per_thread=1, batch_size=256)
    found = ho.predict(host(4, 60.0), ho.catalogue.models["dlrm-rmc1"], schedule, efficiency=efficiency)
    assert found.outside == ("the calibration is of the accelerator, which this server does not have",)


def test_a_new_accelerator_is_predicted_from_its_specification() -> None:
    """Twice the rates of an A30 on a data sheet: twice its rate, without any measurement of it."""
    from hercules_opt.problem.library import catalogue_entry

    once = Accelerator.model_validate({**catalogue_entry("accelerator", "a30"), "memory_gb": 80})
    assert once.on_chip_gb_s is not None
    rates = ("peak_tflop_s", "memory_gb_s", "link_gb_s", "on_chip_gb_s")
    twice = once.replace(**{key: 2 * getattr(once, key) for key in rates})
    of = ho.catalogue.models["mlperf-dlrm"].replace(sla_ms=ENDLESS_MS)
    schedule = ho.Schedule(placement="accelerator", instances=4, fused_items=11200)
    servers = [host(8, 100.0).replace(accelerator=accelerator) for accelerator in (once, twice)]
    seen = [Observation("", "", "", server, of, 1.0, schedule) for server in servers]
    found = predicted_qps(seen, ho.load_calibration("mlperf-dlrm-accelerator").efficiency)
    assert found[1] / found[0] == pytest.approx(2.0, rel=0.01)
