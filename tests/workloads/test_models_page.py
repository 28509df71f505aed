"""What docs/models.md shows is what its own snippets print, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hercules_opt.problem.loading import parse_instance
from hercules_opt.workloads.operators import workload
from hercules_opt.workloads.query_sizes import mean_items

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_table_is_what_its_snippet_prints(capsys):
    (snippet,) = blocks("python")
    exec(compile(snippet, "docs/models.md", "exec"), {})
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 9
    assert printed in PAGE


@pytest.mark.parametrize("example", blocks("toml"))
def test_examples_load_and_have_a_workload(example):
    """Every example is a part of a valid instance, whose models have operators."""
    names = dict.fromkeys(re.findall(r"^\[models\.([\w-]+)", example, flags=re.MULTILINE))
    loads = "".join(f"{name} = [1]\n" for name in names)
    text = f'format = 1\nname = "t"\n[servers.s]\n[loads.qps]\n{loads}\n{example}'
    for model in parse_instance(text, where="docs/models.md").models.values():
        assert workload(model.architecture).flops_per_item > 0
        if model.query_size is not None:
            assert mean_items(model.query_size) > 1
