"""What the plots draw, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

import hercules_opt as ho
from hercules_opt.reporting.plots import GREY, over_provision_price, power_over_day, servers_by_type

TINY = ho.load_instance("tiny")
FLEET = ho.load_instance("mlperf-fleet")


@pytest.fixture(name="axes")
def _axes() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()
    plt.close(figure)


def steps(axes: Axes) -> dict[str, StepPatch]:
    return {str(patch.get_label()): patch for patch in axes.patches if isinstance(patch, StepPatch)}


def test_servers_are_stacked_and_add_up(axes: Axes) -> None:
    plan = ho.provision(TINY)
    servers_by_type(axes, TINY, plan)
    layers = steps(axes)
    assert set(layers) == {"cpu", "gpu"}
    heights = {name: layer.get_data().values - layer.get_data().baseline for name, layer in layers.items()}
    for h, name in enumerate(TINY.servers):
        assert heights[name].tolist() == plan.counts.sum(axis=2)[:, h].tolist()
    top = max(layers.values(), key=lambda layer: layer.get_data().values.sum())
    assert top.get_data().values.tolist() == plan.servers.tolist()
    assert top.get_data().edges.tolist() == [0, 6, 12, 18, 24]


def test_types_beyond_the_limit_share_a_grey_layer(axes: Axes) -> None:
    plan = ho.provision(FLEET, policy="greedy")
    servers_by_type(axes, FLEET, plan, most_types=3)
    layers = steps(axes)
    used = plan.counts.sum(axis=2)
    hours = FLEET.duration_h @ used
    largest = [list(FLEET.servers)[h] for h in np.argsort(-hours, kind="stable")[:3]]
    assert list(layers)[:3] == largest
    rest = layers[f"{(hours > 0).sum() - 3} more"]
    assert mpl.colors.same_color(rest.get_facecolor(), GREY)
    assert rest.get_data().values.tolist() == plan.servers.tolist()


def test_a_type_has_one_colour_in_plans_beside_each_other() -> None:
    plans = [ho.provision(FLEET, policy=ho.Greedy(order)) for order in [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)]]
    figure, (left, right) = plt.subplots(1, 2)
    servers_by_type(left, FLEET, plans[0], beside=plans[1:])
    servers_by_type(right, FLEET, plans[1], beside=plans[:1])
    colours = [{name: layer.get_facecolor() for name, layer in steps(ax).items()} for ax in (left, right)]
    plt.close(figure)
    assert colours[0] == colours[1]


def test_power_is_drawn_in_steps_with_its_unit(axes: Axes) -> None:
    plans = {"hercules": ho.provision(TINY), "greedy": ho.provision(TINY, policy="greedy")}
    power_over_day(axes, TINY, plans)
    assert steps(axes)["hercules"].get_data().values.tolist() == [270, 640, 1160, 120]
    assert steps(axes)["greedy"].get_data().values.tolist() == [520, 640, 1160, 120]
    assert axes.get_ylabel() == "provisioned power, W"
    assert axes.get_xlabel() == "hour"
    assert axes.get_xlim() == (0, 24)


def test_large_powers_are_kilowatts(axes: Axes) -> None:
    plan = ho.provision(FLEET, policy="greedy")
    power_over_day(axes, FLEET, {"greedy": plan})
    assert axes.get_ylabel() == "provisioned power, kW"
    assert np.allclose(steps(axes)["greedy"].get_data().values, plan.power_w / 1000)


def test_an_interval_that_is_not_covered_is_left_out(axes: Axes) -> None:
    heavy = TINY.replace(loads={"qps": {"ranking": [100.0, 9000.0], "retrieval": [50.0, 0.0]}})
    power_over_day(axes, heavy, {"hercules": ho.provision(heavy)})
    values = steps(axes)["hercules"].get_data().values
    assert values[0] == 270
    assert np.isnan(values[1])


def test_the_day_starts_at_its_hour(axes: Axes) -> None:
    shifted = TINY.replace(day={"start_h": 6.0, "interval_h": 6.0})
    power_over_day(axes, shifted, {"hercules": ho.provision(shifted)})
    assert axes.get_xlim() == (6, 30)
    assert axes.get_xticks().tolist() == [6, 9, 12, 15, 18, 21, 24, 27, 30]


def test_the_price_of_headroom(axes: Axes) -> None:
    over_provision_price(axes, [0.0, 0.1, 0.2], [1000.0, 1500.0, np.nan], label="hercules")
    over_provision_price(axes, [0.0, 0.1], [1100.0, 1600.0], label="greedy")
    first, second = axes.lines
    assert list(first.get_xdata()) == [0, 10, 20]
    assert list(first.get_ydata())[:2] == [1.0, 1.5]
    assert np.isnan(list(first.get_ydata())[2])
    assert first.get_color() != second.get_color()
    assert axes.get_xlabel() == "over-provision rate, % of the load"
    assert axes.get_ylabel() == "mean provisioned power, kW"


def test_legends_stand_outside(axes: Axes) -> None:
    power_over_day(axes, TINY, {"hercules": ho.provision(TINY)})
    axes.figure.canvas.draw()
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1


def test_bad_input(axes: Axes) -> None:
    plan = ho.provision(TINY)
    with pytest.raises(ho.InputError, match="must be a plan of the instance"):
        power_over_day(axes, FLEET, {"hercules": plan})
    with pytest.raises(ho.InputError, match="most_types: must be from 1 to 8, found 9"):
        servers_by_type(axes, TINY, plan, most_types=9)
    with pytest.raises(ho.InputError, match="must be as many as rates"):
        over_provision_price(axes, [0.0, 0.1], [1.0])
    with pytest.raises(ho.InputError, match="rates: must rise"):
        over_provision_price(axes, [0.1, 0.1], [1.0, 2.0])
