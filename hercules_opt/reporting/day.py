"""A day under several plans: the comparison, for people and as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.answers.compare import Comparison, PlanSummary, SeedSpread
from hercules_opt.provisioning.answers.explain import Explanation
from hercules_opt.provisioning.checking.verify import Audit
from hercules_opt.provisioning.plan import Plan
from hercules_opt.reporting.audits import audit_document, proof_line, violation_list
from hercules_opt.reporting.efficiency import best_grid, efficiency_grid, refused_list
from hercules_opt.reporting.explanations import explanation_document, explanation_page
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.plans import interval_starts_h, use_grid
from hercules_opt.reporting.terms import policy_document, terms_document, terms_page
from hercules_opt.reporting.text import number, one_decimal, percent, plural, seconds


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
    explanation
        Why no plan covers the day, where that was asked.
    """

    instance: Instance
    table: EfficiencyTable
    plans: dict[str, Plan]
    audits: tuple[Audit, ...]
    comparison: Comparison
    explanation: Explanation | None = None

    def entries(self) -> Iterator[tuple[str, Plan, Audit, PlanSummary]]:
        """Iterate over name, plan, audit and figures."""
        for (name, plan), audit, summary in zip(
            self.plans.items(), self.audits, self.comparison.plans, strict=True
        ):
            yield name, plan, audit, summary

    @property
    def violations(self) -> int:
        """Number of claims that are not true, over all plans."""
        return sum(len(audit.violations) for audit in self.audits)


def day_document(report: DayReport) -> dict[str, Any]:
    """Return the report as plain data."""
    plans = list(report.plans.values())
    starts_h = interval_starts_h(report.instance)
    return {
        **terms_document(report.instance, report.table, plans),
        "efficiency": report.table.to_rows(),
        "plans": [_plan_document(*entry) for entry in report.entries()],
        "greedy_orders": asdict(report.comparison.greedy_orders),
        "oblivious_seeds": _seeds_document(report),
        "explanation": None if report.explanation is None else explanation_document(report.explanation),
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


def _seeds_document(report: DayReport) -> dict[str, Any] | None:
    spread = report.comparison.oblivious_seeds
    return None if spread is None else asdict(spread)


def _plan_document(name: str, plan: Plan, audit: Audit, summary: PlanSummary) -> dict[str, Any]:
    checked = audit_document(plan, audit)
    peaks = plan.counts.sum(axis=2).max(axis=0)
    return {
        "name": name,
        **policy_document(plan),
        "status": plan.status,
        "objective": plan.objective,
        "bound": plan.bound,
        "gap": plan.gap,
        "stopped_by": plan.stopped_by,
        "runtime_s": plan.runtime_s,
        "provenance": plan.provenance,
        "peak_power_w": summary.peak_power_w,
        "mean_servers": summary.mean_servers,
        "peak_servers": summary.peak_servers,
        "server_hours": summary.server_hours,
        "peak_use": {name: int(peak) for name, peak in zip(plan.server_types, peaks, strict=True)},
        "uncovered": list(summary.uncovered),
        "saving": asdict(summary.saving),
        "greedy_orders": asdict(summary.orders),
        "verified": checked["true"],
        "violations": checked["violations"],
        "bounds": checked["bounds"],
    }


def day_page(report: DayReport) -> list[RenderableType]:
    """Return the report as tables and lines; claims that are not true come first."""
    servers, models = tuple(report.instance.servers), tuple(report.instance.models)
    parts: list[RenderableType] = [
        terms_page(report.instance, report.table, list(report.plans.values())),
        efficiency_grid(report.table, servers, models),
        best_grid(report.instance, report.table),
        day_grid(report),
        Text(orders_line(report)),
        use_grid(report.instance, report.plans),
        Pairs(tuple(_endings(report))),
    ]
    seeds = report.comparison.oblivious_seeds
    if seeds is not None:
        parts.insert(5, Text(seeds_line(seeds)))
    refused = refused_list(report.table)
    if refused is not None:
        parts.insert(3, refused)
    if report.violations:
        wrong = [violation_list(name, audit) for name, _, audit, _ in report.entries() if audit.violations]
        parts.insert(0, Group(*wrong, Text("What follows are the claims of the plans.")))
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text()]
    if report.explanation is not None:
        return spaced + explanation_page(report.instance, report.explanation)
    return spaced[:-1]


def day_grid(report: DayReport) -> Grid:
    """Return power, servers and the saving against greedy over the day, a column per plan."""
    plans = report.comparison.plans
    total = len(report.instance.load_qps)
    measures: list[tuple[str, Callable[[PlanSummary], str]]] = [
        ("mean power, W", lambda plan: number(None if plan.uncovered else plan.mean_power_w)),
        ("peak power, W", lambda plan: number(plan.peak_power_w)),
        ("mean servers", lambda plan: one_decimal(plan.mean_servers)),
        ("peak servers", lambda plan: f"{plan.peak_servers:,}"),
        ("intervals covered", lambda plan: f"{total - len(plan.uncovered)} of {total}"),
        ("mean power saved against greedy", lambda plan: percent(plan.saving.mean_power)),
        ("  in its best order", lambda plan: percent(plan.orders.saving_min)),
        ("  in its median order", lambda plan: percent(plan.orders.saving_median)),
        ("  in its worst order", lambda plan: percent(plan.orders.saving_max)),
        ("peak power saved against greedy", lambda plan: percent(plan.saving.peak_power)),
        ("greedy orders that need less", lambda plan: percent(plan.orders.better)),
        ("greedy orders that need the same", lambda plan: percent(plan.orders.equal)),
        ("greedy orders that need more", lambda plan: percent(plan.orders.worse)),
    ]
    if any(plan.orders.incomparable for plan in plans):
        measures.append(("greedy orders without a common interval", _incomparable))
    rows = tuple((label, *(text(plan) for plan in plans)) for label, text in measures)
    return Grid("The day", ("", *report.plans), rows)


def _incomparable(plan: PlanSummary) -> str:
    return percent(plan.orders.incomparable)


def orders_line(report: DayReport) -> str:
    """Return how much greedy depends on the order of its models."""
    orders = report.comparison.greedy_orders
    text = (
        "Greedy serves the models in the instance's order; it was also tried in "
        f"{plural(orders.orders, 'random order')} (seed {orders.seed}), of which {orders.covering:,} cover "
        "every interval"
    )
    if orders.mean_power_w is None:
        return f"{text}."
    least, median, most = map(number, orders.mean_power_w)
    return f"{text}. Their mean power: least {least} W, median {median} W, most {most} W."


def seeds_line(spread: SeedSpread) -> str:
    """Return what oblivious needs over several seeds."""
    text = (
        f"Oblivious is a sample: of {plural(spread.seeds, 'seed')}, {spread.covering:,} cover every interval"
    )
    if spread.mean_power_w is None:
        return f"{text}."
    least, mean, most = map(number, spread.mean_power_w)
    return f"{text}. Their mean power: least {least} W, on average {mean} W, most {most} W."


def _endings(report: DayReport) -> list[tuple[str, str]]:
    """Return how each plan ended, and who vouches for it."""
    lines = []
    for name, plan, audit, summary in report.entries():
        text = proof_line(plan, audit)
        if summary.uncovered:
            listed = ", ".join(str(t) for t in summary.uncovered[:10])
            more = ", ..." if len(summary.uncovered) > 10 else ""
            common = plural(summary.saving.intervals, "interval")
            text += f"; not covered: {listed}{more}, so savings count {common}"
        lines.append((name, f"{text}; {seconds(plan.runtime_s)}"))
    if not report.violations:
        text = "every figure was recomputed from the counts, in exact arithmetic, without the solvers"
        lines.append(("verified", text))
    return lines
