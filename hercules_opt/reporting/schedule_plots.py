"""Plots of one server and one model, on given axes: the surface of throughput, and where time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.scheduling.predict import Prediction
from hercules_opt.scheduling.surface import Path, Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {
    "threads": "threads",
    "cores_per_thread": "cores per thread",
    "dense_threads": "DenseNet threads",
    "dense_cores_per_thread": "cores per DenseNet thread",
    "batch_size": "batch size, items",
    "instances": "co-located instances",
    "fused_items": "largest fused batch, items",
    "hot_share": "share of hot embeddings",
}
_HOST_COLOUR, _DEVICE_COLOUR = "#0072B2", "#E69F00"


def throughput_map(axes: Axes, surface: Surface, path: Path | None = None) -> None:
    """Draw latency-bounded throughput over two variables.

    White is not possible (cores, memory); grey serves nothing within the target.

    Parameters
    ----------
    path
        The way of a gradient ascent, drawn from a ring to a star.

    Raises
    ------
    InputError
        If the path is of another placement.
    """
    if path is not None and path.placement != surface.placement:
        raise InputError(f"must be of placement {surface.placement!r}", where="path", found=path.placement)
    served = np.where(surface.qps > 0.0, surface.qps, np.nan)
    drawn = axes.contourf(surface.x_values, surface.y_values, served, levels=16, cmap="cividis")
    missed = (surface.qps == 0.0).astype(float)
    axes.contourf(surface.x_values, surface.y_values, missed, levels=[0.5, 1.5], colors=["#BBBBBB"])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(_LABELS[surface.x])
    axes.set_ylabel(_LABELS[surface.y])
    if path is not None:
        x, y = path.variables[surface.x], path.variables[surface.y]
        axes.plot(x, y, color="#D55E00", linewidth=1.8)
        axes.plot(x[0], y[0], marker="o", markerfacecolor="white", color="#D55E00", markersize=8)
        axes.plot(x[-1], y[-1], marker="*", color="#D55E00", markersize=14, markeredgecolor="white")
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(drawn, ax=axes, label="latency-bounded throughput, QPS")
    axes.set_title(f"placement {surface.placement}", loc="left", fontsize="medium")


def batch_time(axes: Axes, prediction: Prediction) -> None:
    """Draw where the time of one full batch goes, operator by operator, on host and accelerator."""
    rows = [op for op in prediction.operators if op.host_ms + op.device_ms > 0.0]
    names = [op.name for op in rows]
    axes.barh(names, [op.host_ms for op in rows], color=_HOST_COLOUR, label="host")
    if any(op.device_ms > 0.0 for op in rows):
        left = [op.host_ms for op in rows]
        axes.barh(names, [op.device_ms for op in rows], left=left, color=_DEVICE_COLOUR, label="accelerator")
    axes.invert_yaxis()
    axes.set_xlabel("time in one full batch, ms")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(prediction.schedule.label(), loc="left", fontsize="medium")
    axes.legend(frameon=False, loc="lower right")


def resources(axes: Axes, prediction: Prediction) -> None:
    """Draw by how many per cent throughput grows with one per cent more of each resource."""
    ranked = sorted(prediction.elasticity.items(), key=lambda entry: entry[1])
    axes.barh([name for name, _ in ranked], [share for _, share in ranked], color=_HOST_COLOUR)
    axes.axvline(0.0, color="#000000", linewidth=0.8)
    axes.set_xlabel("% more QPS for 1 % more of it")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"what binds: {prediction.binds}", loc="left", fontsize="medium")
