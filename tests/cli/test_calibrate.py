"""``calibrate``: shows a calibration, fits one to a table, and ``profile`` takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho

SERVER = """\
format = 1
name = "mine"
[servers.box]
available = 1
[servers.box.cpu]
cores = 2
clock_ghz = 2.0
flops_per_cycle = 32
llc_mb = 8
memory_gb_s = 40
memory_gb = 64
tdp_w = 60
idle_w = 20
memory_idle_w = 4
memory_active_w = 8
[models.rmc3]
catalogue = "dlrm-rmc3"
[loads.qps]
rmc3 = [10]
"""
SCHEDULE = '"{""placement"": ""cpu"", ""threads"": 2, ""cores_per_thread"": 1, ""batch_size"": 128}"'


@pytest.fixture(name="measured")
def _measured(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "mine.toml").write_text(SERVER, encoding="utf-8")
    lines = f"server_type,model,qps,schedule\nbox,rmc3,20,{SCHEDULE}\n"
    (tmp_path / "rates.csv").write_text(lines, encoding="utf-8")
    return tmp_path / "mine.toml", tmp_path / "rates.csv"


def test_a_calibration_of_the_catalogue_is_shown() -> None:
    outcome = call("calibrate", "mlperf-dlrm-accelerator")
    assert outcome.code == 0
    assert "a prediction is within x/÷ 1.11 in 90 % of cases" in outcome.out
    assert "clock_headroom   1.193  fitted" in outcome.out
    document = call("calibrate", "mlperf-dlrm-accelerator", "--json").json
    assert document["subject"] == "accelerator"
    assert [one["name"] for one in document["errors"]["model"]] == ["mlperf-dlrm"]
    assert [one["name"] for one in document["errors"]["server_type"]][:2] == ["A2", "T4"]


def test_a_fit_is_written_and_profile_takes_it(measured: tuple[Path, Path], tmp_path: Path) -> None:
    instance, rates = measured
    out = tmp_path / "fit.toml"
    fitted = call("calibrate", instance, rates, "--constants", "gemm", "--out", out)
    assert fitted.code == 0
    assert "fitting gemm to 1 rates" in fitted.err
    assert "there is one group only" in fitted.out
    calibration = ho.load_calibration(out)
    assert calibration.residuals[0].label == "box x rmc3"
    assert calibration.residuals[0].error == pytest.approx(0.0, abs=1e-3)
    shown = call("profile", instance, "--calibration", out, "--json").json["efficiency"][0]
    assert shown["kind"] == "calibrated"
    assert shown["qps_error"] == pytest.approx(calibration.relative_error)
    assert shown["beyond"] is None
    assert "calibrated constants (host of mine (rates.csv))" in shown["source"]
    plain = call("profile", instance, "--json").json["efficiency"][0]
    assert (plain["kind"], plain["beyond"]) == ("analytic", "the constants are assumed, not calibrated")


def test_what_cannot_be_fitted_is_named(measured: tuple[Path, Path], tmp_path: Path) -> None:
    instance, rates = measured
    assert_one_message(
        call("calibrate", instance, rates, "--constants", "gem"), "--constants: unknown constant, found 'gem'"
    )
    assert_one_message(
        call("calibrate", instance, rates, "--subject", "gpu"), "--subject: unknown subject, found 'gpu'"
    )
    assert_one_message(
        call("calibrate", instance, rates, "--subject", "accelerator"),
        "rates.csv: must hold a rate of a server type with an accelerator, found none",
    )
    assert_one_message(call("calibrate", instance, rates), "rates.csv: must hold at least as many rates")
    assert_one_message(call("calibrate", "mlperf"), "to fit one, give measured rates after the instance")
    assert_one_message(
        call("profile", "tiny", "--calibration", "mlperf-dlrm-host"),
        "--calibration: the instance has its own table; add --method gradient to predict one",
    )
    assert_one_message(
        call("profile", instance, "--calibration", "mlperf-wall-power"),
        "is of power at the wall, not of rates",
    )
