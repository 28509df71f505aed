"""Write ``hpca22``, ``hpca22-loose`` and ``hpca22-large``: a cluster like that of the Hercules evaluation.

    python instances/build_hpca22.py PROFILES

``PROFILES`` is a CSV of weekday shapes per half hour with a peak of 1: a column ``time``, then one per
activity. Loads are shares of what the fleet could serve, so the package's own profile of the instance is
computed first. The choices are the constants below; README.md in this folder tells the story.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from hercules_opt import Instance, catalogue, profile
from hercules_opt.problem.files import write_text
from hercules_opt.problem.loading import parse_instance

FOLDER = Path(__file__).resolve().parent

#: Servers of each type (assumed): plain ones are plentiful, those with near-memory processing or
#: accelerators scarce.
AVAILABLE = {
    "T1": 100, "T2": 100, "T3": 15, "T4": 10, "T5": 5, "T6": 10, "T7": 10, "T8": 10, "T9": 10, "T10": 5,
}  # fmt: skip

#: Tail-latency targets in ms, p95 (assumed): tight ones, at which the tail binds, and those of the
#: DeepRecSys study.
TIGHT_MS = {"dien": 35, "din": 50, "dlrm-rmc1": 20, "dlrm-rmc2": 50, "dlrm-rmc3": 50, "mt-wnd": 25}
LOOSE_MS = {"dien": 35, "din": 100, "dlrm-rmc1": 100, "dlrm-rmc2": 400, "dlrm-rmc3": 100, "mt-wnd": 25}

#: Peak of each load, as a share of the QPS that the whole fleet would give the model alone: three quarters
#: of an equal split among the six, as in ``mlperf-fleet``.
PEAK_SHARE = 0.75 / len(TIGHT_MS)
OVER_PROVISION = 0.05

#: Tables of ``hpca22-large`` have this many times the rows (assumed): 80 GB instead of 4 GB, far beyond an
#: accelerator, within every host.
LARGER_ROWS = 20


@dataclass(frozen=True)
class Variant:
    """One instance of the family."""

    name: str
    title: str
    description: str
    sla_ms: dict[str, int]
    rows_factor: int = 1


VARIANTS = (
    Variant(
        "hpca22",
        "Ten server types and six recommendation models, tight latency targets",
        "A cluster like that of the Hercules evaluation (HPCA 2022), recalled from the paper and not "
        "checked. Tight latency targets, at which the tail binds. Counts, targets and peaks are assumed; "
        "README.md tells how.",
        TIGHT_MS,
    ),
    Variant(
        "hpca22-loose",
        "hpca22 with the loose latency targets of the DeepRecSys study",
        "As hpca22, with the latency targets recalled from the DeepRecSys study: embedding-bound models "
        "then run close to saturation.",
        LOOSE_MS,
    ),
    Variant(
        "hpca22-large",
        "hpca22 with twenty times the embedding rows",
        "As hpca22, with embedding tables of twenty times the rows (assumed): they exceed every "
        "accelerator's memory, which then holds the hot embeddings, and fit into every host's.",
        TIGHT_MS,
        LARGER_ROWS,
    ),
)


def read_shapes(path: Path) -> tuple[list[str], dict[str, list[float]]]:
    """Return interval labels and one shape per model, columns and sorted models side by side."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    activities = [column for column in rows[0] if column != "time"]
    if len(activities) != len(TIGHT_MS):
        raise SystemExit(f"{path}: {len(TIGHT_MS)} activities are needed, found {len(activities)}")
    shapes = {
        model: [float(row[activity]) for row in rows]
        for model, activity in zip(sorted(TIGHT_MS), activities, strict=True)
    }
    return [row["time"] for row in rows], shapes


def model_entry(name: str, variant: Variant) -> dict[str, Any]:
    """Return a model's entry: the catalogue's, with its target, headroom and perhaps larger tables."""
    source = "assumed so that the tail binds" if variant.sla_ms is TIGHT_MS else "DeepRecSys study, recalled"
    target = {"value": variant.sla_ms[name], "kind": "assumed", "source": source}
    entry: dict[str, Any] = {"catalogue": name, "sla_ms": target, "over_provision": OVER_PROVISION}
    if variant.rows_factor != 1:
        architecture = catalogue.models[name].architecture
        assert architecture is not None
        tables = architecture.model_dump(mode="json", exclude_none=True, exclude_unset=True)["tables"]
        entry["architecture"] = {"tables": [_larger(table, variant.rows_factor) for table in tables]}
    return entry


def _larger(table: dict[str, Any], factor: int) -> dict[str, Any]:
    rows = table["rows"]
    rows = rows["value"] if isinstance(rows, dict) else rows
    more = [count * factor for count in rows] if isinstance(rows, list) else rows * factor
    source = f"{factor} times the rows of the catalogue"
    return {**table, "rows": {"value": more, "kind": "assumed", "source": source}}


def entries(variant: Variant, loads: dict[str, Any]) -> dict[str, Any]:
    """Return the instance as its file holds it."""
    models = sorted(TIGHT_MS)
    return {
        "format": 1,
        "name": variant.name,
        "title": variant.title,
        "description": variant.description,
        "day": {"interval_h": 0.5},
        "loads": loads,
        "servers": {
            name: {"catalogue": name, "available": {"value": count, "kind": "assumed"}}
            for name, count in AVAILABLE.items()
        },
        "models": {name: model_entry(name, variant) for name in models},
    }


def peaks_qps(instance: Instance) -> dict[str, float]:
    """Return the peak load of each model: a share of what the fleet would serve alone."""
    table = profile(instance)
    alone = dict.fromkeys(instance.models, 0.0)
    for pair in table:
        alone[pair.model] += AVAILABLE[pair.server_type] * (pair.qps or 0.0)
    return {model: PEAK_SHARE * qps for model, qps in alone.items()}


def write(variant: Variant, labels: list[str], shapes: dict[str, list[float]]) -> None:
    """Write one instance and its loads."""
    target = FOLDER / f"{variant.name}.toml"
    empty = entries(variant, {"qps": {model: [0.0] for model in sorted(TIGHT_MS)}})
    peaks = peaks_qps(parse_instance(tomli_w.dumps(empty), where=target))
    models = sorted(TIGHT_MS)
    lines = [",".join(["interval", *models])]
    for number, label in enumerate(labels):
        lines.append(",".join([label, *(str(round(shapes[m][number] * peaks[m])) for m in models)]))
    write_text(FOLDER / f"{variant.name}.loads.csv", "\n".join(lines) + "\n")
    source = "shapes: Numenta Anomaly Benchmark (MIT); peaks: ours"
    loads = {"kind": "assumed", "source": source, "file": f"{variant.name}.loads.csv"}
    head = "# Written by build_hpca22.py; README.md in this folder tells how, and what is ours.\n"
    write_text(target, head + tomli_w.dumps(entries(variant, loads)))
    print(f"{variant.name}: peaks " + ", ".join(f"{model} {round(qps)}" for model, qps in peaks.items()))


def main() -> None:
    """Write every variant."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    labels, shapes = read_shapes(Path(sys.argv[1]))
    for variant in VARIANTS:
        write(variant, labels, shapes)


if __name__ == "__main__":
    main()
