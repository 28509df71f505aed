"""The terms of a result: what was asked, of which instance, on what figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hercules_opt._version import __version__
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.plan import Plan
from hercules_opt.reporting.figures import figure_kinds, total_kinds, weakest_kind
from hercules_opt.reporting.instances import size_line
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.text import by_kind, percent, printable, seconds

#: Models whose latency targets are listed one by one.
MOST_TARGETS = 12


def terms_document(
    instance: Instance, table: EfficiencyTable | None, plans: Sequence[Plan]
) -> dict[str, Any]:
    """Return the terms as plain data."""
    groups = figure_kinds(instance, table)
    return {
        "instance": {
            "name": instance.name,
            "title": instance.title,
            "server_types": list(instance.servers),
            "models": list(instance.models),
            "intervals": len(instance.load_qps),
            "start_h": instance.day.start_h,
            "duration_h": instance.duration_h.tolist(),
        },
        "targets": {
            name: {"sla_ms": model.sla_ms, "percentile": model.sla_percentile}
            for name, model in instance.models.items()
        },
        "over_provision": {name: model.over_provision for name, model in instance.models.items()},
        "figures": {group: dict(kinds) for group, kinds in groups.items()},
        "weakest_kind": weakest_kind(groups),
        "checked": _checked(table),
        "policies": [policy_document(plan) for plan in plans],
    }


def policy_document(plan: Plan) -> dict[str, Any]:
    """Return what one plan was asked for."""
    names = ("policy", "solver", "objective_name", "requested_gap", "time_limit_s", "version")
    return {name: getattr(plan, name) for name in names}


def terms_page(instance: Instance, table: EfficiencyTable | None, plans: Sequence[Plan]) -> Pairs:
    """Return the terms as labelled lines."""
    groups = figure_kinds(instance, table)
    figures = "; ".join(f"{group}: {by_kind(kinds)}" for group, kinds in groups.items() if kinds)
    weakest = weakest_kind(groups)
    title = f": {printable(instance.title)}" if instance.title else ""
    rows = [
        ("instance", f"{instance.name}{title}"),
        ("size", size_line(instance)),
        ("latency", _targets(instance)),
        ("headroom", _headroom(instance)),
        *_rates(table),
        ("figures", f"weakest kind: {weakest}; in all {by_kind(total_kinds(groups))} ({figures})"),
    ]
    if plans:
        rows.append(("policies", "; ".join(_policy(plan) for plan in plans)))
    rows.append(("version", f"hercules-opt {__version__}"))
    return Pairs(tuple(rows))


def _targets(instance: Instance) -> str:
    given = {name: model for name, model in instance.models.items() if model.sla_ms is not None}
    if not given:
        return "no targets in the instance: the table's rates are taken as they are"
    if len(given) > MOST_TARGETS:
        limits = [model.sla_ms for model in given.values() if model.sla_ms is not None]
        shares = sorted({model.sla_percentile for model in given.values()})
        at = " and ".join(f"p{share:g}" for share in shares[:3])
        return f"{at} within {min(limits):g} to {max(limits):g} ms, {len(given)} models"
    return ", ".join(
        f"{name} p{model.sla_percentile:g} within {model.sla_ms:g} ms" for name, model in given.items()
    )


def _headroom(instance: Instance) -> str:
    rates = sorted(set(instance.over_provision.tolist()))
    if rates == [0.0]:
        return "none: loads are covered as they are"
    if len(rates) == 1:
        return f"{percent(rates[0])} over every load"
    return f"{percent(rates[0])} to {percent(rates[-1])} over the loads"


def _checked(table: EfficiencyTable | None) -> dict[str, int]:
    """Return how many predicted rates were simulated, how many of these were lowered, how many not."""
    rows = [pair for pair in table or () if pair.checked is not None]
    simulated = [pair for pair in rows if pair.checked == "simulated"]
    lowered = sum((pair.qps or 0.0) < (pair.analytic_qps or 0.0) for pair in simulated)
    return {"simulated": len(simulated), "lowered": lowered, "not_checked": len(rows) - len(simulated)}


def _rates(table: EfficiencyTable | None) -> list[tuple[str, str]]:
    """Return the line on the check of predicted rates; none where no rate is predicted."""
    counts = _checked(table)
    if counts["simulated"]:
        text = f"{counts['simulated']} predicted, all simulated; {counts['lowered']} lowered to what holds"
        nothing = sum(pair.checked == "simulated" and pair.qps is None for pair in table or ())
        text += f", {nothing} of them to nothing" if nothing else ""
        return [("rates", text.replace("all simulated", "simulated") if counts["not_checked"] else text)]
    return [("rates", f"{counts['not_checked']} predicted, not checked")] if counts["not_checked"] else []


def _policy(plan: Plan) -> str:
    if plan.solver == "none":
        return f"{plan.policy} (no solver)"
    limit = "" if plan.time_limit_s is None else f", limit {seconds(plan.time_limit_s)}"
    return f"{plan.policy} ({plan.objective_name}, solver {plan.solver}, gap {plan.requested_gap:g}{limit})"
