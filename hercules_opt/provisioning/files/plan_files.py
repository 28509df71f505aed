"""Plans as files: JSON holds everything, CSV holds the counts."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.files import read_json, write_text
from hercules_opt.problem.provenance import Kind
from hercules_opt.problem.validation import broken, input_error
from hercules_opt.provisioning.certificate import MOST_DEPTH, Branch, Certificate, CertificateKind, Leaf, Node
from hercules_opt.provisioning.objectives import OBJECTIVES, objective_levels, objective_text
from hercules_opt.provisioning.plan import BoundSource, Plan, Status, StopReason
from hercules_opt.provisioning.requirements import Requirements

#: Names and versions of the layouts.
PLAN_SCHEMA = "hercules-opt/plan"
PLAN_SCHEMA_VERSION = 1
#: What a plan of counts in a file says for its policy.
GIVEN = "given"

_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){2}[A-Za-z0-9.+-]{0,40}")

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]
#: A figure that may be whole and too long for a float.
Exact = Annotated[int, Field(ge=-(10**60), le=10**60)] | Number
#: Seconds, or a share from 0 to 1.
Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)]
Count = Annotated[int, Field(ge=-(10**12), le=10**12)]


def _this_version(found: Any) -> Any:
    if type(found) is not int or found != PLAN_SCHEMA_VERSION:  # true and 1.0 equal 1
        raise broken(f"must be {PLAN_SCHEMA_VERSION}", found=found)
    return found


def _a_version(found: str) -> str:
    if not _VERSION.fullmatch(found):
        raise broken("must be a version such as 1.2.3", found=found)
    return found


class _Layout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, dict) else ():
            if key not in known:
                raise broken("unknown key", key=(key,), hint=nearest_name(key, known))
        return data


class _LeafLayout(_Layout):
    multipliers: list[Number]
    least: list[Number | None]
    listed: Exact | None = None


class _BranchLayout(_Layout):
    server_type: Name
    model: Name
    count: Count
    at_most: int = Field(ge=0)
    at_least: int = Field(ge=0)


def _node_kind(entry: Any) -> str:
    return "branch" if isinstance(entry, dict) and {"at_most", "at_least"} & entry.keys() else "leaf"


_NodeLayout = Annotated[
    Annotated[_LeafLayout, Tag("leaf")] | Annotated[_BranchLayout, Tag("branch")], Discriminator(_node_kind)
]


class _CertificateLayout(_Layout):
    """Nodes in a list, the root first; a branch names its parts by their place in it."""

    kind: CertificateKind
    bound: Exact | None
    nodes: list[_NodeLayout] = Field(min_length=1, max_length=100_000)


class _LaterLayout(_Layout):
    """A later objective in one interval."""

    objective: Number
    bound: Number | None


class _IntervalLayout(_Layout):
    status: Status
    counts: dict[str, dict[str, Count]]
    power_w: Number | None
    power_low_w: Number | None
    power_high_w: Number | None
    servers: Count
    objective: Number
    bound: Number | None
    later: list[_LaterLayout]
    gap: Number | None
    bound_source: BoundSource
    shortfall_qps: dict[str, Number]
    certificate: int | None = Field(description="Place in the list of certificates.")


class _PlanLayout(_Layout):
    schema_name: Literal["hercules-opt/plan"] = Field(alias="schema")
    schema_version: Annotated[int, BeforeValidator(_this_version)]
    version: Annotated[str, AfterValidator(_a_version)]
    policy: str
    solver: str
    objective_name: str
    requested_gap: Share
    time_limit_s: Seconds | None
    runtime_s: Seconds
    stopped_by: StopReason | None
    status: Status
    objective: Number | None
    bound: Number | None
    gap: Number | None
    provenance: Kind | None
    requirements: dict[str, Any]
    notes: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=10_000)
    server_types: list[Name] = Field(min_length=1)
    models: list[Name] = Field(min_length=1)
    intervals: list[_IntervalLayout] = Field(min_length=1)
    certificates: list[_CertificateLayout]


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data: equal certificates once, counts and shortfalls of zero left out."""
    _check_plan(plan)
    certificates = list(dict.fromkeys(entry for entry in plan.certificate if entry is not None))
    place = {certificate: number for number, certificate in enumerate(certificates)}
    scalars = (
        "version", "policy", "solver", "objective_name", "requested_gap", "time_limit_s", "runtime_s",
        "stopped_by", "status", "objective", "bound", "gap", "provenance",
    )  # fmt: skip
    return {
        "schema": PLAN_SCHEMA,
        "schema_version": PLAN_SCHEMA_VERSION,
        **{name: getattr(plan, name) for name in scalars},
        **({"notes": list(plan.notes)} if plan.notes else {}),
        "requirements": plan.requirements.to_json(),
        "server_types": list(plan.server_types),
        "models": list(plan.models),
        "intervals": [_interval_to_json(plan, t, place) for t in range(len(plan.interval_status))],
        "certificates": [_certificate_to_json(plan, certificate) for certificate in certificates],
    }


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON; loading it gives an equal plan."""
    write_text(path, json.dumps(plan_to_json(plan), indent=1, allow_nan=False) + "\n")


def save_plan_csv(plan: Plan, path: str | Path) -> None:
    """Write the counts above zero: interval, server_type, model, count, and the layout's version."""
    _check_plan(plan)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["interval", "server_type", "model", "count", "schema_version"])
    for t, h, m in np.argwhere(plan.counts != 0):
        row = [t, plan.server_types[h], plan.models[m], plan.counts[t, h, m], PLAN_SCHEMA_VERSION]
        writer.writerow(row)
    write_text(path, out.getvalue())


def _check_plan(plan: object) -> None:
    if not isinstance(plan, Plan):
        raise InputError("must be a Plan", where="plan", found=type(plan).__name__)
    _check_names(plan.policy, plan.solver, plan.objective_name)


def _check_names(policy: str, solver: str, objective_name: str) -> None:
    """Raise unless the names are ours: only then is known what a plan was asked for."""
    from hercules_opt.provisioning.policies import POLICIES

    policies = (*POLICIES, GIVEN)
    if policy not in policies:
        rule = f"must be one of {', '.join(policies)}"
        raise InputError(rule, key="policy", found=policy, hint=nearest_name(policy, policies))
    solvers = (POLICIES[policy].solvers if policy in POLICIES else ()) or ("none",)
    if solver not in solvers:
        one_of = "one of " if len(solvers) > 1 else ""
        rule = f"must be {one_of}{', '.join(solvers)} where the policy is {policy}"
        raise InputError(rule, key="solver", found=solver, hint=nearest_name(solver, solvers))
    try:
        text = objective_text(objective_levels(objective_name))
    except InputError as error:
        rule = f"must be one of {', '.join(OBJECTIVES)}, or several with ', ' between"
        raise InputError(rule, key="objective_name", found=objective_name, hint=error.hint) from None
    if text != objective_name:
        raise InputError(f"must be written {text!r}", key="objective_name", found=objective_name)


def load_plan(path: str | Path) -> Plan:
    """Read a plan; raise ``InputError`` if the file is not one. What it claims is for ``verify`` to check."""
    data = read_json(path)
    try:
        return plan_from_json(data)
    except ValidationError as error:
        raise input_error(error, where=path, data=data) from None
    except InputError as error:
        raise error.located(path) from None


def plan_from_json(data: Any) -> Plan:
    """Build a plan from plain data; raise ``ValidationError`` or ``InputError`` if it is malformed."""
    layout = _PlanLayout.model_validate(data)
    _check_names(layout.policy, layout.solver, layout.objective_name)
    for key in ("server_types", "models"):
        names = getattr(layout, key)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError("a name may appear only once", key=key, found=twice)
    types = {name: index for index, name in enumerate(layout.server_types)}
    models = {name: index for index, name in enumerate(layout.models)}
    later = len(layout.objective_name.split(", ")) - 1
    for t, interval in enumerate(layout.intervals):
        if len(interval.later) != later:
            rule = f"must have an entry for each of the {later} later objectives"
            raise InputError(rule, key=f"intervals.{t}.later", found=len(interval.later))
    counts = np.zeros((len(layout.intervals), len(types), len(models)), dtype=np.int64)
    shortfall = np.zeros((len(layout.intervals), len(models)))
    for t, interval in enumerate(layout.intervals):
        for h_name, row in interval.counts.items():
            h = _position(h_name, types, f"intervals.{t}.counts")
            for m_name, count in row.items():
                counts[t, h, _position(m_name, models, f"intervals.{t}.counts.{h_name}")] = count
        for m_name, qps in interval.shortfall_qps.items():
            shortfall[t, _position(m_name, models, f"intervals.{t}.shortfall_qps")] = qps
    certificates = [
        _certificate_from_json(entry, types, models, f"certificates.{number}")
        for number, entry in enumerate(layout.certificates)
    ]
    return Plan(
        server_types=tuple(layout.server_types),
        models=tuple(layout.models),
        status=layout.status,
        interval_status=tuple(interval.status for interval in layout.intervals),
        counts=counts,
        power_w=np.array([_nan(interval.power_w) for interval in layout.intervals]),
        power_low_w=np.array([_nan(interval.power_low_w) for interval in layout.intervals]),
        power_high_w=np.array([_nan(interval.power_high_w) for interval in layout.intervals]),
        servers=np.array([interval.servers for interval in layout.intervals], dtype=np.int64),
        shortfall=shortfall,
        objective=layout.objective,
        interval_objective=np.array([interval.objective for interval in layout.intervals]),
        interval_bound=np.array([_nan(interval.bound) for interval in layout.intervals]),
        later_objective=np.array(
            [[level.objective for level in interval.later] for interval in layout.intervals]
        ).reshape(len(layout.intervals), later),
        later_bound=np.array(
            [[_nan(level.bound) for level in interval.later] for interval in layout.intervals]
        ).reshape(len(layout.intervals), later),
        interval_gap=np.array([_nan(interval.gap) for interval in layout.intervals]),
        bound=layout.bound,
        gap=layout.gap,
        bound_source=tuple(interval.bound_source for interval in layout.intervals),
        certificate=tuple(
            _listed(certificates, interval.certificate, t) for t, interval in enumerate(layout.intervals)
        ),
        policy=layout.policy,
        solver=layout.solver,
        objective_name=layout.objective_name,
        requested_gap=layout.requested_gap,
        time_limit_s=layout.time_limit_s,
        runtime_s=layout.runtime_s,
        stopped_by=layout.stopped_by,
        provenance=layout.provenance,
        requirements=Requirements.from_json(layout.requirements),
        notes=tuple(layout.notes),
        version=layout.version,
    )


def _interval_to_json(plan: Plan, interval: int, place: dict[Certificate, int]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for h, m in np.argwhere(plan.counts[interval] != 0):
        counts.setdefault(plan.server_types[h], {})[plan.models[m]] = int(plan.counts[interval, h, m])
    certificate = plan.certificate[interval]
    return {
        "status": plan.interval_status[interval],
        "counts": counts,
        "power_w": _none(plan.power_w[interval]),
        "power_low_w": _none(plan.power_low_w[interval]),
        "power_high_w": _none(plan.power_high_w[interval]),
        "servers": int(plan.servers[interval]),
        "objective": float(plan.interval_objective[interval]),
        "bound": _none(plan.interval_bound[interval]),
        "later": [
            {"objective": float(value), "bound": _none(bound)}
            for value, bound in zip(plan.later_objective[interval], plan.later_bound[interval], strict=True)
        ],
        "gap": _none(plan.interval_gap[interval]),
        "bound_source": plan.bound_source[interval],
        "shortfall_qps": {
            name: float(qps) for name, qps in zip(plan.models, plan.shortfall[interval], strict=True) if qps
        },
        "certificate": None if certificate is None else place[certificate],
    }


def _certificate_to_json(plan: Plan, certificate: Certificate) -> dict[str, Any]:
    """List the nodes; the parts of a branch stand behind it."""
    nodes: list[dict[str, Any]] = []
    waiting: list[tuple[Node, dict[str, Any] | None, str]] = [(certificate.root, None, "")]
    while waiting:
        node, parent, side = waiting.pop()
        if parent is not None:
            parent[side] = len(nodes)
        if isinstance(node, Leaf):
            leaf: dict[str, Any] = {"multipliers": list(node.multipliers), "least": list(node.least)}
            nodes.append(leaf if node.listed is None else {**leaf, "listed": node.listed})
            continue
        entry: dict[str, Any] = {
            "server_type": plan.server_types[node.server_type],
            "model": plan.models[node.model],
            "count": node.count,
        }
        nodes.append(entry)
        waiting += [(node.at_least, entry, "at_least"), (node.at_most, entry, "at_most")]
    return {"kind": certificate.kind, "bound": certificate.bound, "nodes": nodes}


def _certificate_from_json(
    layout: _CertificateLayout, types: dict[str, int], models: dict[str, int], key: str
) -> Certificate:
    built: dict[int, Node] = {}
    depth: dict[int, int] = {}
    used: set[int] = set()
    for number in reversed(range(len(layout.nodes))):
        entry, place = layout.nodes[number], f"{key}.nodes.{number}"
        if isinstance(entry, _LeafLayout):
            built[number], depth[number] = Leaf(tuple(entry.multipliers), tuple(entry.least), entry.listed), 0
            continue
        for side, part in (("at_most", entry.at_most), ("at_least", entry.at_least)):
            if part not in built or part in used:
                raise InputError(
                    "must be the place of a later node that no other names", key=f"{place}.{side}", found=part
                )
            used.add(part)
        depth[number] = 1 + max(depth[entry.at_most], depth[entry.at_least])
        if depth[number] > MOST_DEPTH:
            raise InputError(f"must not nest deeper than {MOST_DEPTH}", key=place)
        h = _position(entry.server_type, types, f"{place}.server_type")
        m = _position(entry.model, models, f"{place}.model")
        built[number] = Branch(h, m, entry.count, built[entry.at_most], built[entry.at_least])
    if len(used) != len(layout.nodes) - 1:
        raise InputError("must form one tree from the first node", key=f"{key}.nodes")
    return Certificate(layout.kind, layout.bound, built[0])


def _position(name: str, positions: dict[str, int], key: str) -> int:
    if name not in positions:
        raise InputError("unknown name", key=key, found=name, hint=nearest_name(name, positions))
    return positions[name]


def _listed(certificates: list[Certificate], place: int | None, interval: int) -> Certificate | None:
    if place is None:
        return None
    if not 0 <= place < len(certificates):
        key = f"intervals.{interval}.certificate"
        raise InputError(
            f"must be the place of one of {len(certificates)} certificates", key=key, found=place
        )
    return certificates[place]


def _none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
