"""Plots on given axes; hours across, units on every axis, legends outside.

The functions add to an ``Axes`` and return nothing: figure, size and file are the caller's. Colours are those
of Okabe and Ito, which people with colour blindness can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.problem.instance import Instance
from hercules_opt.provisioning.plan import FloatArray, Plan
from hercules_opt.reporting.plans import interval_starts_h

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito (2008); black last since it outweighs all others in an area.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
#: What stands for all types that have no colour of their own.
GREY = "#BBBBBB"

_STYLES = ("-", "--", "-.", ":")
_TICK_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 168)


def servers_by_type(
    axes: Axes, instance: Instance, plan: Plan, *, beside: Sequence[Plan] = (), most_types: int = 7
) -> None:
    """Draw the servers in use over the day, stacked by server type.

    The types with most server-hours have a colour of their own, the largest at the bottom; the rest is grey.

    Parameters
    ----------
    axes, instance, plan
        Where to draw, and what.
    beside
        Plans drawn beside this one: server-hours are summed over all, so that a type has one colour.
    most_types
        Types with a colour of their own.

    Raises
    ------
    InputError
        If the plan is not one of the instance, or ``most_types`` is not between 1 and the number of colours.
    """
    if not 1 <= most_types <= len(COLOURS):
        raise InputError(f"must be from 1 to {len(COLOURS)}", where="most_types", found=most_types)
    edges = _edges_h(instance, [plan, *beside])
    used = plan.counts.sum(axis=2)
    hours = sum(instance.duration_h @ entry.counts.sum(axis=2) for entry in (plan, *beside))
    ranked = [int(h) for h in np.argsort(-hours, kind="stable") if hours[h] > 0]
    layers = [(plan.server_types[h], used[:, h], COLOURS[n]) for n, h in enumerate(ranked[:most_types])]
    rest = ranked[most_types:]
    if rest:
        layers.append((f"{len(rest)} more", used[:, rest].sum(axis=1), GREY))
    base: npt.NDArray[np.int64] = np.zeros(len(used), dtype=np.int64)
    for label, servers, colour in layers:
        axes.stairs(base + servers, edges, baseline=base, fill=True, color=colour, label=label)
        base = base + servers
    _hours_across(axes, edges)
    axes.set_ylabel("servers in use")
    _title(axes, f"{instance.name}: servers by type, {plan.policy}")
    _legend(axes, reverse=True)


def power_over_day(axes: Axes, instance: Instance, plans: Mapping[str, Plan]) -> None:
    """Draw the provisioned power of named plans over the day; an interval that is not covered is left out.

    Raises
    ------
    InputError
        If a plan is not one of the instance.
    """
    edges = _edges_h(instance, list(plans.values()))
    most_w = max((float(plan.power_w.max(initial=0.0)) for plan in plans.values()), default=0.0)
    unit, factor = ("kW", 1e-3) if most_w >= 10_000 else ("W", 1.0)
    for number, (name, plan) in enumerate(plans.items()):
        power = np.where(plan.covered, plan.power_w, np.nan) * factor
        colour, style = COLOURS[number % len(COLOURS)], _STYLES[number % len(_STYLES)]
        axes.stairs(power, edges, baseline=None, color=colour, linestyle=style, linewidth=1.8, label=name)
    _hours_across(axes, edges)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"provisioned power, {unit}")
    _title(axes, f"{instance.name}: power over the day")
    _legend(axes)


def over_provision_price(
    axes: Axes, rates: npt.ArrayLike, mean_power_w: npt.ArrayLike, label: str | None = None
) -> None:
    """Draw what headroom costs: mean provisioned power against the over-provision rate.

    Parameters
    ----------
    axes
        Where to draw; several calls with labels share it.
    rates
        Over-provision rates as shares (0.05 is 5 %), rising.
    mean_power_w
        Mean provisioned power at each of them in W; NaN where no plan covers the loads.
    label
        Name of the curve.

    Raises
    ------
    InputError
        If the two have different lengths, or the rates do not rise.
    """
    shares = np.asarray(rates, dtype=np.float64)
    power_w = np.asarray(mean_power_w, dtype=np.float64)
    if shares.ndim != 1 or shares.shape != power_w.shape or len(shares) == 0:
        raise InputError("must be as many as rates, at least one", where="mean_power_w", found=power_w.shape)
    if (np.diff(shares) <= 0).any():
        raise InputError("must rise", where="rates")
    colour = COLOURS[len(axes.lines) % len(COLOURS)]
    axes.plot(100 * shares, power_w / 1000, color=colour, marker="o", markersize=4, label=label)
    axes.set_xlabel("over-provision rate, % of the load")
    axes.set_ylabel("mean provisioned power, kW")
    _title(axes, "The price of headroom")
    _quiet(axes)
    if label is not None:
        _legend(axes)


def _edges_h(instance: Instance, plans: Sequence[Plan]) -> FloatArray:
    """Return the hours at which intervals begin and end, shape (t + 1,)."""
    for plan in plans:
        if plan.server_types != tuple(instance.servers) or len(plan.power_w) != len(instance.load_qps):
            raise InputError("must be a plan of the instance", where="plan", found=plan.policy)
    starts = interval_starts_h(instance)
    return np.append(starts, starts[-1] + instance.duration_h[-1])


def _hours_across(axes: Axes, edges: FloatArray) -> None:
    begin, end = float(edges[0]), float(edges[-1])
    step = next((s for s in _TICK_STEPS_H if (end - begin) / s <= 8), _TICK_STEPS_H[-1])
    axes.set_xticks(np.arange(np.ceil(begin / step) * step, end + 1e-9, step))
    axes.set_xlim(begin, end)
    axes.set_xlabel("hour")
    _quiet(axes)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize="medium")


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(axes: Axes, *, reverse: bool = False) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, reverse=reverse)
