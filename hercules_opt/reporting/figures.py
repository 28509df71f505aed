"""What the figures behind a result are worth: counts by kind of provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hercules_opt.problem.instance import Instance
from hercules_opt.problem.provenance import KINDS, Kind
from hercules_opt.problem.table import EfficiencyTable

#: Number of figures by kind, best founded kinds first.
Kinds = dict[Kind, int]


def figure_kinds(instance: Instance, table: EfficiencyTable | None) -> dict[str, Kinds]:
    """Return the number of figures of each kind, by what they say.

    Counted are all figures that a plan rests on: rates and powers of the table's pairs, server counts, loads
    and over-provision rates.
    """
    known = [pair for pair in table or () if pair.qps is not None]
    loads = instance.loads.origin("qps").kind
    return {
        "rates": _count(pair.origin("qps").kind for pair in known),
        "powers": _count(pair.origin("power_w").kind for pair in known if pair.power_w is not None),
        "server counts": _count(server.origin("available").kind for server in instance.servers.values()),
        "loads": {loads: instance.load_qps.size},
        "over-provision rates": _count(
            model.origin("over_provision").kind
            for model in instance.models.values()
            if "over_provision" in model.model_fields_set
        ),
    }


def total_kinds(groups: Mapping[str, Kinds]) -> Kinds:
    """Return the number of figures of each kind over all groups."""
    totals = {kind: sum(kinds.get(kind, 0) for kinds in groups.values()) for kind in KINDS}
    return {kind: count for kind, count in totals.items() if count}


def weakest_kind(groups: Mapping[str, Kinds]) -> Kind | None:
    """Return the kind of the worst founded figure; a result is worth no more."""
    return max((kind for kinds in groups.values() for kind in kinds), key=KINDS.index, default=None)


def _count(kinds: Iterable[Kind]) -> Kinds:
    counted = Counter(kinds)
    return {kind: counted[kind] for kind in KINDS if counted[kind]}
