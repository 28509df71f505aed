"""docs/calibration.md shows what the catalogue's calibrations say."""

from __future__ import annotations

from pathlib import Path

import pytest

import hercules_opt as ho
from hercules_opt.calibration.record import calibration_names

PAGE = (Path(__file__).parents[2] / "docs" / "calibration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", calibration_names())
def test_constants_and_offline_errors_are_on_the_page(name: str) -> None:
    calibration = ho.load_calibration(name)
    for constant, value in calibration.constants.items():
        assert f"{constant} {value:.3g}" in PAGE
    if calibration.subject == "wall":
        return
    for residual in calibration.residuals:
        (line,) = [row for row in PAGE.splitlines() if f"| {residual.label} |" in row and row.count("|") == 6]
        assert line.endswith(f"| {100 * residual.left_out_error:.1f} |")
