"""A day under several plans: the comparison, for people and as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.compare import Comparison, PlanFigures
from hercules_opt.provisioning.plan import Plan
from hercules_opt.provisioning.verify import Audit
from hercules_opt.reporting.audits import audit_document, proof_line, violation_lines
from hercules_opt.reporting.efficiency import best_grid, efficiency_grid
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.plans import interval_starts_h, use_grid
from hercules_opt.reporting.terms import policy_document, terms_document, terms_page
from hercules_opt.reporting.text import NOTHING, number, one_decimal, percent, plural, seconds


@dataclass(frozen=True)
class DayReport:
    """Plans of one instance with what verify and compare found; plans, audits and figures in one order.

    Parameters
    ----------
    instance, table
        What the plans are for.
    plans
        The plans by the names they are shown with.
    audits
        What ``audit`` found for each of them.
    comparison
        Of these plans.
    """

    instance: Instance
    table: EfficiencyTable
    plans: dict[str, Plan]
    audits: tuple[Audit, ...]
    comparison: Comparison

    @property
    def violations(self) -> int:
        """Number of claims that are not true, over all plans."""
        return sum(len(audit.violations) for audit in self.audits)


def day_document(report: DayReport) -> dict[str, Any]:
    """Return the report as plain data."""
    plans = list(report.plans.values())
    starts_h = interval_starts_h(report.instance)
    entries = zip(report.plans.items(), report.audits, report.comparison.plans, strict=True)
    return {
        **terms_document(report.instance, report.table, plans),
        "efficiency": report.table.to_rows(),
        "plans": [_plan_document(report, name, *rest) for (name, *rest) in _flat(entries)],
        "greedy_orders": asdict(report.comparison.greedy_orders),
        "intervals": [
            {
                "interval": t,
                "start_h": float(start_h),
                "duration_h": float(report.instance.duration_h[t]),
                "power_w": {name: float(plan.power_w[t]) for name, plan in report.plans.items()},
                "servers": {name: int(plan.servers[t]) for name, plan in report.plans.items()},
            }
            for t, start_h in enumerate(starts_h)
        ],
    }


def _flat(entries: Any) -> Any:
    for (name, plan), audit, figures in entries:
        yield name, plan, audit, figures


def _plan_document(
    report: DayReport, name: str, plan: Plan, audit: Audit, figures: PlanFigures
) -> dict[str, Any]:
    saving = None
    if figures.saving is not None:
        saving = {**asdict(figures.saving), "share": figures.saving.share}
    checked = audit_document(plan, audit)
    return {
        "name": name,
        **policy_document(plan),
        "status": plan.status,
        "objective_w": plan.objective,
        "bound_w": plan.bound,
        "gap": plan.gap,
        "stopped_by": plan.stopped_by,
        "runtime_s": plan.runtime_s,
        "provenance": plan.provenance,
        "mean_power_w": figures.mean_power_w,
        "peak_power_w": figures.peak_power_w,
        "mean_servers": figures.mean_servers,
        "peak_servers": figures.peak_servers,
        "server_hours": dict(zip(report.instance.servers, figures.server_hours, strict=True)),
        "peak_use": dict(zip(report.instance.servers, figures.peak_use, strict=True)),
        "uncovered": list(figures.uncovered),
        "saving": saving,
        "verified": checked["true"],
        "violations": checked["violations"],
        "bounds": checked["bounds"],
    }


def day_page(report: DayReport) -> list[RenderableType]:
    """Return the report as tables and lines."""
    servers, models = tuple(report.instance.servers), tuple(report.instance.models)
    parts: list[RenderableType] = [
        terms_page(report.instance, report.table, list(report.plans.values())),
        efficiency_grid(report.table, servers, models),
        best_grid(report.table, servers, models),
        day_grid(report),
        Text(orders_line(report)),
        use_grid(report.instance, report.plans),
        Pairs(tuple(_endings(report))),
    ]
    parts += [Text(line) for line in _wrong(report)]
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text()]
    return spaced[:-1]


def day_grid(report: DayReport) -> Grid:
    """Return power, servers and the saving against greedy over the day, a column per plan."""
    plans = report.comparison.plans
    total, orders = report.comparison.intervals, report.comparison.greedy_orders
    measures: list[tuple[str, Callable[[PlanFigures], str]]] = [
        ("mean power, W", lambda plan: number(plan.mean_power_w)),
        ("peak power, W", lambda plan: number(plan.peak_power_w)),
        ("mean servers", lambda plan: one_decimal(plan.mean_servers)),
        ("peak servers", lambda plan: f"{plan.peak_servers:,}"),
        ("intervals covered", lambda plan: f"{total - len(plan.uncovered)} of {total}"),
        ("saving against greedy", _saving),
        ("  in its best order", lambda plan: _saving_against(orders.least_w, plan)),
        ("  in its median order", lambda plan: _saving_against(orders.median_w, plan)),
        ("  in its worst order", lambda plan: _saving_against(orders.most_w, plan)),
    ]
    rows = tuple((label, *(text(plan) for plan in plans)) for label, text in measures)
    return Grid("The day", ("", *report.plans), rows)


def _saving(plan: PlanFigures) -> str:
    return percent(None if plan.saving is None else plan.saving.share)


def _saving_against(mean_w: float | None, plan: PlanFigures) -> str:
    if mean_w is None or plan.mean_power_w is None:
        return NOTHING
    return percent((mean_w - plan.mean_power_w) / mean_w if mean_w else 0.0)


def orders_line(report: DayReport) -> str:
    """Return how much greedy depends on the order of its models."""
    orders = report.comparison.greedy_orders
    text = (
        f"Greedy depends on the order of its models: of {plural(orders.orders, 'random order')} "
        f"(seed {orders.seed}), {orders.better} need less power than the instance's, "
        f"{orders.equal} the same, {orders.worse} more"
    )
    if orders.failing:
        text += f"; {orders.failing} leave a load uncovered"
    if orders.least_w is None:
        return f"{text}."
    means = (orders.least_w, orders.median_w, orders.most_w)
    return f"{text}. Their mean power: least {{}} W, median {{}} W, most {{}} W.".format(*map(number, means))


def _endings(report: DayReport) -> list[tuple[str, str]]:
    """Return how each plan ended, and who vouches for it."""
    lines = []
    for (name, plan), audit, figures in zip(
        report.plans.items(), report.audits, report.comparison.plans, strict=True
    ):
        text = proof_line(plan, audit)
        if figures.uncovered:
            listed = ", ".join(str(t) for t in figures.uncovered[:10])
            more = ", ..." if len(figures.uncovered) > 10 else ""
            common = 0 if figures.saving is None else figures.saving.intervals
            text += f"; not covered: {listed}{more}, so savings count {plural(common, 'interval')}"
        lines.append((name, f"{text}; {seconds(plan.runtime_s)}"))
    if not report.violations:
        whole = "the plan" if len(report.plans) == 1 else "all plans"
        lines.append(
            ("verified", f"every figure of {whole} recomputed in exact arithmetic, without the solvers")
        )
    return lines


def _wrong(report: DayReport) -> list[str]:
    return [
        line
        for name, audit in zip(report.plans, report.audits, strict=True)
        if audit.violations
        for line in violation_lines(name, audit)
    ]
