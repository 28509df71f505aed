"""Importing stays light, and kernels compile where no cache folder is writable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_public_modules_load_neither_numba_nor_scipy() -> None:
    """Both come with the first simulation."""
    code = (
        "import sys, hercules_opt as ho; import hercules_opt.simulation.largest_load;"
        "ho.simulate_server; print([m for m in ('numba', 'scipy', 'pandas') if m in sys.modules])"
    )
    assert python(code) == "[]"


def test_works_where_no_cache_folder_is_writable(tmp_path: Path) -> None:
    """numba refuses cache=True there: the kernel is compiled without it."""
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    code = (
        "from numba.core import caching as c\n"
        "c.CacheImpl._locator_classes = [c.UserProvidedCacheLocator]\n"
        "from hercules_opt.simulation.kernels import fused_total_ms as kernel\n"
        "import numpy as np\n"
        "print(type(kernel._cache).__name__, kernel(np.array([0.0, 7.0]), np.array([1, 1]), 1, 1))"
    )
    assert python(code, NUMBA_CACHE_DIR=str(occupied / "below")) == "NullCache 14.0"
