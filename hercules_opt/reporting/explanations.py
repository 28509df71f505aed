"""Why a day cannot be covered and what would help, for people and as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.provisioning.answers.additions import Label
from hercules_opt.provisioning.answers.explain import Addition, Explanation, LoadCut, Shortfall
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.plans import interval_starts_h
from hercules_opt.reporting.text import clock, number, percent, plural

_WORDS: dict[Label, str] = {"proven": "proven", "claimed": "solver's claim", "found": "not proven"}


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data."""
    return {"feasible": explanation.feasible, **asdict(explanation)}


def explanation_page(instance: Instance, explanation: Explanation) -> list[RenderableType]:
    """Return an explanation as tables and lines."""
    parts: list[RenderableType] = []
    if explanation.shortfalls:
        parts += [_shortfall_grid(instance, explanation), Text(), _repair_grid(explanation)]
    lines = list(_lines(explanation))
    if lines and parts:
        parts.append(Text())
    return parts + [Text(line) for line in lines]


def _shortfall_grid(instance: Instance, explanation: Explanation) -> Grid:
    starts_h = interval_starts_h(instance)
    rows = tuple(
        (
            f"{entry.interval}  {clock(float(starts_h[entry.interval]))}",
            number(entry.total_qps),
            _at_least(entry),
            ", ".join(f"{name} {number(qps)}" for name, qps in entry.by_model.items()),
        )
        for entry in explanation.shortfalls
    )
    header = ("interval", "QPS short", "no plan misses less", "by model")
    title = f"Why: {plural(len(rows), 'interval')} that no plan covers, and the least that is missing"
    return Grid(title, header, rows, left=(2, 3))


def _at_least(entry: Shortfall) -> str:
    if entry.label == "proven":
        return "proven"
    return f"proven up to {number(entry.at_least_qps)}" if entry.at_least_qps else "not proven"


def _repair_grid(explanation: Explanation) -> Grid:
    rows: list[tuple[str, str, str]] = []
    if explanation.addition is not None:
        rows.append(("add servers, any types", *_addition(explanation.addition, named=True)))
    for name, addition in explanation.by_type.items():
        rows.append((f"add {name} only", *_addition(addition, named=False)))
    if explanation.all_loads is not None:
        rows.append(("lower all loads alike", *_cut(explanation.all_loads)))
    for name, cut in explanation.by_model.items():
        rows.append((f"lower {name} only", *_cut(cut)))
    title = "What would repair the whole day, each line alone, as little as does"
    return Grid(title, ("change", "how much", "that less does not"), tuple(rows), left=(1, 2))


def _addition(addition: Addition, *, named: bool) -> tuple[str, str]:
    if addition.servers is None or addition.total is None:
        return "no number helps", _WORDS[addition.label]
    words = _WORDS[addition.label]
    if addition.label == "found" and addition.at_least:
        words += f"; at least {addition.at_least:,}"
    if not named:
        return f"{addition.total:,}", words
    listed = ", ".join(f"{count:,} {name}" for name, count in addition.servers.items())
    return (f"{listed}" if len(addition.servers) == 1 else f"{addition.total:,}: {listed}"), words


def _cut(cut: LoadCut) -> tuple[str, str]:
    if cut.factor is None:
        return "not even to 0", _WORDS[cut.label]
    return f"by {_up(1 - cut.factor)}, to {_down(cut.factor)}", _WORDS[cut.label]


def _down(share: float) -> str:
    """Return a share in percent, rounded down so that what is said is enough."""
    return percent(int(share * 1000) / 1000)


def _up(share: float) -> str:
    return percent(-int(-share * 1000 // 1) / 1000)


def _lines(explanation: Explanation) -> list[str]:
    lines = []
    if explanation.unserved:
        names = ", ".join(explanation.unserved)
        lines.append(f"No server type can serve {names}: the efficiency table has no rate for it.")
    covered = tuple(entry.interval for entry in explanation.shortfalls if not entry.total_qps)
    if covered:  # what is short is servers
        text = "the loads can be covered, but not with the minimum servers as well."
        lines.append(f"Interval {_listed(covered)}: {text}")
    if explanation.coverable:
        lines.append(
            f"Interval {_listed(explanation.coverable)} can be covered, though this plan does not: policy "
            "hercules finds how."
        )
    if explanation.undecided:
        lines.append(f"Interval {_listed(explanation.undecided)}: neither covered nor proven impossible.")
    if explanation.stopped_by is not None:
        lines.append("The explanation was stopped by its time limit: what is missing was not reached.")
    return lines


def _listed(intervals: tuple[int, ...]) -> str:
    return ", ".join(map(str, intervals[:10])) + (", ..." if len(intervals) > 10 else "")
