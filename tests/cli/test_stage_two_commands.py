"""provision, verify, compare, validate, instances."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from command_line import ROOT, assert_one_message, call

import hercules_opt as ho

TINY = ho.load_instance("tiny")


@pytest.fixture(name="plans")
def _plans(tmp_path: Path) -> Path:
    """A folder with tiny's plans, JSON and CSV."""
    for policy in ("hercules", "greedy"):
        for ending in ("json", "csv"):
            out = tmp_path / f"{policy}.{ending}"
            assert call("provision", "tiny", "--policy", policy, "--out", out).code == 0
    return tmp_path


def test_provision_prints_every_interval() -> None:
    outcome = call("provision", "tiny")
    rows = [line.split() for line in outcome.out.splitlines()]
    for t, power in enumerate(["270", "640", "1,160", "120"]):
        assert [str(t), f"{6 * t:02d}:00", power] in [row[:3] for row in rows]
    assert "Mean provisioned power 547.5 W, no plan needs less than 547.5 W." in outcome.out


def test_provision_json_holds_the_plan_itself(plans: Path) -> None:
    document = call("provision", "tiny", "--json").json
    written = json.loads((plans / "hercules.json").read_text())
    for plan in (document["plan"], written):
        plan.pop("runtime_s")
    assert document["plan"] == written


def test_provision_takes_another_table(tmp_path: Path) -> None:
    """Twice the rate at the same power halves nothing that whole servers cover, but never needs more."""
    assert TINY.table is not None
    rows = [{**row, "qps": 2 * row["qps"]} for row in TINY.table.to_rows()]
    table = ho.EfficiencyTable.from_rows(rows)
    table.to_csv(tmp_path / "twice.csv")
    table.to_json(tmp_path / "twice.json")
    expected = ho.provision(TINY, table).objective
    for name in ("twice.csv", "twice.json"):
        document = call("provision", "tiny", "--table", tmp_path / name, "--json").json
        assert document["plan"]["objective"] == expected < 547.5


def test_a_table_of_other_servers_is_refused_by_its_file(tmp_path: Path) -> None:
    path = ROOT / "instances" / "mlperf-fleet.efficiency.csv"
    assert_one_message(call("provision", "tiny", "--table", path), str(path), "unknown server type")


def test_greedy_that_covers_is_done_and_one_that_does_not_says_so(tmp_path: Path) -> None:
    assert call("provision", "tiny", "--policy", "greedy").code == 0
    loads = {"ranking": [10_000.0], "retrieval": [0.0]}
    path = tmp_path / "much.toml"
    ho.save_instance(TINY.replace(loads={"qps": loads}), path)
    outcome = call("provision", path, "--policy", "greedy")
    assert outcome.code == 4
    assert "there is no whole plan, 1 of 1 interval are not covered" in outcome.err


@pytest.mark.parametrize("name", ["hercules.json", "greedy.json", "hercules.csv", "greedy.csv"])
def test_verify_accepts_what_provision_wrote(plans: Path, name: str) -> None:
    outcome = call("verify", "tiny", plans / name)
    assert outcome.code == 0
    assert "verified" in outcome.out
    assert call("verify", "tiny", plans / name, "--json").json["violations"] == []


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda plan: plan["intervals"][2].update(power_w=1000.0), "power", "claims 1000.0 W"),
        (lambda plan: plan["intervals"][0]["counts"].clear(), "coverage", "are missing"),
        (lambda plan: plan["intervals"][0]["counts"]["cpu"].update(ranking=7), "availability", "6 available"),
        (lambda plan: plan["intervals"][0]["counts"]["cpu"].update(ranking=-1), "negative", "-1 servers"),
        (lambda plan: plan.update(objective=1.0), "objective", "objective is 1.0"),
        (lambda plan: plan["intervals"].pop(), "names", "the plan has 3 intervals, the problem 4"),
        (lambda plan: plan["certificates"][0].update(bound=9e9), "certificate", "states 9000000000.0 W"),
    ],
)
def test_verify_finds_what_is_not_true(plans: Path, change: object, code: str, text: str) -> None:
    path = plans / "hercules.json"
    plan = json.loads(path.read_text())
    change(plan)  # type: ignore[operator]
    path.write_text(json.dumps(plan))
    outcome = call("verify", "tiny", path)
    assert outcome.code == 5
    assert text in outcome.out
    document = call("verify", "tiny", path, "--json").json
    assert document["true"] is False
    assert code in [found["code"] for found in document["violations"]]


def test_counts_by_hand_are_computed_and_checked(tmp_path: Path) -> None:
    """One cpu for each model in interval 0 is tiny's optimum there; the rest is left uncovered."""
    path = tmp_path / "mine.csv"
    path.write_text(
        "interval,server_type,model,count\n0,cpu,ranking,1\n0,cpu,retrieval,1\n3,cpu,retrieval,1\n"
    )
    assert call("verify", "tiny", path).code == 0
    outcome = call("compare", "tiny", path, "--json")
    assert outcome.code == 0
    (mine,) = outcome.json["plans"]
    assert (mine["name"], mine["status"], mine["uncovered"]) == ("mine", "unknown", [1, 2])
    assert mine["saving"]["intervals"] == 2
    assert mine["saving"]["mean_power"] == pytest.approx((520 - 270) / (520 + 120))


def test_counts_that_are_not_there_violate_availability(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("interval,server_type,model,count\n0,gpu,ranking,3\n")
    outcome = call("verify", "tiny", path)
    assert outcome.code == 5
    assert "gpu: 3 servers used, 2 available" in outcome.out


def test_compare_recomputes_and_names_plans_by_their_files(plans: Path) -> None:
    outcome = call("compare", "tiny", plans / "hercules.json", plans / "greedy.csv")
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert "hercules greedy" in lines
    assert "mean power, W 547.5 610" in lines
    outcome = call("compare", "tiny", plans / "greedy.json", plans / "greedy.csv", "--json")
    assert [plan["name"] for plan in outcome.json["plans"]] == [
        str(plans / "greedy.json"),
        str(plans / "greedy.csv"),
    ]


def test_compare_says_first_that_a_plan_is_not_true(plans: Path) -> None:
    path = plans / "hercules.json"
    plan = json.loads(path.read_text())
    for interval in plan["intervals"]:
        interval["power_w"] = 1.0
    path.write_text(json.dumps(plan))
    outcome = call("compare", "tiny", path)
    assert outcome.code == 5
    assert outcome.out.startswith("hercules: not true, ")
    assert "interval 0: claims 1.0 W, the counts draw 270.0 W" in outcome.out
    assert call("compare", "tiny", path, "--json").json["plans"][0]["verified"] is False


def test_compare_refuses_a_plan_of_another_instance_and_one_given_twice(plans: Path) -> None:
    path = plans / "hercules.json"
    assert_one_message(call("compare", "mlperf-fleet", path), str(path), "is a plan of another instance")
    assert_one_message(call("compare", "tiny", path, path), "a plan may be given only once")


def test_validate_says_what_is_inside(plans: Path) -> None:
    files = [
        "tiny",
        str(ROOT / "instances" / "mlperf-fleet.efficiency.csv"),
        str(ROOT / "instances" / "mlperf-fleet.loads.csv"),
        str(plans / "hercules.json"),
        str(plans / "hercules.csv"),
    ]
    outcome = call("validate", *files)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [line.split(": ")[0] for line in lines] == files
    assert "2 server types x 2 models x 4 intervals (24 h)" in lines[0]
    assert "efficiency table, 62 pairs of 15 server types and 5 models" in lines[1]
    assert "loads, 5 models x 48 intervals" in lines[2]
    assert "plan, 4 intervals, hercules, optimal" in lines[3]
    assert "plan, 7 counts" in lines[4]


def test_validate_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("format = 2")
    outcome = call("validate", bad, "tiny", "--json")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    first, second = outcome.json["files"]
    assert first["valid"] is False
    assert "format: must be 1, found 2" in first["error"]
    assert second["valid"] is True


def test_instances_lists_the_library_and_shows_each() -> None:
    listed = call("instances").out
    document = call("instances", "--json").json
    assert [entry["name"] for entry in document["instances"]] == ho.library_names()
    for entry in document["instances"]:
        assert f"{entry['name']}\n" in listed
        assert Path(entry["file"]).is_file()
        page = call("instances", entry["name"])
        assert page.code == 0
        assert all(name in page.out for name in (*entry["models"], *entry["server_types"]))


def test_instances_gives_sizes_and_kinds() -> None:
    (fleet,) = call("instances", "mlperf-fleet", "--json").json["instances"]
    assert (fleet["intervals"], fleet["hours"], fleet["measured_pairs"]) == (48, 24.0, 62)
    assert fleet["figures"]["rates"] == {"published": 62}
    assert fleet["figures"]["loads"] == {"assumed": 240}
    assert fleet["weakest_kind"] == "assumed"
    peak = ho.load_instance("mlperf-fleet").load_qps.max(axis=0)
    assert [entry["peak_load_qps"] for entry in fleet["models"].values()] == np.asarray(peak).tolist()


def test_the_schema_is_a_json_schema() -> None:
    schema = json.loads(call("instances", "--schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == ho.json_schema()
