"""What ``verify`` found, for people and as plain data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hercules_opt.provisioning.checking.verify import Audit
from hercules_opt.provisioning.plan import Plan
from hercules_opt.reporting.text import percent, plural, printable

#: Violations that are printed; the others are counted.
MOST_VIOLATIONS = 50


def audit_document(plan: Plan, audit: Audit) -> dict[str, Any]:
    """Return the audit of a plan as plain data."""
    return {
        "status": plan.status,
        "true": not audit.violations,
        "violations": [
            {"code": found.code, "interval": found.interval, "text": found.text} for found in audit.violations
        ],
        "bounds": dict(Counter(entry.label for entry in audit.intervals)),
        "intervals": [
            {
                "interval": entry.interval,
                "certified_bound": entry.certified_bound,
                "claimed_bound": entry.claimed_bound,
                "bound": entry.label,
            }
            for entry in audit.intervals
        ],
    }


def audit_page(plan: Plan, audit: Audit, path: Path) -> RenderableType:
    """Return the audit of a plan as lines."""
    name = printable(str(path))
    if audit.violations:
        return violation_list(name, audit)
    claimed = any(entry.label == "solver's claim" for entry in audit.intervals)
    what = "all but the bounds that a solver claims" if claimed else "every claim"
    verified = f"{name}: verified, {what} was recomputed in exact arithmetic without the solvers"
    return Group(Text(verified), Text(proof_line(plan, audit)))


def violation_list(name: str, audit: Audit) -> RenderableType:
    """Return the claims of a plan that are not true, one below the other under a heading."""
    wrong = len(audit.violations)
    lines = [printable(str(found)) for found in audit.violations[:MOST_VIOLATIONS]]
    if wrong > MOST_VIOLATIONS:
        lines.append(f"and {wrong - MOST_VIOLATIONS:,} more; --json has them all")
    head = Text(f"{name}: not true, {plural(wrong, 'violation')}", style="bold")
    return Group(head, *(Padding(Text(line), (0, 0, 0, 2)) for line in lines))


def proof_line(plan: Plan, audit: Audit | None) -> str:
    """Return how many intervals are proven, and by whom: "48 of 48 intervals proven optimal (...)".

    Without an audit the plan's own words are taken.
    """
    total = len(plan.interval_status)
    labels = _labels(plan, audit)
    parts = []
    for status, words in (("optimal", "proven optimal"), ("infeasible", "infeasible")):
        vouched = Counter(
            label for label, own in zip(labels, plan.interval_status, strict=True) if own == status
        )
        if vouched:
            by_whom = (
                f"{vouched['certified']} certified by multipliers, {vouched['claimed']} by the solver's claim"
            )
            parts.append(f"{sum(vouched.values())} of {plural(total, 'interval')} {words} ({by_whom})")
    if "infeasible" in plan.interval_status and plan.misses_least:
        parts.append("what is missing there is proven to be the least in total")
    covered = plan.interval_status.count("feasible")
    if covered:
        parts.append(f"{covered} of {plural(total, 'interval')} covered, {_distance(plan)}")
    missing = plan.interval_status.count("unknown")
    if missing:
        parts.append(f"{missing} of {plural(total, 'interval')} not covered")
    return "; ".join(parts)


def _distance(plan: Plan) -> str:
    """Return how far from the optimum the covered intervals may be that are not proven optimal."""
    feasible = np.array([status == "feasible" for status in plan.interval_status])
    gaps = plan.interval_gap[feasible]
    return (
        "without a bound" if np.isnan(gaps).any() else f"with a gap of at most {percent(float(gaps.max()))}"
    )


def _labels(plan: Plan, audit: Audit | None) -> list[str]:
    if audit is None or not audit.intervals:
        return list(plan.bound_source)
    return ["claimed" if entry.label == "solver's claim" else entry.label for entry in audit.intervals]
