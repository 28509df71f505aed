"""profile, and run on an instance whose table stage 1 has to find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_message, call, process

import hercules_opt as ho
from hercules_opt.cli.compiling import keep_compiled

TINY = ho.load_instance("tiny")

SMALL = """\
format = 1
name = "small"
[servers.T1]
catalogue = "T1"
available = 20
[servers.weak]
catalogue = "T1"
available = 3
power_budget_w = 10
[models.rmc1]
catalogue = "dlrm-rmc1"
[loads.qps]
rmc1 = [1000, 4000]
"""


@pytest.fixture(name="without_table")
def _without_table(tmp_path: Path) -> Path:
    """tiny, without its table."""
    path = tmp_path / "bare.toml"
    ho.save_instance(
        ho.Instance.model_validate(TINY.model_dump(exclude={"efficiency"}, exclude_none=True)), path
    )
    return path


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stage 1 answers with tiny's table at once, less a pair; what it was asked is kept."""
    asked: list[dict[str, Any]] = []

    def profile(instance: ho.Instance, **options: Any) -> ho.EfficiencyTable:
        asked.append(options)
        assert TINY.table is not None
        *kept, last = TINY.table
        refused = {"server_type": last.server_type, "model": last.model, "reason": "needs an SLA of 31.2 ms"}
        return ho.EfficiencyTable.from_rows([*(pair.model_dump(exclude_none=True) for pair in kept), refused])

    monkeypatch.setattr("hercules_opt.scheduling.profile.profile", profile)
    return asked


def test_run_searches_where_the_instance_has_no_table(
    without_table: Path, asked: list[dict[str, Any]]
) -> None:
    outcome = call("run", without_table, "--seed", "7", "--json")
    assert outcome.code == 0
    assert [(options["seed"], options["method"]) for options in asked] == [(7, None)]
    assert outcome.json["plans"][0]["status"] == "optimal"
    assert "gpu x retrieval: needs an SLA of 31.2 ms" in call("run", without_table).out


def test_stage_two_alone_says_how_to_get_a_table(without_table: Path) -> None:
    for command in (["provision"], ["verify", "plan.json"], ["compare", "plan.json"]):
        name, *rest = command
        outcome = call(name, without_table, *rest)
        assert_one_message(
            outcome, "tiny: needs an efficiency table", "'hercules-opt profile INSTANCE --out table.csv'"
        )


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_profile_writes_a_table_that_provision_takes(
    without_table: Path, asked: list[dict[str, Any]], tmp_path: Path, ending: str
) -> None:
    table = tmp_path / f"table.{ending}"
    outcome = call("profile", without_table, "--method", "exhaustive", "--out", table)
    assert outcome.code == 0
    assert asked[0]["method"] == "exhaustive"
    assert "1 pair cannot serve" in outcome.out
    assert "gpu x retrieval: needs an SLA of 31.2 ms" in outcome.out
    assert call("provision", without_table, "--table", table).code == 0


def test_profile_json_holds_every_pair(without_table: Path, asked: list[dict[str, Any]]) -> None:
    document = call("profile", without_table, "--json").json
    assert len(document["efficiency"]) == 4
    assert document["efficiency"][-1]["qps"] is None
    assert document["efficiency"][-1]["reason"] == "needs an SLA of 31.2 ms"


def test_a_measured_instance_answers_with_its_own_table() -> None:
    """No search, so nothing heavy is loaded either."""
    outcome = call("profile", "tiny", "--json")
    assert outcome.json["efficiency"] == TINY.table.to_rows()  # type: ignore[union-attr]


def test_what_is_missing_for_a_search_is_told_by_its_key() -> None:
    assert_one_message(call("profile", "tiny", "--method", "gradient"), "tiny, servers.cpu.cpu: is required")
    assert_one_message(call("profile", "tiny", "--method", "gradent"), "Did you mean 'gradient'?")
    assert_one_message(call("profile", "tiny", "--out", "table.xlsx"), "must end in .csv or .json")


@pytest.mark.slow
def test_both_stages_from_parts_and_architecture(tmp_path: Path) -> None:
    """A pair that cannot serve says why; the others go on."""
    (tmp_path / "small.toml").write_text(SMALL)
    kept = tmp_path / "programs"
    outcome = process(
        "run", "small.toml", "--out", "day", "--json", cwd=tmp_path, HERCULES_OPT_CACHE_DIR=str(kept)
    )
    assert outcome.code == 0
    weak = next(pair for pair in outcome.json["efficiency"] if pair["server_type"] == "weak")
    assert weak["qps"] is None
    assert "power budget of 10 W" in weak["reason"]
    assert json.loads((tmp_path / "day" / "report.json").read_text())["plans"][0]["status"] == "optimal"
    assert any(kept.iterdir())


def test_compiled_programs_are_kept_in_the_user_s_cache(tmp_path: Path) -> None:
    """Only a folder that can be written is named, and what the user set stays."""
    name = "HERCULES_OPT_CACHE_DIR"
    environment = {"HOME": str(tmp_path)}
    keep_compiled(environment)
    assert environment[name] == str(tmp_path / ".cache" / "hercules-opt" / "programs")
    assert list(tmp_path.iterdir()) == []
    for without in ({}, {"HOME": "/nonexistent"}, {"HOME": "/"}):
        keep_compiled(without)
        assert name not in without
    for taken in (name, "JAX_COMPILATION_CACHE_DIR"):
        own = {"HOME": str(tmp_path), taken: "elsewhere"}
        keep_compiled(own)
        assert own == {"HOME": str(tmp_path), taken: "elsewhere"}
