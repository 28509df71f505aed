"""Calibrations as files: they come back as they were, refuse what is wrong, and state what they are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.calibration.record import MOST_CONSTANTS, Calibration, calibration_names, relative
from hercules_opt.calibration.wall_power import WallPower

GOOD: dict[str, Any] = {
    "title": "some devices",
    "data": "rates.csv",
    "subject": "accelerator",
    "constants": {"gemm": 0.5},
    "fixed": {"busy_power": 0.3},
    "relative_error": 0.2,
    "confidence": 0.9,
    "coverage": 0.9,
    "ranges": {"accelerator.tdp_w": [60.0, 400.0]},
    "residuals": [
        {"label": "a", "group": "g", "model": "m", "measured": 10.0, "fitted": 11.0, "left_out": 8.0}
    ],
}


def test_a_saved_calibration_comes_back(tmp_path: Path) -> None:
    calibration = Calibration.model_validate(GOOD)
    calibration.save(tmp_path / "mine.toml")
    assert ho.load_calibration(tmp_path / "mine.toml") == calibration
    assert ho.load_calibration(str(tmp_path / "mine.toml")) == calibration


def test_its_constants_are_those_of_its_class_and_the_others_stay() -> None:
    efficiency = Calibration.model_validate(GOOD).efficiency
    assert (efficiency.accelerator.gemm, efficiency.accelerator.busy_power) == (0.5, 0.3)
    assert efficiency.host.gemm == 0.7
    assert (efficiency.relative_error, efficiency.confidence, efficiency.kind) == (0.2, 0.9, "calibrated")
    residual = Calibration.model_validate(GOOD).residuals[0]
    assert (residual.error, residual.left_out_error) == (pytest.approx(0.1), pytest.approx(-0.2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"constants": {"gemn": 0.5}}, "mine.toml, constants: unknown constant, found 'gemn'.*'gemm'"),
        ({"fixed": {"launch_us": 1.0}}, "mine.toml, fixed: unknown constant, found 'launch_us'"),
        ({"constants": {"gemm": 1.5}}, "constants.gemm: must be at most 1, found 1.5"),
        (
            {"constants": {"gemm": 0.5, "memory": 0.5, "on_chip": 0.1, "clock_headroom": 1.0}},
            "constants: at most 3 constants are fitted, found 4",
        ),
        ({"subject": "gpu"}, "subject"),
        ({"confidence": 1.0}, "confidence: must be less than 1"),
        ({"relativ_error": 0.1}, "unknown key.*Did you mean 'relative_error'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    import tomli_w

    (tmp_path / "mine.toml").write_text(tomli_w.dumps({**GOOD, **change}), encoding="utf-8")
    with pytest.raises(ho.InputError, match=message):
        ho.load_calibration(tmp_path / "mine.toml")


def test_an_error_beyond_all_measure_is_stated_and_taken(tmp_path: Path) -> None:
    """Rates in another unit than they should be: the file says so, and whoever takes it is told."""
    error = relative(71.0)
    assert error == pytest.approx(1e9)
    assert relative(0.5) == pytest.approx(np.e**0.5 - 1.0)
    Calibration.model_validate({**GOOD, "relative_error": error}).save(tmp_path / "mine.toml")
    assert ho.load_calibration(tmp_path / "mine.toml").efficiency.relative_error == error


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ho.InputError, match="Did you mean 'mlperf-dlrm-host'"):
        ho.load_calibration("mlperf-dlrm-hosts")


def test_rates_and_watts_are_not_mixed_up() -> None:
    watts = Calibration.model_validate(
        {**GOOD, "subject": "wall", "constants": {"host_share": 1.0}, "fixed": {}}
    )
    with pytest.raises(ho.InputError, match="is of power at the wall, not of rates"):
        _ = watts.efficiency
    with pytest.raises(ho.InputError, match="is of rates, not of power at the wall"):
        _ = Calibration.model_validate(GOOD).wall_power


@pytest.mark.parametrize("name", calibration_names())
def test_the_catalogues_calibrations(name: str) -> None:
    """Few constants, a source, and errors that are those of their residuals."""
    calibration = ho.load_calibration(name)
    assert len(calibration.constants) <= MOST_CONSTANTS
    assert calibration.kind == "calibrated"
    assert "MLPerf Inference" in calibration.data
    sizes = np.abs([residual.left_out_error for residual in calibration.residuals])
    assert np.median(sizes) <= 0.25
    if calibration.coverage is not None:
        assert 0.85 <= calibration.coverage <= 0.97


def test_offline_rates_of_devices_that_were_left_out() -> None:
    """The target: at most 10 % in the median and 25 % at worst, over eight devices."""
    found = [ho.load_calibration(name) for name in ("mlperf-dlrm-accelerator", "mlperf-dlrm-host")]
    errors = {residual.group: residual.left_out_error for one in found for residual in one.residuals}
    assert len(errors) == 8
    assert np.median(np.abs(list(errors.values()))) <= 0.10
    assert np.abs(list(errors.values())).max() <= 0.25


def test_watts_of_systems_that_were_left_out() -> None:
    """The target: at most 15 % in the median, over all systems with measured power."""
    calibration = ho.load_calibration("mlperf-wall-power")
    assert len({residual.group for residual in calibration.residuals}) == 25
    assert np.median([abs(residual.left_out_error) for residual in calibration.residuals]) <= 0.15


def test_power_at_the_wall_has_three_parts() -> None:
    """By hand; a share above 1 counts as 1, and without a rate busy accelerators still draw theirs."""
    power = WallPower(host_share=1.0, busy_share=0.5, clock_share=0.4)
    found = power.watts(np.array([300.0] * 3), np.array([1000.0] * 3), np.array([0.5, 2.0, 0.0]))
    assert found == pytest.approx([300 + 500 + 50, 300 + 500 + 400, 800])
