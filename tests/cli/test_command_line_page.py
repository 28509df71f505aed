"""The page of the command line: its examples print what it says, and every JSON key is on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, call

from hercules_opt.cli.app import command_line
from hercules_opt.cli.errors import ExitCode

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
HEAD = {"schema_version", "command", "version"}


def test_the_examples_are_up_to_date() -> None:
    """If this fails, run python -m docs.build_command_line."""
    command = [sys.executable, "-m", "docs.build_command_line", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def documented(section: str) -> set[str]:
    """Return the keys in the first column of a section's tables, and those listed as shared."""
    text = (
        PAGE.split(f"\n### {section}\n", 1)[1].split("\n### ", 1)[0].split("\nEach entry of `plans`:", 1)[0]
    )
    keys = {
        key
        for cell in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    shared = re.search(r"^(`.*) as above", text, re.MULTILINE)
    return keys | set(re.findall(r"`(\w+)`", shared[1] if shared else ""))


@pytest.mark.parametrize(
    ("section", "arguments"),
    [
        ("run and compare", ["run", "tiny"]),
        ("run and compare", ["compare", "tiny", "plan.json"]),
        ("profile", ["profile", "tiny"]),
        ("provision", ["provision", "tiny"]),
        ("what-if", ["what-if", "tiny"]),
        ("diff", ["diff", "tiny", "plan.json", "plan.json"]),
        ("verify", ["verify", "tiny", "plan.json"]),
        ("validate", ["validate", "tiny"]),
        ("instances", ["instances"]),
    ],
)
def test_every_key_of_a_document_is_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call("provision", "tiny", "--out", "plan.json")
    document: dict[str, Any] = call(*arguments, "--json").json
    assert set(document) == HEAD | documented(section)
    for entries in ("plans", "intervals", "violations", "files", "instances"):
        for entry in document.get(entries, []):
            for key in entry:
                assert f"`{key}`" in PAGE


def test_every_exit_code_is_on_the_page() -> None:
    codes = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert [int(code) for code in codes] == [code.value for code in ExitCode]


def test_every_command_and_its_options_are_on_the_page() -> None:
    for command in command_line().commands:
        assert f"| [`{command}`](#{command}" in PAGE
        for option in re.findall(r"--[a-z-]+", call(command, "--help").out):
            assert option in PAGE or option in ("--help", "--policy", "--table")
