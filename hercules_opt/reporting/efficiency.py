"""The efficiency table for people: QPS per watt of every pair, and the best server type of each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.terms import terms_document, terms_page
from hercules_opt.reporting.text import NOTHING, milliseconds, number, percent, plural, printable, short

#: Pairs that cannot serve whose reasons are printed; the others are counted.
MOST_REFUSED = 50


def per_watt(pair: PairEfficiency | None) -> float | None:
    """Return QPS per watt, or ``None`` where it is unknown."""
    if pair is None or pair.qps is None or pair.power_w is None:
        return None
    return pair.qps / pair.power_w


def efficiency_grid(table: EfficiencyTable, server_types: Sequence[str], models: Sequence[str]) -> Grid:
    """Return QPS per watt, server types down and models across; the best of a model has a star."""
    best = {model: _best(table, server_types, model, per_watt) for model in models}
    rows = []
    for server_type in server_types:
        cells = [server_type]
        for model in models:
            star = "*" if best[model][:1] == [server_type] else " "
            cells.append(short(per_watt(table.get(server_type, model))) + star)
        rows.append(tuple(cells))
    title = "QPS per watt (* the model's best; - cannot serve, or unknown)"
    return Grid(title, ("server type", *(f"{model} " for model in models)), tuple(rows), most_rows=40)


def best_grid(instance: Instance, table: EfficiencyTable) -> Grid:
    """Return each model's best server type by QPS, QPS per watt and QPS per server cost, and its lead.

    A lead within the table's stated errors is marked: the two types cannot be told apart.
    """

    def per_cost(pair: PairEfficiency | None) -> float | None:
        cost = None if pair is None else instance.servers[pair.server_type].cost_per_h
        return pair.qps / cost if pair is not None and pair.qps is not None and cost else None

    rows = []
    for model in instance.models:
        row = [model]
        for worth in (_rate, per_watt, per_cost):
            ranked = _best(table, tuple(instance.servers), model, worth)
            row += _leader(table, model, ranked, [worth(table.get(name, model)) or 0.0 for name in ranked])
        rows.append(tuple(row))
    header = ("model", "most QPS", "ahead ", "most QPS/W", "ahead ", "most QPS/cost", "ahead ")
    title = "Best server type of each model, and its lead over the second (~ within the stated error)"
    return Grid(title, header, tuple(rows), most_rows=40, left=(1, 3, 5))


def schedules_grid(table: EfficiencyTable) -> Grid:
    """Return rate, power, latency and schedule of every pair that can serve."""
    rows = [
        (
            f"{pair.server_type} x {pair.model}",
            number(pair.qps),
            _interval(pair),
            _check(pair),
            number(pair.power_w),
            milliseconds(pair.p95_ms),
            milliseconds(pair.p99_ms),
            pair.binds or NOTHING,
            pair.schedule.label() if pair.schedule is not None else NOTHING,
        )
        for pair in table
        if pair.qps is not None
    ]
    header = ("pair", "QPS", "interval ", "check", "W", "p95 ms", "p99 ms", "binds", "schedule")
    title = "Rate, power and schedule of every pair (? error not calibrated for it)"
    return Grid(title, header, tuple(rows), left=(7, 8))


def _interval(pair: PairEfficiency) -> str:
    """Return the rate less and plus its stated error; marked where nothing vouches for that error here."""
    if pair.qps is None or pair.qps_error is None:
        return NOTHING + " "
    factor = 1.0 + pair.qps_error
    return f"{short(pair.qps / factor)} to {short(pair.qps * factor)}" + ("?" if pair.beyond else " ")


def _check(pair: PairEfficiency) -> str:
    """Return whether the simulated rate is the cost model's, or by how much it was lowered."""
    if pair.checked != "simulated" or pair.qps is None or not pair.analytic_qps:
        return pair.checked or NOTHING
    return "holds" if pair.qps >= pair.analytic_qps else percent(pair.qps / pair.analytic_qps - 1.0)


def profile_page(instance: Instance, table: EfficiencyTable) -> list[RenderableType]:
    """Return an efficiency table for people, with the reasons of the pairs that cannot serve."""
    servers, models = tuple(instance.servers), tuple(instance.models)
    parts: list[RenderableType] = [
        terms_page(instance, table, []),
        Text(),
        schedules_grid(table),
        Text(),
        efficiency_grid(table, servers, models),
        Text(),
        best_grid(instance, table),
    ]
    refused = refused_list(table)
    return [*parts, Text(), refused] if refused else parts


def refused_list(table: EfficiencyTable) -> RenderableType | None:
    """Return why pairs cannot serve and what would help, ``None`` where the table has no such pair."""
    refused = [pair for pair in table if pair.qps is None]
    if not refused:
        return None
    lines = [
        f"{pair.server_type} x {pair.model}: {printable(pair.reason or 'no reason is given')}"
        for pair in refused[:MOST_REFUSED]
    ]
    if len(refused) > MOST_REFUSED:
        lines.append(f"and {len(refused) - MOST_REFUSED:,} more; --json has them all")
    head = Text(f"{plural(len(refused), 'pair')} cannot serve", style="bold")
    return Group(head, *(Padding(Text(line), (0, 0, 0, 2)) for line in lines))


def profile_document(instance: Instance, table: EfficiencyTable) -> dict[str, Any]:
    """Return an efficiency table with its terms as plain data."""
    return {**terms_document(instance, table, []), "efficiency": table.to_rows()}


def _rate(pair: PairEfficiency | None) -> float | None:
    return None if pair is None else pair.qps


def _best(
    table: EfficiencyTable,
    server_types: Sequence[str],
    model: str,
    worth: Callable[[PairEfficiency | None], float | None],
) -> list[str]:
    """Return the server types that can serve a model, best first."""
    known = [(worth(table.get(name, model)), name) for name in server_types]
    return [name for value, name in sorted(known, key=lambda pair: -(pair[0] or 0.0)) if value is not None]


def _leader(table: EfficiencyTable, model: str, ranked: Sequence[str], values: Sequence[float]) -> list[str]:
    if not ranked:
        return [NOTHING] * 2
    if len(ranked) == 1:
        return [ranked[0], "alone "]
    lead = values[0] / values[1] - 1
    return [ranked[0], percent(lead) + (" " if lead > _error(table, model, ranked[:2]) else "~")]


def _error(table: EfficiencyTable, model: str, server_types: Sequence[str]) -> float:
    """Return the larger of the stated relative errors of two rates; 0 where none is stated."""
    pairs = (table.get(name, model) for name in server_types)
    return max((pair.qps_error or 0.0 for pair in pairs if pair is not None), default=0.0)
