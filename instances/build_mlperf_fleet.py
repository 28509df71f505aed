"""Build the instance ``mlperf-fleet`` from published MLPerf results and real activity profiles.

    python instances/build_mlperf_fleet.py RESULTS_CSV PROFILES_CSV [--out FOLDER]

RESULTS_CSV holds results of the closed datacenter division of MLPerf Inference v1.0 to v2.1 (MLCommons,
Apache-2.0), one row per submission, benchmark and scenario, with the columns of ``RESULT_COLUMNS``.
PROFILES_CSV holds a ``time`` column and one column per activity, a weekday's mean per half hour scaled to a
peak of 1 (Numenta Anomaly Benchmark, MIT). The same two files give the same three output files, byte for
byte.

Every choice is data at the top of this file; README.md in this folder gives the reasons.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

#: The services, in alphabetical order, which is also the order in which the greedy policy serves them.
SERVICES = ("bert-99", "dlrm-99", "resnet50", "rnnt", "ssd-resnet34")

TITLES = {
    "bert-99": "BERT large, question answering at 99 % of the reference accuracy",
    "dlrm-99": "DLRM on Criteo 1TB at 99 % of the reference accuracy; one query ranks 100 to 700 items",
    "resnet50": "ResNet-50 v1.5, image classification",
    "rnnt": "RNN-T, speech recognition",
    "ssd-resnet34": "SSD ResNet-34, object detection",
}

#: A system becomes a server type when its power was measured on at least this many of the services.
LEAST_SERVICES = 3

#: Short names of the systems that the rule finds; a system without a short name stops the build.
NAMES = {
    ("DellEMC", "XE2420_datacenter_T4x4_TRT"): "xe2420-t4x4",
    ("Dell", "XE2420_A10x2_TRT_MaxQ"): "xe2420-a10x2",
    ("Dell", "XR12_A2x1_TRT_MaxQ"): "xr12-a2x1",
    ("Dell", "R750xa_A100-PCIE-40GBx4_TRT_MaxQ"): "r750xa-a100p40x4",
    ("Dell", "XE8545_A100-SXM-80GBx4_TRT"): "xe8545-a100s80x4",
    ("Dell", "XE8545_A100_SXM_80GBx4_TRT_MaxQ"): "xe8545-a100s80x4-maxq",
    ("Fujitsu", "GX2570M6_A100-SXM4-40GBx8_TRT_MaxQ"): "gx2570-a100s40x8",
    ("Fujitsu", "GX2570M6_A100-SXM-80GBx8_TRT_MaxQ"): "gx2570-a100s80x8",
    ("H3C", "A30x3_R4900G5_TRT_MaxQ"): "r4900-a30x3",
    ("NVIDIA", "A100-PCIex8_TRT_MaxQ"): "epyc-a100p40x8",
    ("NVIDIA", "A100-PCIe-80GBx8_TRT_MaxQ"): "epyc-a100p80x8",
    ("NVIDIA", "A100-PCIe-80GB_aarch64x4_TRT_MaxQ"): "altra-a100p80x4",
    ("NVIDIA", "A100-SXM-80GB_aarch64x8_TRT_MaxQ"): "altra-a100s80x8",
    ("NVIDIA", "DGX-A100_A100-SXM-80GBx8_TRT_MaxQ"): "dgx-a100",
    ("NVIDIA", "DGX-Station-A100_A100-SXM-80GBx4_TRT_MaxQ"): "dgx-station-a100",
}

#: Every type owns this many accelerators (ours): the least number that makes whole servers of 1, 2, 3, 4
#: and 8.
ACCELERATORS_PER_TYPE = 24

#: Peak load of each service, as a share of the QPS that the whole fleet would give it alone: three quarters
#: of an equal split among the five.
PEAK_SHARE = Decimal("0.75") / len(SERVICES)

#: Headroom for what happens within a half hour (ours).
OVER_PROVISION = Decimal("0.05")

#: Where latency target and percentile come from.
RULES = "MLPerf Inference rules, Server scenario"

RESULT_COLUMNS = (
    "version", "submitter", "system", "benchmark", "scenario", "samples_per_second", "target_latency_ms",
    "p95_ms", "p99_ms", "watts", "host_processor_model_name", "host_processors_per_node",
    "host_memory_capacity", "accelerator_model_name", "accelerators_per_node",
)  # fmt: skip

Row = dict[str, str]


@dataclass(frozen=True)
class System:
    """One server type: a system as one submission of one round describes it."""

    name: str
    rows: dict[str, Row]

    @property
    def any_row(self) -> Row:
        """A row of the submission; all of them describe the same hardware."""
        return next(iter(self.rows.values()))

    @property
    def accelerators(self) -> int:
        """Accelerators of one server."""
        return int(Decimal(self.any_row["accelerators_per_node"]))

    @property
    def available(self) -> int:
        """Servers of this type."""
        servers, rest = divmod(ACCELERATORS_PER_TYPE, self.accelerators)
        if rest:
            raise SystemExit(f"{self.name}: {ACCELERATORS_PER_TYPE} accelerators are not whole servers")
        return servers

    @property
    def title(self) -> str:
        """Chassis, processors and accelerators in one line."""
        row = self.any_row
        processor = (
            row["host_processor_model_name"]
            .replace("(R)", "")
            .replace(" CPU", "")
            .removesuffix(" 64-Core Processor")
        )
        return (
            f"{row['submitter']} {row['system']}: {row['host_processors_per_node']}x {processor}, "
            f"{self.accelerators}x {row['accelerator_model_name']}, {row['host_memory_capacity']}"
        )

    @property
    def source(self) -> str:
        """Round, submitter and system of the submission."""
        row = self.any_row
        return f"MLPerf Inference {row['version']} closed datacenter: {row['submitter']}, {row['system']}"


def read_results(path: Path) -> list[Row]:
    """Return the Server results of the services whose wall power was measured."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        absent = set(RESULT_COLUMNS) - set(reader.fieldnames or ())
        if absent:
            raise SystemExit(f"{path}: columns are missing: {', '.join(sorted(absent))}")
        rows = list(reader)
    return [
        row for row in rows if row["scenario"] == "Server" and row["benchmark"] in SERVICES and row["watts"]
    ]


def choose_systems(rows: list[Row]) -> list[System]:
    """Choose one round per system: the one that measured most services, the newest of equals."""
    rounds: dict[tuple[str, str], dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        services = rounds[row["submitter"], row["system"]][row["version"]]
        if row["benchmark"] in services:
            raise SystemExit(
                f"{row['submitter']} {row['system']} {row['version']}: two results of {row['benchmark']}"
            )
        services[row["benchmark"]] = row
    systems = []
    for key, by_round in rounds.items():
        newest = max(by_round, key=lambda version: (len(by_round[version]), version))
        if len(by_round[newest]) >= LEAST_SERVICES:
            systems.append(System(NAMES[key], by_round[newest]))
    return sorted(systems, key=lambda system: system.name)


def read_shapes(path: Path) -> tuple[list[str], dict[str, list[Decimal]], dict[str, list[str]]]:
    """Return the interval labels, each service's shape with a peak of 1, and the activities it is made of.

    The activities are dealt to the services in column order, one each and then round again; a service that
    holds two follows their mean, scaled to a peak of 1.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    activities = [column for column in rows[0] if column != "time"]
    held = {service: activities[number :: len(SERVICES)] for number, service in enumerate(SERVICES)}
    shapes = {}
    for service, columns in held.items():
        total = [sum((Decimal(row[column]) for column in columns), Decimal(0)) for row in rows]
        shapes[service] = [value / max(total) for value in total]
    return [row["time"] for row in rows], shapes, held


def loads(systems: list[System], shapes: dict[str, list[Decimal]]) -> dict[str, list[int]]:
    """Return the loads in whole QPS: shape x share x what the fleet would give the service alone."""
    result = {}
    for service in SERVICES:
        alone = sum(
            system.available * Decimal(system.rows[service]["samples_per_second"])
            for system in systems
            if service in system.rows
        )
        result[service] = [
            int((value * PEAK_SHARE * alone).quantize(Decimal(1), ROUND_HALF_UP)) for value in shapes[service]
        ]
    return result


def latency_target(rows: list[Row], service: str) -> str:
    """Return the latency target in ms that all Server results of a service share."""
    targets = {row["target_latency_ms"] for row in rows if row["benchmark"] == service}
    if len(targets) != 1:
        raise SystemExit(f"{service}: results with different latency targets: {sorted(targets)}")
    return f"{Decimal(targets.pop()):.0f}"


def instance_toml(systems: list[System], rows: list[Row], held: dict[str, list[str]]) -> str:
    """Return the instance file."""
    lines = [
        "# Written by build_mlperf_fleet.py; README.md in this folder tells how, and what is ours.",
        "format = 1",
        'name = "mlperf-fleet"',
        'title = "A fleet of published MLPerf systems serving five services over a weekday"',
        'description = """',
        "Rates and watts: measurements that MLPerf Inference v1.0 to v2.1 published (closed division,",
        "datacenter, Server scenario), each with its round, submitter and system; a pair without a measured",
        "power is absent. Loads: the weekday shapes of six real activities (Numenta Anomaly Benchmark).",
        "Server counts, peaks and headroom: ours.",
        '"""',
        "",
        "[day]",
        "interval_h = 0.5",
        "",
        "[loads]",
        'kind = "assumed"',
        'source = "shapes: Numenta Anomaly Benchmark; peaks: ours"',
        'file = "mlperf-fleet.loads.csv"',
        "",
        "[efficiency]",
        'file = "mlperf-fleet.efficiency.csv"',
    ]
    for service in SERVICES:
        target = latency_target(rows, service)
        lines += [
            "",
            f"[models.{service}]",
            f'title = "{TITLES[service]}; load shape: {" + ".join(held[service])}"',
            f'sla_ms = {{ value = {target}, kind = "published", source = "{RULES}" }}',
            f'sla_percentile = {{ value = 99, kind = "published", source = "{RULES}" }}',
            f'over_provision = {{ value = {OVER_PROVISION}, kind = "assumed" }}',
        ]
    for system in systems:
        lines += [
            "",
            f"[servers.{system.name}]",
            f'title = "{system.title}"',
            f'available = {{ value = {system.available}, kind = "assumed" }}',
        ]
    return "\n".join(lines) + "\n"


def write_csv(path: Path, rows: list[list[object]]) -> None:
    """Write rows as CSV with line feeds."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def build(results: Path, profiles: Path, out: Path) -> None:
    """Write the instance, its loads and its efficiency table."""
    rows = read_results(results)
    systems = choose_systems(rows)
    times, shapes, held = read_shapes(profiles)
    by_service = loads(systems, shapes)
    (out / "mlperf-fleet.toml").write_text(instance_toml(systems, rows, held), encoding="utf-8")
    write_csv(
        out / "mlperf-fleet.loads.csv",
        [
            ["interval", *SERVICES],
            *([time, *(by_service[s][t] for s in SERVICES)] for t, time in enumerate(times)),
        ],
    )
    pairs: list[list[object]] = [
        ["server_type", "model", "qps", "power_w", "p95_ms", "p99_ms", "kind", "source"]
    ]
    for system in systems:
        for service in SERVICES:
            if service in system.rows:
                row = system.rows[service]
                figures = [row[column] for column in ("samples_per_second", "watts", "p95_ms", "p99_ms")]
                pairs.append([system.name, service, *figures, "published", system.source])
    write_csv(out / "mlperf-fleet.efficiency.csv", pairs)


def main() -> None:
    """Read the arguments and build."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="CSV of MLPerf results")
    parser.add_argument("profiles", type=Path, help="CSV of activity profiles")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    arguments = parser.parse_args()
    build(arguments.results, arguments.profiles, arguments.out)


if __name__ == "__main__":
    main()
