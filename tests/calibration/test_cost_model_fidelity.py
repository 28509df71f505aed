"""``benchmarks.cost_model_fidelity`` on a small made-up file of results."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import hercules_opt as ho
from benchmarks.cost_model_fidelity import measure, observation
from benchmarks.mlperf_results import COLUMNS, Result, best, host_of, read_results
from hercules_opt.calibration.rates import predicted_qps
from hercules_opt.calibration.wall_power import WallPower
from hercules_opt.hardware.efficiency import Efficiency

TRUE = Efficiency.model_validate({"accelerator": {"gemm": 0.8, "on_chip": 0.2, "clock_headroom": 1.1}})
POWER = WallPower(host_share=1.2, busy_share=0.3, clock_share=0.6)
NAMES = ("NVIDIA A2", "NVIDIA T4", "NVIDIA A30", "NVIDIA A40", "NVIDIA A100-SXM-80GB")


def result(name: str, scenario: str = "Offline", qps: float = 1.0, watts: float | None = None) -> Result:
    short = name.removeprefix("NVIDIA ")
    return Result(
        "v9.9", "Nobody", f"{short}x4", "dlrm-99", scenario, qps, 5.0, watts, "AMD EPYC 7742", 2, name, 4
    )


def write(path: Path, results: list[Result]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for one in results:
            writer.writerow(
                [
                    one.version, one.submitter, one.system, one.benchmark, one.scenario, one.qps, one.p99_ms,
                    one.watts or "", one.host_name, one.sockets, one.accelerator_name, one.accelerators,
                ]
            )  # fmt: skip
    return path


@pytest.fixture(name="made_up", scope="module")
def _made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rates and watts as the models with known constants make them; the server runs at 70 % of offline."""
    rates = predicted_qps([observation(result(name), "Offline") for name in NAMES], TRUE)
    results = []
    for name, qps in zip(NAMES, rates.tolist(), strict=True):
        for scenario, share in (("Offline", 1.0), ("Server", 0.7)):
            one = result(name, scenario, share * qps)
            watts = POWER.watts(
                np.array([one.host_tdp_w]), np.array([one.accelerators_tdp_w or 0.0]), np.array([share])
            )
            results.append(result(name, scenario, share * qps, float(watts[0])))
    return write(tmp_path_factory.mktemp("mlperf") / "results.csv", results)


@pytest.mark.slow
def test_known_constants_come_back(made_up: Path, tmp_path: Path) -> None:
    """Of rates and of watts; every device is predicted without its own results; the files are read again."""
    report = measure(smoke=True, results=made_up, out=tmp_path)
    rates = ho.load_calibration(tmp_path / "mlperf-dlrm-accelerator.toml")
    assert rates.constants == pytest.approx({"gemm": 0.8, "on_chip": 0.2, "clock_headroom": 1.1}, rel=0.05)
    assert max(abs(one.left_out_error) for one in rates.residuals) < 0.01
    assert [one.group for one in rates.residuals] == ["A2", "T4", "A30", "A40", "A100 SXM"]
    power = ho.load_calibration(tmp_path / "mlperf-wall-power.toml").wall_power
    assert (power.host_share, power.busy_share, power.clock_share) == pytest.approx((1.2, 0.3, 0.6), rel=0.01)
    assert not (tmp_path / "mlperf-dlrm-host.toml").exists()
    offline = report.tables["DLRM offline, queries per second and device"]
    assert [row["device"] for row in offline] == ["A2", "T4", "A30", "A40", "A100 SXM"]


def test_without_a_file_the_catalogues_calibrations_are_shown() -> None:
    report = measure(smoke=False)
    summaries = report.tables["Calibrations in the catalogue"]
    assert [row["groups"] for row in summaries] == [7, 1, 25]


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("version,system\nv1,x\n", encoding="utf-8")
    with pytest.raises(ho.InputError, match=r"bad.csv, line 1: column 'submitter' is missing"):
        read_results(tmp_path / "bad.csv")


def test_the_best_result_of_a_device_counts_per_accelerator() -> None:
    """Parts of a device and unknown ones are none of them; 40 GB and 80 GB are one device."""
    rows = [
        result("NVIDIA A100-SXM4-40GB", qps=400.0),
        result("NVIDIA A100-SXM-80GB", qps=500.0),
        result("NVIDIA A100-SXM-80GB (1x1g.10gb MIG)", qps=9000.0),
        result("NVIDIA H100-SXM-80GB", qps=9000.0),
        result("Somebody's chip", qps=9000.0),
        result("NVIDIA A30", scenario="Server", qps=300.0),
    ]
    found = best(rows, "Offline")
    assert {family: one.per_device for family, one in found.items()} == {"A100 SXM": 125.0}


def test_a_host_that_is_not_known_is_named() -> None:
    assert host_of("AMD EPYC 7742 64-Core Processor").cores == 64
    with pytest.raises(ho.InputError, match="no rated figures of this host processor, found 'VAX-11'"):
        host_of("VAX-11")
