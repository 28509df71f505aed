"""A day before and after a change, for people and as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.provisioning.answers.what_if import ServerValue, WhatIf
from hercules_opt.provisioning.plan import Plan
from hercules_opt.provisioning.problem import ProvisioningProblem
from hercules_opt.reporting.audits import proof_line
from hercules_opt.reporting.diffs import signed
from hercules_opt.reporting.explanations import explanation_document, explanation_page
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.text import NOTHING, number, one_decimal, percent, plural


def what_if_document(changes: dict[str, Any], found: WhatIf) -> dict[str, Any]:
    """Return a comparison of before and after as plain data."""
    before, after = (
        _plan_document(problem, plan) for problem, plan in zip(found.problems, found.plans, strict=True)
    )
    return {
        "changes": changes,
        "before": before,
        "after": after,
        "values": None if found.values is None else [asdict(value) for value in found.values],
        "explanation": None if found.explanation is None else explanation_document(found.explanation),
    }


def _plan_document(problem: ProvisioningProblem, plan: Plan) -> dict[str, Any]:
    used = plan.counts.sum(axis=2)
    means = _mean_use(problem, plan)
    missed = zip(plan.models, plan.shortfall.max(axis=0), strict=True)
    return {
        "status": plan.status,
        "objective_w": plan.objective,
        "bound_w": plan.bound,
        "gap": plan.gap,
        "stopped_by": plan.stopped_by,
        "peak_power_w": float(plan.power_w.max()),
        "mean_servers": sum(means),
        "peak_servers": int(plan.servers.max()),
        "uncovered": [t for t, covered in enumerate(plan.covered) if not covered],
        "shortfall_qps": {name: float(most) for name, most in missed if most},
        "servers": {
            name: {"available": int(problem.available[h]), "mean": means[h], "peak": int(used[:, h].max())}
            for h, name in enumerate(plan.server_types)
        },
    }


def what_if_page(instance: Instance, changes: str, found: WhatIf) -> list[RenderableType]:
    """Return a comparison of before and after as tables and lines."""
    parts: list[RenderableType] = [
        Text(f"What if: {changes}"),
        _measures_grid(found),
        _use_grid(found),
        Pairs(tuple((name, proof_line(plan, None)) for name, plan in _named(found))),
    ]
    if found.values is not None:
        parts.append(_values_grid(found.values, found.plans[1]))
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text()]
    if found.explanation is not None:
        return spaced + explanation_page(instance, found.explanation)
    return spaced[:-1]


def _named(found: WhatIf) -> list[tuple[str, Plan]]:
    return list(zip(("before", "after"), found.plans, strict=True))


def _measures_grid(found: WhatIf) -> Grid:
    """Return power, servers and coverage before and after."""
    before, after = found.plans
    total = len(before.power_w)
    means = [sum(_mean_use(problem, plan)) for problem, plan in _pairs(found)]
    peaks = [float(plan.servers.max()) for plan in found.plans]
    rows = [
        _measure("mean power, W", before.objective, after.objective, number, share=True),
        _measure("peak power, W", _peak(before), _peak(after), number, share=True),
        _measure("mean servers", means[0], means[1], one_decimal),
        _measure("peak servers", peaks[0], peaks[1], number),
        (
            "intervals covered",
            *(f"{int(plan.covered.sum())} of {total}" for plan in found.plans),
            NOTHING,
            NOTHING,
        ),
    ]
    return Grid("The day", ("", "before", "after", "change", ""), tuple(rows))


def _pairs(found: WhatIf) -> list[tuple[ProvisioningProblem, Plan]]:
    return list(zip(found.problems, found.plans, strict=True))


def _peak(plan: Plan) -> float | None:
    return float(plan.power_w.max()) if plan.covered.all() else None


def _measure(
    label: str,
    before: float | None,
    after: float | None,
    text: Callable[[float | None], str],
    *,
    share: bool = False,
) -> tuple[str, ...]:
    change = None if before is None or after is None else after - before
    relative = percent(change / before) if share and change is not None and before else NOTHING
    sign = "+" if share and (change or 0) > 0 else ""
    return label, text(before), text(after), NOTHING if change is None else signed(change), sign + relative


def _mean_use(problem: ProvisioningProblem, plan: Plan) -> list[float]:
    shares = problem.duration_h / problem.duration_h.sum()
    return [float(mean) for mean in shares @ plan.counts.sum(axis=2)]


def _use_grid(found: WhatIf) -> Grid:
    """Return the servers of each type before and after: available, mean and peak in use."""
    columns = []
    for problem, plan in _pairs(found):
        peaks = plan.counts.sum(axis=2).max(axis=0)
        means = _mean_use(problem, plan)
        columns.append([f"{int(count):,}" for count in problem.available])
        columns.append(
            [f"{one_decimal(mean)} / {int(peak):,}" for mean, peak in zip(means, peaks, strict=True)]
        )
    header = ("server type", "there", "used before", "there then", "used after")
    rows = tuple(zip(found.plans[0].server_types, *columns, strict=True))
    return Grid("Servers of each type, mean / peak in use", header, rows)


def _values_grid(values: tuple[ServerValue, ...], plan: Plan) -> Grid:
    rows = tuple(
        (
            value.server_type,
            number(value.saving_w),
            "exact" if value.error_w == 0 else f"within {number(value.error_w)} W",
            number(value.estimate_w),
        )
        for value in values
    )
    missing = len(plan.server_types) - len(values)
    title = "One more server of each type: mean power that it saves, solved again, and the LP's estimate"
    if missing:
        title += f" (without {plural(missing, 'type')}: no time, or as many as there can be)"
    return Grid(title, ("server type", "saves W", "", "LP dual, W (estimate)"), rows, left=(2,))
