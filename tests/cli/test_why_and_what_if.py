"""Why not (explanations), what-if and diff, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho
from hercules_opt.cli.output import PIPE_COLUMNS

TINY = ho.load_instance("tiny")


@pytest.fixture(name="busy")
def _busy(tmp_path: Path) -> Path:
    """tiny with twice the load: interval 2 cannot be covered."""
    path = tmp_path / "busy.toml"
    qps = {name: [2 * load for load in loads] for name, loads in TINY.loads.qps.items()}
    ho.save_instance(TINY.replace(loads={"qps": qps}), path)
    return path


WHY = [
    ["2", "12:00", "900", "proven", "ranking", "300,", "retrieval", "600"],
    ["add", "servers,", "any", "types", "2", "gpu", "proven"],
    ["add", "cpu", "only", "9", "proven"],
    ["add", "gpu", "only", "2", "proven"],
    ["lower", "all", "loads", "alike", "by", "38.9", "%,", "to", "61.1", "%", "proven"],
    ["lower", "ranking", "only", "by", "50.0", "%,", "to", "50.0", "%", "proven"],
    ["lower", "retrieval", "only", "not", "even", "to", "0", "proven"],
]


@pytest.mark.parametrize("command", [["provision"], ["run"], ["provision", "--policy", "greedy"]])
def test_an_infeasible_day_says_why_and_what_would_help(busy: Path, command: list[str]) -> None:
    outcome = call(command[0], busy, *command[1:])
    assert outcome.code == (4 if "greedy" in command else 3)
    rows = [line.split() for line in outcome.out.splitlines()]
    for row in WHY:
        assert row in rows
    assert all(len(line) <= PIPE_COLUMNS for line in outcome.out.splitlines())
    explanation = call(command[0], busy, *command[1:], "--json").json["explanation"]
    assert explanation["feasible"] is False
    assert explanation["shortfalls"][0]["total_qps"] == 900
    assert explanation["addition"] == {"servers": {"gpu": 2}, "total": 2, "at_least": 2, "label": "proven"}
    assert explanation["by_model"]["ranking"] == {"factor": 0.5, "interval": 2, "label": "proven"}


def test_a_feasible_day_has_no_explanation(tmp_path: Path) -> None:
    for command in ("run", "provision"):
        assert call(command, "tiny", "--json").json["explanation"] is None
        assert "What would repair" not in call(command, "tiny").out


def test_allowed_shortfall_is_done_where_it_is_proven_least(busy: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    outcome = call("provision", busy, "--allow-shortfall", "--out", out)
    assert outcome.code == 0
    assert (
        "shortfall allowed: 1 of 4 intervals not covered, at most 900 QPS short (interval 2); no plan misses "
        "less in any of them, proven"
    ) in outcome.err
    assert "What would repair" not in outcome.out
    verified = call("verify", busy, out)
    assert verified.code == 0
    least = "what is missing there is proven to be the least in total"
    assert least in " ".join(verified.out.split())
    assert least in " ".join(outcome.out.split())
    assert least not in " ".join(call("provision", busy).out.split())
    assert call("provision", busy, "--allow-shortfall", "--json").json["explanation"] is None
    assert call("run", busy, "--allow-shortfall").code == 0
    feasible = call("provision", "tiny", "--allow-shortfall")
    assert feasible.code == 0
    assert "shortfall" not in feasible.err


def test_a_shortfall_that_time_does_not_prove_is_stopped(busy: Path) -> None:
    outcome = call("provision", busy, "--allow-shortfall", "--time-limit-s", "0")
    assert outcome.code in (3, 4)
    assert "proven" not in outcome.err or "not proven" in outcome.err


def test_greedy_that_fails_where_a_plan_exists_is_told_so(tmp_path: Path) -> None:
    problem = tmp_path / "greedy-fails.toml"
    problem.write_text(
        'format = 1\nname = "g"\n[servers.fast]\navailable = 1\n[servers.slow]\navailable = 9\n[models.a]\n'
        "[models.b]\n[loads.qps]\na = [100]\nb = [100]\n"
        + "".join(
            f'[[efficiency.pairs]]\nserver_type = "{h}"\nmodel = "{m}"\nqps = {qps}\npower_w = 100\n'
            for h, m, qps in (("fast", "a", 200), ("slow", "a", 50), ("fast", "b", 100))
        )
    )
    outcome = call("provision", problem, "--policy", "greedy")
    assert outcome.code == 4
    text = " ".join(outcome.out.split())
    assert "Interval 0 can be covered, though this plan does not: policy hercules finds how." in text


def _interrupt(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_in_the_explanation_keeps_the_plan(
    busy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hercules_opt.provisioning.answers.explain.explain", _interrupt)
    out = tmp_path / "plan.json"
    outcome = call("provision", busy, "--out", out)
    assert outcome.code == 130
    assert outcome.err.endswith("interrupted before the explanation; the plan is whole\n")
    assert "infeasible" in outcome.out
    assert ho.load_plan(out).status == "infeasible"
    folder = tmp_path / "day"
    outcome = call("run", busy, "--out", folder)
    assert outcome.code == 130
    assert ho.load_plan(folder / "plan-hercules.json").status == "infeasible"


def test_ctrl_c_in_what_if_leaves_no_half_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hercules_opt.provisioning.policies.hercules.Hercules.solve", _interrupt)
    outcome = call("what-if", "tiny", "--load", "0.5")
    assert outcome.code == 130
    assert outcome.out == ""
    assert outcome.err == "hercules-opt: interrupted: nothing was written\n"


def test_what_if_shows_before_and_after() -> None:
    outcome = call("what-if", "tiny", "--load", "ranking=1.1", "--over-provision", "0")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    after = ho.provision(TINY.replace(loads={"qps": {**TINY.loads.qps, "ranking": [110, 440, 990, 0]}}))
    change = after.objective - 547.5
    assert ["mean", "power,", "W", "547.5", f"{after.objective:,.1f}".removesuffix(".0")] in [
        r[:5] for r in rows
    ]
    document = call("what-if", "tiny", "--load", "ranking=1.1", "--json").json
    unchanged = {"servers": {}, "over_provision": {}, "requirements": {}}
    assert document["changes"] == {"load": {"ranking": 1.1}, **unchanged}
    assert document["after"]["objective_w"] - document["before"]["objective_w"] == pytest.approx(change)
    assert [value["server_type"] for value in document["values"]] == ["cpu", "gpu"]


def test_what_if_without_a_change_gives_values_only() -> None:
    document = call("what-if", "tiny", "--json").json
    assert document["before"] == document["after"]
    assert document["explanation"] is None
    assert call("what-if", "tiny", "--no-values", "--json").json["values"] is None
    assert "nothing changes" in call("what-if", "tiny").out


def test_what_if_of_a_day_that_no_longer_fits_is_infeasible_and_explained(busy: Path) -> None:
    outcome = call("what-if", "tiny", "--load", "2")
    assert outcome.code == 3
    rows = [line.split() for line in outcome.out.splitlines()]
    for row in WHY:
        assert row in rows
    assert "What if: load of all models x 2" in outcome.out
    assert call("what-if", "tiny", "--load", "2", "--add", "gpu=2").code == 0
    repaired = call("what-if", busy, "--add", "gpu=2", "--json")
    assert repaired.code == 0
    assert (repaired.json["before"]["status"], repaired.json["after"]["status"]) == ("infeasible", "optimal")
    lost = call("what-if", "tiny", "--lose", "gpu", "--lose", "cpu=1", "--json")
    assert lost.code == 3
    assert lost.json["changes"]["servers"] == {"gpu": -2, "cpu": -1}
    assert lost.json["after"]["servers"]["gpu"]["available"] == 0


def test_what_if_keeps_to_requirements(tmp_path: Path) -> None:
    """A cap below what the busiest interval draws, and a file with a pair that is forbidden."""
    capped = call("what-if", "tiny", "--power-cap-w", "1000", "--no-values", "--json")
    assert capped.code == 3
    assert capped.json["changes"]["requirements"] == {"power_cap_w": 1000.0}
    assert capped.json["before"]["uncovered"] == [2]
    assert capped.json["explanation"]["shortfalls"][0]["interval"] == 2
    path = tmp_path / "asked.toml"
    path.write_text('forbid = [["gpu", "ranking"]]')
    assert call("what-if", "tiny", "--requirements", path, "--add", "cpu=3", "--json").code == 0


@pytest.fixture(name="plans")
def _plans(tmp_path: Path) -> Path:
    call("provision", "tiny", "--out", tmp_path / "best.json")
    call("provision", "tiny", "--policy", "greedy", "--out", tmp_path / "greedy.csv")
    return tmp_path


def test_diff_says_what_moves_where(plans: Path) -> None:
    outcome = call("diff", "tiny", plans / "best.json", plans / "greedy.csv")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["0", "00:00", "+250", "0", "-", "1", "1"] in rows
    assert ["0", "00:00", "1", "cpu", "ranking", "->", "(idle)"] in rows
    assert ["0", "00:00", "1", "gpu", "(idle)", "->", "ranking"] in rows
    assert "1 of 4 intervals differ: 0 moved between models, 1 added, 1 removed" in outcome.out
    document = call("diff", "tiny", plans / "best.json", plans / "greedy.csv", "--json").json
    assert document["changed"] == [0]
    assert document["mean_power_w"] == 62.5
    assert document["plans"][0]["churn"] == {"between_models": 1, "started": 3, "stopped": 4, "total": 8}
    assert document["intervals"][0]["moves"][0] == {
        "server_type": "cpu", "from_model": "ranking", "to_model": None, "count": 1,
    }  # fmt: skip
    back = call("diff", "tiny", plans / "greedy.csv", plans / "best.json", "--json").json
    assert back["mean_power_w"] == -62.5


def test_diff_of_a_plan_with_itself_is_empty(plans: Path) -> None:
    outcome = call("diff", "tiny", plans / "best.json", plans / "best.json")
    assert outcome.code == 0
    assert "are the same in every interval." in " ".join(outcome.out.split())
    document = call("diff", "tiny", plans / "best.json", plans / "best.json", "--json").json
    assert document["changed"] == []


def test_diff_refuses_a_plan_of_another_instance_by_its_file(plans: Path) -> None:
    outcome = call("diff", "mlperf-fleet", plans / "best.json", plans / "best.json")
    text = "is a plan of another problem: the problem has no server type 'cpu'"
    assert_one_message(outcome, f"{plans / 'best.json'}: {text}")
    short = json.loads((plans / "best.json").read_text())
    short["intervals"].pop()
    (plans / "short.json").write_text(json.dumps(short))
    outcome = call("diff", "tiny", plans / "best.json", plans / "short.json")
    assert_one_message(outcome, f"{plans / 'short.json'}: is a plan of another problem: it has 3 intervals")


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_pages_keep_their_lines_at_any_width(
    busy: Path, plans: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (
        ["what-if", busy, "--add", "cpu=1"],
        ["diff", "tiny", plans / "best.json", plans / "greedy.csv"],
    ):
        out = call(*arguments).out
        assert "\x1b" not in out
        assert "gpu" in out
        assert all(len(line) <= int(columns) for line in out.splitlines())
