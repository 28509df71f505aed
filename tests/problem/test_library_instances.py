"""The library's instances are what their README says."""

from __future__ import annotations

import csv
import itertools
import runpy
from pathlib import Path
from typing import Any

import pytest

from hercules_opt import InputError, Instance, load_instance
from hercules_opt.problem.library import instances_folder

SERVICES = ["bert-99", "dlrm-99", "resnet50", "rnnt", "ssd-resnet34"]


@pytest.fixture(scope="module")
def fleet() -> Instance:
    return load_instance("mlperf-fleet")


def test_fleet_has_fifteen_types_and_five_services_over_a_day(fleet: Instance) -> None:
    assert len(fleet.servers) == 15
    assert list(fleet.models) == SERVICES
    assert fleet.duration_h.sum() == 24
    devices = " ".join(server.title or "" for server in fleet.servers.values())
    for device in (
        "T4",
        " A2,",
        "A10",
        "A30",
        "A100-PCIe-80GB",
        "A100-PCIe-40GB",
        "A100-SXM-80GB",
        "A100-SXM4-40GB",
    ):
        assert device in devices


def test_every_rate_and_watt_of_the_fleet_is_published_with_round_submitter_and_system(
    fleet: Instance,
) -> None:
    assert fleet.table is not None
    assert len(fleet.table) == 62
    for pair in fleet.table:
        assert pair.origin("qps").kind == "published"
        assert pair.power_w is not None
        title = fleet.servers[pair.server_type].title
        assert title is not None
        assert pair.source is not None
        head, system = pair.source.split(", ")
        version = head.removeprefix("MLPerf Inference ").split()[0]
        assert version in ("v1.0", "v1.1", "v2.0", "v2.1")
        assert title.startswith(f"{head.split(': ')[1]} {system}: ")


def test_a_type_of_the_fleet_is_one_submission(fleet: Instance) -> None:
    assert fleet.table is not None
    sources = {(pair.server_type, pair.source) for pair in fleet.table}
    assert len(sources) == len(fleet.servers)


def test_published_tail_latencies_meet_the_targets(fleet: Instance) -> None:
    assert fleet.table is not None
    for pair in fleet.table:
        target = fleet.models[pair.model].sla_ms
        assert pair.p99_ms is not None
        assert target is not None
        assert pair.p99_ms <= target


def test_what_is_ours_is_called_assumed(fleet: Instance) -> None:
    assert {server.origin("available").kind for server in fleet.servers.values()} == {"assumed"}
    assert {model.origin("over_provision").kind for model in fleet.models.values()} == {"assumed"}
    assert {model.origin("sla_ms").kind for model in fleet.models.values()} == {"published"}
    assert fleet.loads.origin("qps").kind == "assumed"


def test_peaks_follow_the_written_rule(fleet: Instance) -> None:
    """A service's peak is 15 % of what the whole fleet would give it alone, to the nearest whole QPS."""
    assert fleet.table is not None
    for column, name in enumerate(fleet.models):
        alone = 0.0
        for server_type, server in fleet.servers.items():
            pair = fleet.table.get(server_type, name)
            alone += server.available * pair.qps if pair is not None and pair.qps is not None else 0.0
        assert fleet.load_qps[:, column].max() == pytest.approx(0.15 * alone, abs=0.5 + 1e-6)


def test_the_optimum_of_tiny_is_the_one_worked_out_by_hand() -> None:
    """Try every number of servers of each type for each model: 270, 640, 1160 and 120 W."""
    tiny = load_instance("tiny")
    assert tiny.table is not None
    cells: list[Any] = [tiny.table.get(h, m) for h in tiny.servers for m in tiny.models]
    counts = [range(n + 1) for n in tiny.available for _ in tiny.models]
    best = []
    for ranking, retrieval in tiny.load_qps:
        covers = []
        for n in itertools.product(*counts):
            qps = [k * pair.qps for k, pair in zip(n, cells, strict=True)]
            if n[0] + n[1] > 6 or n[2] + n[3] > 2 or qps[0] + qps[2] < ranking or qps[1] + qps[3] < retrieval:
                continue
            covers.append(sum(k * pair.power_w for k, pair in zip(n, cells, strict=True)))
        best.append(min(covers))
    assert best == [270, 640, 1160, 120]
    text = (instances_folder() / "README.md").read_text(encoding="utf-8")
    for power_w in best:
        assert f"| {power_w:.0f} |" in text


COLUMNS = (
    "version", "submitter", "system", "benchmark", "scenario", "samples_per_second", "target_latency_ms",
    "p95_ms", "p99_ms", "watts", "host_processor_model_name", "host_processors_per_node",
    "host_memory_capacity", "accelerator_model_name", "accelerators_per_node",
)  # fmt: skip


def _result(version: str, benchmark: str, qps: str, watts: str, scenario: str = "Server") -> tuple[str, ...]:
    target = {"bert-99": "130.0", "dlrm-99": "30.0", "resnet50": "15.0", "rnnt": "1000.0"}.get(
        benchmark, "100.0"
    )
    system = ("Dell", "XR12_A2x1_TRT_MaxQ")
    hardware = ("Xeon(R)", "1", "256GB", "A2", "1.0")
    return (version, *system, benchmark, scenario, qps, target, "1.0", "2.0", watts, *hardware)


def _built(folder: Path, results: list[tuple[str, ...]]) -> Instance:
    with (folder / "results.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *results])
    (folder / "profiles.csv").write_text(
        "time,A,B,C,D,E,F\n00:00,1.0,0.5,0.5,0.5,0.5,0.2\n12:00,0.5,1,1,1,1,1.0\n"
    )
    script: dict[str, Any] = runpy.run_path(str(instances_folder() / "build_mlperf_fleet.py"))
    script["build"](folder / "results.csv", folder / "profiles.csv", folder)
    return load_instance(folder / "mlperf-fleet.toml")


def test_the_round_that_measured_most_counts_and_the_newest_of_equals(tmp_path: Path) -> None:
    services = {"v1.0": SERVICES, "v1.1": SERVICES, "v2.0": SERVICES[:4]}
    results = [
        _result(v, s, {"v1.0": "100", "v1.1": "200", "v2.0": "300"}[v], "10")
        for v in services
        for s in services[v]
    ]
    results += [_result("v2.0", SERVICES[4], "300", ""), _result("v2.1", "resnet50", "400", "10", "Offline")]
    instance = _built(tmp_path, results)
    assert instance.table is not None
    assert {pair.qps for pair in instance.table} == {200}
    assert instance.available.tolist() == [24]
    first = tmp_path.joinpath("mlperf-fleet.toml").read_bytes()
    assert _built(tmp_path, results) == instance
    assert tmp_path.joinpath("mlperf-fleet.toml").read_bytes() == first


def test_the_sixth_shape_joins_the_first(tmp_path: Path) -> None:
    """A + F is 1.2 and 1.5, scaled to a peak of 1; 15 % of 24 x 200 QPS is 720."""
    instance = _built(tmp_path, [_result("v1.0", service, "200", "10") for service in SERVICES])
    assert instance.load_qps[:, 0].tolist() == [576, 720]
    assert instance.load_qps[:, 1].tolist() == [360, 720]


@pytest.mark.parametrize("given", [None, 5, ["tiny"]])
def test_what_is_no_name_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="instance: must be the name of an instance, or a path"):
        load_instance(given)  # type: ignore[arg-type]
