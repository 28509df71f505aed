"""Figures and names as short texts for people."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hercules_opt.problem.provenance import Kind

#: Shown where there is no figure.
NOTHING = "-"

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def printable(text: str) -> str:
    """Return a text on one line without control characters, whatever a file put into it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, "1 interval" or "48 intervals"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def number(value: float | None) -> str:
    """Return a figure with thousands separators: whole from 1,000 on, else one decimal at most."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"
    return text.removesuffix(".0")


def milliseconds(value: float | None) -> str:
    """Return a time as ``number`` does, but with three significant digits where that would show none."""
    if value is None or not 0.0 < value < 0.1:
        return number(value)
    return f"{value:.3g}"


def one_decimal(value: float | None) -> str:
    """Return a figure with thousands separators and always one decimal, so that columns line up."""
    return NOTHING if value is None or math.isnan(value) else f"{value:,.1f}"


def short(value: float | None) -> str:
    """Return a figure with three significant digits and a prefix, "9.99k" or "0.463"."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    value = float(f"{value:.3g}")
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{_plain(value / factor)}{prefix}"
    return _plain(value)


def _plain(value: float) -> str:
    if abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:#.3g}".rstrip(".")


def percent(share: float | None) -> str:
    """Return a share in percent with one decimal, "4.5 %"."""
    if share is None or math.isnan(share):
        return NOTHING
    text = f"{100 * share:.1f}"
    return ("0.0" if text == "-0.0" else text) + " %"


def seconds(value: float) -> str:
    """Return a duration, "0.42 s" or "3 min 20 s"."""
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def clock(hour: float) -> str:
    """Return hours since the first midnight as a time of day, "13:30"; later days are counted, "1d 00:30"."""
    minutes = round(hour * 60)
    days, minutes = divmod(minutes, 24 * 60)
    return (f"{days}d " if days else "") + f"{minutes // 60:02d}:{minutes % 60:02d}"


def by_kind(counts: Mapping[Kind, int]) -> str:
    """Return counts by kind, "124 published, 15 assumed"."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count) or "none"
