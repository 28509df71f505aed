"""formulations/scheduling.md states every constant of the cost model, with its value, and every variable."""

from __future__ import annotations

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import BaseModel

from hercules_opt.hardware import batch_time, packing
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY
from hercules_opt.hardware.stages import Choice
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.schedule import PLACEMENTS

PAGE = (Path(__file__).parents[2] / "formulations" / "scheduling.md").read_text(encoding="utf-8")


def constants(part: BaseModel, prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            found |= constants(value, f"{prefix}{name}.")
        elif name not in Part.model_fields and isinstance(value, float):
            found[prefix + name] = float(value)
    return found


def test_every_constant_is_on_the_page_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| ([0-9.]+) \|", PAGE, flags=re.MULTILINE))
    stated = {name: float(value) for name, value in rows.items()}
    assert stated == constants(DEFAULT_EFFICIENCY)


def test_every_variable_and_placement_is_on_the_page() -> None:
    for name in (*Choice._fields, *PLACEMENTS):
        assert f"`{name}`" in PAGE, name


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    assert "(a p-norm of exponent 2; assumed)" in PAGE
    assert float(batch_time._hypot(jnp.asarray(3.0), jnp.asarray(4.0))) == pytest.approx(5.0)
    assert f"{packing.REFERENCE_WIDTH:g}" in PAGE
    assert f"{packing.SIZE_CELLS} cells" in PAGE
    assert f"({batch_time.SOFTNESS:g} \\, t" in PAGE


def test_the_integral_of_the_ceiling() -> None:
    """The page's closed form against a sum over a fine grid."""
    for x in (0.0, 0.3, 1.0, 2.7, 11.5):
        whole = np.ceil(x)
        grid = (np.arange(200_000) + 0.5) * x / 200_000
        assert 0.5 * whole * (whole - 1) + (x - whole + 1) * whole == pytest.approx(
            np.ceil(grid).mean() * x if x else 0.0, abs=1e-3
        )
