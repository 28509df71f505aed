"""Instances and the library, for people and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.reporting.figures import figure_kinds, weakest_kind
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.text import (
    NOTHING,
    by_kind,
    clock,
    milliseconds,
    number,
    percent,
    plural,
    printable,
    short,
)


def instance_document(instance: Instance) -> dict[str, Any]:
    """Return the size of an instance and what its figures are worth, as plain data."""
    groups = figure_kinds(instance, instance.table)
    return {
        "name": instance.name,
        "title": instance.title,
        "server_types": {name: server.available for name, server in instance.servers.items()},
        "models": {
            name: {
                "sla_ms": model.sla_ms,
                "sla_percentile": model.sla_percentile,
                "over_provision": model.over_provision,
                "peak_load_qps": max(instance.loads.qps[name]),
            }
            for name, model in instance.models.items()
        },
        "intervals": len(instance.load_qps),
        "start_h": instance.day.start_h,
        "hours": float(instance.duration_h.sum()),
        "measured_pairs": None if instance.table is None else len(instance.table),
        "figures": {group: dict(kinds) for group, kinds in groups.items()},
        "weakest_kind": weakest_kind(groups),
    }


def library_list(library: Sequence[Instance]) -> RenderableType:
    """Return the library as a list of names, sizes and titles."""
    entries: list[RenderableType] = []
    for instance in library:
        entries.append(Text(instance.name, style="bold"))
        entries.append(Padding(Text(printable(instance.title or "")), (0, 0, 0, 2)))
        entries.append(Padding(Text(size_line(instance)), (0, 0, 0, 2)))
    return Group(*entries)


def size_line(instance: Instance) -> str:
    """Return the size of an instance in one line."""
    own = "" if instance.table is None else f"; own efficiency table, {plural(len(instance.table), 'pair')}"
    sizes = (
        plural(len(instance.servers), "server type"),
        plural(len(instance.models), "model"),
        f"{plural(len(instance.load_qps), 'interval')} ({number(float(instance.duration_h.sum()))} h)",
    )
    return " x ".join(sizes) + own


def instance_page(instance: Instance, path: Path) -> list[RenderableType]:
    """Return all that a person wants to know of an instance before running it."""
    groups = figure_kinds(instance, instance.table)
    head = Pairs(
        (
            ("instance", f"{instance.name}: {printable(instance.title or 'without a title')}"),
            ("about", printable(" ".join((instance.description or NOTHING).split()))),
            ("size", size_line(instance)),
            ("starts at", clock(instance.day.start_h)),
            ("figures", "; ".join(f"{group}: {by_kind(kinds)}" for group, kinds in groups.items() if kinds)),
            ("file", printable(str(path))),
        )
    )
    return [head, Text(), _models_grid(instance), Text(), _servers_grid(instance)]


def _models_grid(instance: Instance) -> Grid:
    rows = []
    for name, model in instance.models.items():
        loads = instance.loads.qps[name]
        target = (
            NOTHING if model.sla_ms is None else f"{milliseconds(model.sla_ms)} ms p{model.sla_percentile:g}"
        )
        over = percent(model.over_provision)
        rows.append((name, target, over, short(min(loads)), short(max(loads))))
    return Grid("Models", ("model", "latency target", "over-provision", "least QPS", "peak QPS"), tuple(rows))


def _servers_grid(instance: Instance) -> Grid:
    rows = []
    for name, server in instance.servers.items():
        served = NOTHING
        if instance.table is not None:
            pairs = [instance.table.get(name, model) for model in instance.models]
            served = str(sum(pair is not None and pair.qps is not None for pair in pairs))
        parts = [part for part in ("cpu", "nmp", "accelerator") if getattr(server, part) is not None]
        rows.append((name, f"{server.available:,}", served, " + ".join(parts) or NOTHING))
    header = ("server type", "available", "models served", "described parts")
    return Grid("Server types", header, tuple(rows), left=(3,))
