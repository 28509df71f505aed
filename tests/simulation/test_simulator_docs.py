"""The example of docs/simulator.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


def test_the_example_runs_and_says_what_the_page_says() -> None:
    """Stable, long enough, and a largest load above the load that was simulated."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(code, names)
    run, best = names["run"], names["best"]
    assert run.stable
    assert run.long_enough
    assert [stage.name for stage in run.stages] == ["SparseNet", "DenseNet"]
    assert 2000 < best.lower_qps <= best.value_qps <= best.upper_qps < best.saturation_qps
