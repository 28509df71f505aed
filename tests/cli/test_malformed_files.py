"""The corpora of malformed instances, loads and tables, through the commands: exit code 2, one message."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from command_line import ROOT, assert_one_message, call


def _corpus(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "problem" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


INSTANCES = _corpus("test_malformed_instances")
TABLES = _corpus("test_malformed_tables")


def test_the_corpora_are_large() -> None:
    assert len(INSTANCES.MUTATIONS) + len(TABLES.LOADS_MUTATIONS) + len(TABLES.TABLE_MUTATIONS) >= 200


@pytest.mark.parametrize(
    "command",
    [
        ["run", "{}", "--out", "day", "--json"],
        ["provision", "{}", "--out", "plan.json"],
        ["instances", "{}", "--json"],
        ["validate", "{}"],
    ],
)
def test_malformed_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.toml"
    for old, new, fragments in INSTANCES.MUTATIONS:
        path.write_text(INSTANCES.GOOD.replace(old, new, 1))
        outcome = call(*(path if word == "{}" else word for word in command))
        assert_one_message(outcome, str(path), *fragments)
        assert list(tmp_path.iterdir()) == [path]


def test_malformed_loads_and_tables_of_an_instance(tmp_path: Path) -> None:
    instance, loads, table = (tmp_path / name for name in ("good.toml", "loads.csv", "table.csv"))
    instance.write_text(TABLES.INSTANCE)
    for good, mutations, path in (
        (TABLES.LOADS, TABLES.LOADS_MUTATIONS, loads),
        (TABLES.TABLE, TABLES.TABLE_MUTATIONS, table),
    ):
        for old, new, fragments in mutations:
            loads.write_text(TABLES.LOADS)
            table.write_text(TABLES.TABLE)
            path.write_text(good.replace(old, new, 1))
            assert_one_message(call("run", instance, "--out", tmp_path / "day"), str(path), *fragments)
            assert sorted(tmp_path.iterdir()) == sorted([instance, loads, table])


def test_malformed_tables_of_an_option(tmp_path: Path) -> None:
    """Names and length are checked with the instance: such cases are left to its own table."""
    (tmp_path / "good.toml").write_text(TABLES.INSTANCE)
    (tmp_path / "loads.csv").write_text(TABLES.LOADS)
    (tmp_path / "table.csv").write_text(TABLES.TABLE)
    bad = tmp_path / "bad.csv"
    for old, new, fragments in TABLES.TABLE_MUTATIONS:
        if any("unknown name in" in fragment or "at least one pair" in fragment for fragment in fragments):
            continue
        bad.write_text(TABLES.TABLE.replace(old, new, 1))
        outcome = call("provision", tmp_path / "good.toml", "--table", bad, "--out", tmp_path / "plan.csv")
        assert_one_message(outcome, str(bad), *fragments)
        assert_one_message(call("validate", bad), str(bad), *fragments)
    assert not (tmp_path / "plan.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("x.json", b"", "is not valid JSON"),
        ("x.json", b"[1]", "must be a plan"),
        ("x.json", b"{}", 'must be a plan ("schema": "hercules-opt/plan") or an efficiency table ("pairs")'),
        ("x.json", b'{"pairs": 3}', "schema: must be 1"),
        ("x.csv", b"", "must have a header line, found an empty file"),
        ("x.csv", b"a,b\n1,2\n", "unknown column, found 'a'"),
        ("x.csv", b"interval\n", "at least one interval"),
        ("x.csv", b"interval,m\n0,-1\n", "line 2, m: must be between 0"),
        ("x.csv", b"server_type;model;qps\n", "fields must be separated by commas"),
        ("x.toml", b"\xff", "must be UTF-8 text"),
        ("x.txt", b"hello", "is not valid TOML"),
    ],
)
def test_validate_knows_files_by_their_content(
    tmp_path: Path, name: str, content: bytes, fragment: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_one_message(call("validate", path), str(path), fragment)
