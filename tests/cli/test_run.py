"""The main job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho
from hercules_opt.cli.run import FILES

TINY = ho.load_instance("tiny")


def saved(tmp_path: Path, **changes: object) -> Path:
    """Save tiny with other loads, server counts or rates, and return its file."""
    path = tmp_path / "case.toml"
    ho.save_instance(TINY.replace(**changes), path)
    return path


def more_load(factor: float) -> dict[str, object]:
    loads = {name: [factor * load for load in loads] for name, loads in TINY.loads.qps.items()}
    return {"loads": {"qps": loads}}


def test_tiny_prints_what_its_readme_works_out_by_hand() -> None:
    outcome = call("run", "tiny")
    assert outcome.code == 0
    lines = {" ".join(line.split()) for line in outcome.out.splitlines()}
    assert "mean power, W 547.5 610" in lines
    assert "mean power saved against greedy 10.2 % 0.0 %" in lines
    assert "intervals covered 4 of 4 4 of 4" in lines
    assert "cpu 0.667 0.833*" in lines
    assert any("4 of 4 intervals proven optimal (4 certified by multipliers, 0 by" in line for line in lines)


def test_the_header_holds_the_terms() -> None:
    header = " ".join(call("run", "tiny").out.split("QPS per watt")[0].split())
    for term in (
        "instance tiny: Two server types",
        "2 server types x 2 models x 4 intervals (24 h)",
        "gap 1e-06",
        "weakest kind: assumed; in all 18 assumed (rates: 4 assumed;",
        f"version hercules-opt {ho.__version__}",
    ):
        assert term in header


def test_json_is_one_document_with_the_figures_of_the_library() -> None:
    outcome = call("run", "tiny", "--json")
    document = outcome.json
    assert outcome.err == ""
    assert (document["schema_version"], document["command"]) == (1, "run")
    hercules, greedy = document["plans"]
    plan = ho.provision(TINY)
    assert hercules["objective"] == plan.objective == 547.5
    assert hercules["bounds"] == {"certified": 4}
    assert hercules["verified"] is greedy["verified"] is True
    assert greedy["gap"] is None
    assert hercules["saving"]["mean_power"] == pytest.approx(62.5 / 610)
    assert [entry["power_w"]["hercules"] for entry in document["intervals"]] == plan.power_w.tolist()
    assert [entry["start_h"] for entry in document["intervals"]] == [0, 6, 12, 18]
    assert document["weakest_kind"] == "assumed"
    assert document["greedy_orders"]["covering"] == document["greedy_orders"]["orders"] == 100
    assert hercules["greedy_orders"]["worse"] == greedy["greedy_orders"]["equal"] == 1.0


def test_the_same_seed_gives_the_same_document() -> None:
    first, again = (call("run", "tiny", "--json", "--seed", "3").json for _ in range(2))
    for document in (first, again):
        for plan in document["plans"]:
            plan.pop("runtime_s")
    assert first == again


def test_out_writes_a_folder_that_can_be_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    outcome = call("run", "tiny", "--out", folder)
    assert outcome.code == 0
    assert f"into {folder}" in outcome.err
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert ho.EfficiencyTable.from_csv(folder / "table.csv") == TINY.table
    report = json.loads((folder / "report.json").read_text())
    assert report["plans"][0]["objective"] == 547.5
    for name in ("hercules", "greedy"):
        plan = ho.load_plan(folder / f"plan-{name}.json")
        assert plan.policy == name
        assert ho.verify(TINY, None, plan) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_an_earlier_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    folder.mkdir()
    (folder / "report.json").write_text("old")
    assert call("run", "tiny", "--out", folder).code == 0
    assert json.loads((folder / "report.json").read_text())["command"] == "run"
    assert [path.name for path in tmp_path.iterdir()] == ["day"]


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    outcome = call("run", "tiny", "--out", tmp_path)
    assert_one_message(outcome, "must be a new folder", "found 'thesis.tex'")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_out_refuses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "day"
    path.write_text("")
    assert_one_message(call("run", "tiny", "--out", path), "must be a folder, found a file")


def test_infeasible_is_proven_and_says_where(tmp_path: Path) -> None:
    outcome = call("run", saved(tmp_path, **more_load(2.0)), "--json")
    assert outcome.code == 3
    assert "infeasible: no plan covers the loads of 1 interval (2)" in outcome.err
    hercules = outcome.json["plans"][0]
    assert hercules["status"] == "infeasible"
    assert hercules["objective"] is None
    assert hercules["uncovered"] == [2]
    assert hercules["saving"]["intervals"] == 3


def test_a_time_limit_that_strikes_says_whether_there_is_a_plan() -> None:
    outcome = call("provision", "mlperf-fleet", "--time-limit-s", "0", "--json")
    assert outcome.code == 4
    assert "stopped by the time limit: there is a plan for all 48 intervals" in outcome.err
    assert outcome.json["plan"]["stopped_by"] == "time_limit"


def test_a_requested_gap_that_is_reached_counts_as_done() -> None:
    outcome = call("provision", "mlperf-fleet", "--gap", "0.5", "--json")
    assert outcome.code == 0
    assert outcome.json["plan"]["gap"] <= 0.5


GREEDY_FAILS = """
format = 1
name = "greedy-fails"
[servers.fast]
available = 1
[servers.slow]
available = 9
[models.first]
[models.second]
[loads.qps]
first = [100, 10]
second = [100, 0]
[[efficiency.pairs]]
server_type = "fast"
model = "first"
qps = 200
power_w = 100
[[efficiency.pairs]]
server_type = "slow"
model = "first"
qps = 50
power_w = 100
[[efficiency.pairs]]
server_type = "fast"
model = "second"
qps = 100
power_w = 100
"""


def test_where_greedy_fails_savings_count_what_both_cover_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "greedy-fails.toml"
    path.write_text(GREEDY_FAILS)
    outcome = call("run", path)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert "intervals covered 2 of 2 1 of 2" in text
    assert "not covered: 0, so savings count 1 interval" in text
    document = call("run", path, "--json").json
    assert document["plans"][0]["saving"]["intervals"] == 1
    assert document["plans"][0]["saving"]["mean_power"] == 0.0
    assert document["plans"][1]["objective"] is None


def test_an_unknown_power_is_an_error_and_no_zero(tmp_path: Path) -> None:
    pairs = [pair.model_dump(exclude_none=True, exclude={"power_w"}) for pair in TINY.table or ()]
    path = saved(tmp_path, efficiency={"pairs": pairs})
    assert_one_message(call("run", path), "cpu x ranking", "an unknown power")


def test_control_characters_in_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = saved(tmp_path, title="red \x1b[31malert\x07\r\nnext", description="[bold]no markup[/bold]")
    for command in ("run", "instances"):
        out = call(command, path).out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "alert" in out
    assert "[bold]no markup[/bold]" in call("instances", path).out
