"""Plots of one server and one model: what is drawn is what was computed."""

from __future__ import annotations

from types import MappingProxyType

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.reporting import schedule_plots
from hercules_opt.scheduling.predict import OperatorTime, Prediction
from hercules_opt.scheduling.surface import Path, Surface

STEPS = np.array([1.0, 4.0, 16.0])
SURFACE = Surface(
    "cpu",
    "threads",
    "batch_size",
    STEPS,
    STEPS,
    np.array([[0.0, 5.0, np.nan], [2.0, 8.0, np.nan], [3.0, 9.0, np.nan]]),
)
WAY = Path("cpu", {"threads": STEPS[:2], "batch_size": STEPS[1:]}, np.array([2.0, 9.0]))
PREDICTION = Prediction(
    schedule=ho.Schedule(placement="cpu", threads=2, cores_per_thread=1, batch_size=8),
    load_qps=5.0, bounded_qps=5.0, saturation_qps=6.0, percentiles_ms=MappingProxyType({95.0: 9.0}),
    power_w=90.0, host_power_w=90.0, device_power_w=0.0, utilization=MappingProxyType({"host": 0.8}),
    batch_items=0.0, binds="tail latency",
    elasticity=MappingProxyType({"compute": 0.3, "memory bandwidth": 0.9}), memory_share=0.1,
    operators=(
        OperatorTime("tables.0", "gather", "sparse", 8, 3.0, 0.0),
        OperatorTime("top_mlp.0", "gemm", "dense", 1, 1.0, 0.5),
        OperatorTime("unused", "gemm", "dense", 1, 0.0, 0.0),
    ),
    link_ms=0.0, relative_error=0.25,
)  # fmt: skip


@pytest.fixture
def axes() -> plt.Axes:
    figure, drawn = plt.subplots()
    yield drawn
    plt.close(figure)


def test_the_map_has_both_variables_with_units_and_the_path(axes: plt.Axes) -> None:
    schedule_plots.throughput_map(axes, SURFACE, WAY)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("threads", "batch size, items")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    line = axes.get_lines()[0]
    assert line.get_xdata().tolist() == [1.0, 4.0]
    assert line.get_ydata().tolist() == [4.0, 16.0]


def test_a_path_of_another_placement_is_refused(axes: plt.Axes) -> None:
    with pytest.raises(ho.InputError, match="path: must be of placement 'cpu', found 'cpu-sd'"):
        schedule_plots.throughput_map(axes, SURFACE, Path("cpu-sd", WAY.variables, WAY.qps))


def test_bars_are_the_operators_times_and_idle_ones_are_left_out(axes: plt.Axes) -> None:
    schedule_plots.batch_time(axes, PREDICTION)
    host, device = axes.containers
    assert [bar.get_width() for bar in host] == [3.0, 1.0]
    assert [bar.get_width() for bar in device] == [0.0, 0.5]
    assert [bar.get_x() for bar in device] == [3.0, 1.0]


def test_resources_are_ranked(axes: plt.Axes) -> None:
    schedule_plots.resources(axes, PREDICTION)
    assert [bar.get_width() for bar in axes.containers[0]] == [0.3, 0.9]
    assert axes.get_title(loc="left") == "what binds: tail latency"
