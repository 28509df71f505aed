"""The page of the instance format is complete and its examples are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hercules_opt import json_schema
from hercules_opt.problem.loading import parse_instance

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "instance-format.md").read_text(encoding="utf-8")


def test_the_tables_are_up_to_date() -> None:
    """If this fails, run python docs/build_instance_format.py."""
    command = [sys.executable, "-m", "docs.build_instance_format", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=DOCS.parent, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def _keys(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_keys, node))
    if not isinstance(node, dict):
        return set()
    own = set(node.get("properties", {})) if isinstance(node.get("properties"), dict) else set()
    return own.union(*map(_keys, node.values()))


def test_every_key_is_on_the_page() -> None:
    for key in _keys(json_schema()):
        assert re.search(rf"\b{key}\b", PAGE)


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 70
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_first_example_loads() -> None:
    example = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[0]
    instance = parse_instance(example, where="example.toml")
    assert instance.load_qps.tolist() == [[100], [400], [900], [0]]


def test_the_catalogue_example_loads() -> None:
    head, _, catalogued = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    loads = "ranking = [100, 400, 900, 0]"
    text = head.replace(loads, loads + "\nrmc1 = [1, 2, 3, 4]") + catalogued
    instance = parse_instance(text, where="example.toml")
    cpu = instance.servers["ours"].cpu
    assert cpu is not None
    assert cpu.memory_gb == 384
    assert cpu.origin("memory_gb").kind == "assumed"
    assert instance.models["rmc1"].sla_ms == 20
