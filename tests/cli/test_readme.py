"""The examples of the README are true."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from command_line import ROOT, call

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_prints_what_its_comments_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    lines = printed.getvalue().splitlines()
    comments = re.findall(r"\)  # (.*)", code)
    assert lines[: len(comments)] == comments
    assert (tmp_path / "counts.csv").read_text().startswith("interval,server_type,model,count\n")


@pytest.mark.slow
def test_the_figures_of_the_first_line_are_what_it_prints() -> None:
    (block,) = re.findall(r"```console\n\$ hercules-opt run mlperf-fleet\n(.*?)```", README, re.DOTALL)
    outcome = call("run", "mlperf-fleet")
    assert outcome.code == 0
    assert block in outcome.out
    assert "48 of 48 intervals proven optimal" in outcome.out


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"hercules-opt ([a-z][a-z-]+)", README))
    for command in named:
        assert call(command, "--help").code == 0
