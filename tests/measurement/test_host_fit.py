"""The fit of a host: made-up microbenchmarks are described, and predict a model that was not timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import pack
from hercules_opt.measurement import microbenchmarks as micro
from hercules_opt.measurement.host_fit import MeasuredHost, batch_s, fit_host
from hercules_opt.measurement.microbenchmarks import Kind, Sample
from hercules_opt.measurement.service_time import row_scale, scaled
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.measurement.timing import Timing

HOST = ThisHost("made up", 2, 4, 32.0, 24.0, 32.0)
PEAK, LAUNCH_S, TABLE_S, RUN_S, STREAM = 100e9, 0.5e-6, 2e-6, 5e-6, 20e9
ROW_S, VECTOR_S, MISSED_S = 10e-9, 150e-9, 80e-9


def sample(kind: Kind, shape: tuple[int, ...], items: int, threads: int, seconds: float) -> Sample:
    return Sample(kind, shape, items, threads, Timing(seconds, 0.01, 10))


def gather_s(lookups: int, dim: int, rows: int, items: int, threads: int) -> float:
    size = 4 * rows * dim
    each = ROW_S + MISSED_S * size / (size + 10e6) + (VECTOR_S / lookups if lookups > 1 else 0.0)
    return RUN_S + TABLE_S + items * lookups * each / threads


def made_up() -> list[Sample]:
    """A host in plain arithmetic: products at their peak, rows that cost more where the cache is small."""
    (k, n), launch_s = micro.WEIGHTS, LAUNCH_S + TABLE_S
    samples = []
    for threads in (1, 2):
        samples += [
            *(sample("launch", (count,), 4, threads, RUN_S + count * LAUNCH_S) for count in (1, micro.CHAIN)),
            *(
                sample("tables", (count,), 1, threads, RUN_S + count * launch_s)
                for count in (1, micro.TABLES)
            ),
            sample("stream", (micro.CACHED,), 1, threads, 12 * micro.CACHED / STREAM),
            sample("stream", (micro.STREAMED,), 1, threads, 12 * micro.STREAMED / STREAM),
            sample("weights", (k, n), 1, threads, 4 * k * n / STREAM),
            *(
                sample("gemm", (a, b), items, threads, RUN_S + 2 * a * b * (items + 1) / PEAK / threads)
                for a, b in micro.GEMM_SHAPES
                for items in (1, *micro.BATCHES)
            ),
            *(
                sample("gather", (*shape, rows), items, threads, gather_s(*shape, rows, items, threads))
                for shape in micro.GATHER_SHAPES
                for rows in micro.GATHER_ROWS
                for items in micro.BATCHES
            ),
        ]
    return samples


@pytest.fixture(name="found", scope="module")
def _found() -> MeasuredHost:
    return fit_host(made_up(), HOST)


def test_figures_that_are_read_off(found: MeasuredHost) -> None:
    fixed, cpu = found.calibration.fixed, found.server.cpu
    assert cpu is not None
    assert fixed["launch_us"] == pytest.approx(0.5 + 5 / micro.CHAIN)
    assert fixed["core_gb_s"] == pytest.approx(20.0)
    assert fixed["fork_us"] == 0.0
    assert (cpu.cores, cpu.llc_mb) == (2, 32.0)
    assert cpu.origin("cores").kind == "measured"
    assert cpu.origin("idle_w").kind == "assumed"
    assert cpu.origin("idle_w").source == "not measured: no readable power counter (RAPL)"


def test_measured_power_is_taken() -> None:
    cpu = fit_host(made_up(), HOST, idle_w=17.0, busy_w=40.0).server.cpu
    assert cpu is not None
    assert (cpu.idle_w, cpu.tdp_w, cpu.origin("idle_w").kind) == (17.0, 40.0, "measured")
    busier = fit_host(made_up(), HOST, idle_w=1000.0).server.cpu
    assert busier.tdp_w > busier.idle_w == 1000.0
    shaken = fit_host(made_up(), HOST, idle_w=17.0, busy_w=16.0).server.cpu
    assert shaken.tdp_w == shaken.idle_w == 17.0


def test_fitted_constants_describe_the_microbenchmarks(found: MeasuredHost) -> None:
    """Both kinds within some per cent in the median, each shape left out in turn."""
    calibration = found.calibration
    assert calibration.constants["vector_ns"] == pytest.approx(150, rel=0.5)
    assert calibration.fixed["parallel_loss"] < 0.1
    for kind in ("gemm", "gather"):
        errors = [abs(one.left_out_error) for one in calibration.residuals if one.model == kind]
        assert np.median(errors) < 0.15
    assert 0.85 <= (calibration.coverage or 0.0) <= 0.97


def test_a_model_is_predicted_from_them_alone(found: MeasuredHost) -> None:
    """RMC1, 64 items: rows, vectors, tables and products, by the arithmetic that made the host."""
    of = ho.catalogue.models["dlrm-rmc1"]
    pair = pack(found.server, of, found.calibration.efficiency)
    predicted = batch_s(pair, np.ones(len(pair.operators.flops)), 1, 64)
    rows = 64 * 640 * (ROW_S + MISSED_S) + 64 * 8 * VECTOR_S
    products = 2 * 64 * (128 * 64 + 64 * 32 + 288 * 256 + 256 * 64 + 64) / PEAK
    assert predicted == pytest.approx(rows + products + 8 * TABLE_S, rel=0.15)


def test_the_calibration_is_one_of_the_host(found: MeasuredHost, tmp_path: Path) -> None:
    found.calibration.save(tmp_path / "host.toml")
    again = ho.load_calibration(tmp_path / "host.toml")
    assert again == found.calibration
    assert again.efficiency.host.gemm_lanes == 16


def test_disturbed_microbenchmarks_are_left_out(found: MeasuredHost) -> None:
    """A tenth of them took three times as long, and it shows: the constants hardly change."""
    shaken = [
        Sample(one.kind, one.shape, one.items, one.threads, Timing(3 * one.timing.seconds, 0.6, 10))
        if one.kind == "gemm" and number % 10 == 0
        else one
        for number, one in enumerate(made_up())
    ]
    assert any(one.timing.disturbed for one in shaken)
    constant = fit_host(shaken, HOST).calibration.fixed["gemm"]
    assert constant == pytest.approx(found.calibration.fixed["gemm"], rel=0.03)


def test_tables_that_do_not_fit_are_scaled() -> None:
    of = ho.catalogue.models["dlrm-rmc1"]
    assert of.architecture is not None
    assert row_scale(of.architecture, 100.0) == 1.0
    scale = row_scale(of.architecture, 2.0)
    assert scale == 0.125  # 8.2 GB of tables into 1 GB
    fewer = scaled(of, scale).architecture
    assert fewer is not None
    assert fewer.tables[0].rows == round(4_000_000 * scale)
    assert scaled(of, 1.0) is of


def test_the_command_measures_this_host(tmp_path: Path) -> None:
    """A quick run end to end: the files are read again."""
    pytest.importorskip("onnxruntime")
    from hercules_opt.cli.app import execute

    folder = tmp_path / "here"
    assert execute(["measure", "--quick", "--models", "ncf", "--out", str(folder)]) == 0
    entry = (folder / "host.toml").read_text(encoding="utf-8")
    assert entry.startswith("[servers.this-host]")
    document = json.loads((folder / "measurement.json").read_text(encoding="utf-8"))
    assert {one["model"] for one in document["service_times"]} == {"ncf"}
    assert document["host"]["cores"] <= document["host"]["cores_shown"]
    assert ho.load_calibration(folder / "calibration.toml").subject == "host"


def test_a_step_of_sharing_is_one_that_the_fewest_microbenchmarks_contradict() -> None:
    """Four and 64 items are shared and 16 are not: above 4 and below 16, two of the three contradict."""
    kept = [one for one in made_up() if one.kind != "gather"]
    for items, speed_up in ((4, 2.0), (16, 1.0), (64, 2.0)):
        seconds = gather_s(1, 32, 10_000, items, 1)
        kept += [
            sample("gather", (1, 32, 10_000), items, threads, seconds / speed_up ** (threads - 1))
            for threads in (1, 2)
        ]
    grain_kb = fit_host(kept, HOST).calibration.fixed["gather_grain_kb"]
    assert grain_kb == pytest.approx(4e-3 * 32 * 32)  # between 16 and 64 items
