"""The examples of the README are true."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from command_line import ROOT, call

#: A figure, with its sign.
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
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


def figures(line: str) -> list[float]:
    return [float(text.replace(",", "")) for text in NUMBER.findall(line)]


@pytest.mark.slow
def test_the_figures_of_the_first_line_are_what_it_prints() -> None:
    """Word for word; figures within a few per cent, as another processor rounds another way."""
    (block,) = re.findall(r"```console\n\$ hercules-opt run hpca22\n(.*?)```", README, re.DOTALL)
    outcome = call("run", "hpca22")
    assert outcome.code == 0
    assert "48 of 48 intervals proven optimal" in outcome.out
    printed = outcome.out.splitlines()
    shown = block.splitlines()
    begin = printed.index(shown[0])
    for ours, theirs in zip(shown, printed[begin : begin + len(shown)], strict=True):
        assert NUMBER.sub("#", " ".join(ours.split())) == NUMBER.sub("#", " ".join(theirs.split()))
        for one, other in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
            assert float(one.replace(",", "")) == pytest.approx(
                float(other.replace(",", "")), rel=0.03, abs=1.5
            )


@pytest.mark.slow
def test_the_figure_of_the_measured_fleet_is_what_it_prints() -> None:
    (saved,) = re.findall(r"hercules-opt run mlperf-fleet`.*?([0-9.]+ %) less than greedy", README, re.DOTALL)
    outcome = call("run", "mlperf-fleet")
    assert outcome.code == 0
    assert re.search(rf"mean power saved against greedy +{re.escape(saved)}", outcome.out)
    assert "48 of 48 intervals proven optimal" in outcome.out


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"hercules-opt ([a-z][a-z-]+)", README))
    for command in named:
        assert call(command, "--help").code == 0
