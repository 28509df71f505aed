"""A calibration for people: constants, errors by model and by server type, and every measurement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from hercules_opt.calibration.record import Calibration, Residual
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.text import number, percent, plural, printable, short


def calibration_page(calibration: Calibration) -> list[RenderableType]:
    """Return what was fitted, and how far predictions of what was left out are off."""
    unit = "W" if calibration.subject == "wall" else "QPS"
    return [
        *[Text(line) for line in _lines(calibration)],
        Text(),
        _constants_grid(calibration),
        Text(),
        _errors_grid("Error by model, of what was left out", calibration, lambda one: one.model),
        Text(),
        _errors_grid("Error by server type, of what was left out", calibration, lambda one: one.group),
        Text(),
        _measurements_grid(calibration, unit),
    ]


def calibration_document(calibration: Calibration) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        **calibration.model_dump(mode="json"),
        "errors": {
            "model": _errors(calibration, lambda one: one.model),
            "server_type": _errors(calibration, lambda one: one.group),
        },
    }


def _lines(calibration: Calibration) -> list[str]:
    share = f"{100 * calibration.confidence:.0f} %"
    held = (
        "there is one group only, so that the error is that of the constants before the fit"
        if calibration.coverage is None
        else f"such intervals held {percent(calibration.coverage)} of what was left out"
    )
    return [
        f"{printable(calibration.title)}: {plural(len(calibration.residuals), 'measurement')}",
        f"data: {printable(calibration.data)}",
        f"a prediction is within x/÷ {1.0 + calibration.relative_error:.3g} in {share} of cases; {held}",
        *(
            f"covers {name}: {low:g}" + (f" to {high:g}" if high != low else "")
            for name, (low, high) in calibration.ranges.items()
        ),
    ]


def _constants_grid(calibration: Calibration) -> Grid:
    rows = [(name, f"{value:.4g}", "fitted") for name, value in calibration.constants.items()]
    rows += [(name, f"{value:.4g}", "measured apart") for name, value in calibration.fixed.items()]
    title = f"Constants of the {calibration.subject}"
    return Grid(title, ("constant", "value", "origin"), tuple(rows), left=(2,))


def _errors(calibration: Calibration, key: Callable[[Residual], str]) -> list[dict[str, Any]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for residual in calibration.residuals:
        groups[key(residual)].append(residual.left_out_error)
    return [
        {
            "name": name,
            "measurements": len(errors),
            "median": float(np.median(errors)),
            "median_size": float(np.median(np.abs(errors))),
            "worst": max(errors, key=abs),
        }
        for name, errors in groups.items()
    ]


def _errors_grid(title: str, calibration: Calibration, key: Callable[[Residual], str]) -> Grid:
    rows = [
        (
            printable(one["name"]),
            number(one["measurements"]),
            percent(one["median"]),
            percent(one["median_size"]),
            percent(one["worst"]),
        )
        for one in _errors(calibration, key)
    ]
    return Grid(title, ("", "measured", "median", "median size", "worst"), tuple(rows), most_rows=40)


def _measurements_grid(calibration: Calibration, unit: str) -> Grid:
    rows = [
        (
            printable(one.label),
            short(one.measured),
            percent(one.error),
            percent(one.left_out_error),
        )
        for one in calibration.residuals
    ]
    header = ("measurement", unit, "fit", "left out")
    return Grid("Every measurement, and the error of its prediction", header, tuple(rows), most_rows=40)
