"""Plan against plan, for people and as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.provisioning.answers.diff import Churn, Move, PlanDiff
from hercules_opt.provisioning.plan import Plan
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.plans import interval_starts_h
from hercules_opt.reporting.text import NOTHING, clock, number, plural

_IDLE = "(idle)"


def diff_document(names: tuple[str, str], plans: tuple[Plan, Plan], found: PlanDiff) -> dict[str, Any]:
    """Return the differences as plain data."""
    return {
        "plans": [
            {"name": name, "policy": plan.policy, "status": plan.status, "churn": _churn_document(churn)}
            for name, plan, churn in zip(names, plans, found.churn, strict=True)
        ],
        "mean_power_w": found.mean_power_w,
        "uncovered": list(found.uncovered),
        "mean_power_covered_w": found.mean_power_covered_w,
        "changed": list(found.changed),
        "intervals": [
            {
                "interval": entry.interval,
                "power_w": entry.power_w,
                "servers": entry.servers,
                "between_models": entry.between_models,
                "added": entry.added,
                "removed": entry.removed,
                "moves": [asdict(move) for move in entry.moves],
            }
            for entry in found.intervals
        ],
    }


def _churn_document(churn: Churn) -> dict[str, int]:
    return {**asdict(churn), "total": churn.total}


def diff_page(instance: Instance, names: tuple[str, str], found: PlanDiff) -> list[RenderableType]:
    """Return the differences as tables and lines."""
    if not found.changed:
        parts: list[RenderableType] = [Text(f"{names[0]} and {names[1]} are the same in every interval.")]
    else:
        parts = [_intervals_grid(instance, names, found), _moves_grid(instance, found), _totals_line(found)]
    parts.append(_churn_grid(names, found))
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text()]
    return spaced[:-1]


def _intervals_grid(instance: Instance, names: tuple[str, str], found: PlanDiff) -> Grid:
    starts_h = interval_starts_h(instance)
    rows = tuple(
        (
            f"{entry.interval}  {clock(float(starts_h[entry.interval]))}",
            signed(entry.power_w),
            signed(entry.servers),
            _count(entry.between_models),
            _count(entry.added),
            _count(entry.removed),
        )
        for entry in found.intervals
        if entry.moves
    )
    header = ("interval", "power W", "servers", "moved", "added", "removed")
    return Grid(f"From {names[0]} to {names[1]}: intervals that differ", header, rows)


def _moves_grid(instance: Instance, found: PlanDiff) -> Grid:
    starts_h = interval_starts_h(instance)
    rows = tuple(
        (
            f"{entry.interval}  {clock(float(starts_h[entry.interval]))}",
            f"{move.count:,}",
            move.server_type,
            _route(move),
        )
        for entry in found.intervals
        for move in entry.moves
    )
    header = ("interval", "servers", "server type", "from -> to")
    return Grid("What moves where", header, rows, left=(2, 3))


def _route(move: Move) -> str:
    return f"{move.from_model or _IDLE} -> {move.to_model or _IDLE}"


def _totals_line(found: PlanDiff) -> Text:
    moved = sum(entry.between_models for entry in found.intervals)
    added = sum(entry.added for entry in found.intervals)
    removed = sum(entry.removed for entry in found.intervals)
    return Text(
        f"{len(found.changed)} of {plural(len(found.intervals), 'interval')} differ: {moved:,} moved between "
        f"models, {added:,} added, {removed:,} removed; mean power {_mean_power(found)}."
    )


def _mean_power(found: PlanDiff) -> str:
    """Return the difference in mean power; where a plan does not cover, over the other intervals as well."""
    whole = f"{signed(found.mean_power_w)} W"
    if not found.uncovered:
        return whole
    number_of, power_w = len(found.intervals) - len(found.uncovered), found.mean_power_covered_w
    if power_w is None:
        return f"{whole}, though no interval is covered by both plans"
    return f"{whole} over all, {signed(power_w)} W over the {number_of} that both plans cover"


def _churn_grid(names: tuple[str, str], found: PlanDiff) -> Grid:
    rows = tuple(
        (name, f"{churn.between_models:,}", f"{churn.started:,}", f"{churn.stopped:,}", f"{churn.total:,}")
        for name, churn in zip(names, found.churn, strict=True)
    )
    header = ("plan", "moved", "started", "stopped", "total")
    return Grid("Servers that change from one interval to the next, over the day", header, rows)


def signed(value: float) -> str:
    """Return a difference with its sign; "0" where there is none."""
    text = number(value).replace("-0", "0") if abs(value) < 0.05 else number(value)
    return f"+{text}" if value > 0 and text != "0" else text


def _count(count: int) -> str:
    return f"{count:,}" if count else NOTHING
