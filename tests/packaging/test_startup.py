"""Importing the package loads no heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "numpy", "pandas", "scipy", "jax", "jaxlib", "optax", "numba", "llvmlite", "matplotlib", "ortools",
    "pulp", "highspy", "pydantic", "typer", "rich",
)  # fmt: skip
#: What even the help of the command line does without.
HEAVY_FOR_HELP = tuple(name for name in HEAVY if name not in ("numpy", "pydantic", "typer", "rich"))


def loaded_by(code: str, among: tuple[str, ...]) -> list[str]:
    """Return which of some modules a fresh process has loaded after running code."""
    report = f"import sys; print('loaded', *[m for m in {among!r} if m in sys.modules])"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import hercules_opt", HEAVY) == []


def test_the_check_sees_what_is_loaded() -> None:
    assert "pydantic" in loaded_by(
        "import hercules_opt; hercules_opt.InputError; hercules_opt.Instance", HEAVY
    )


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['hercules-opt', *{command!r}]\n"
        "from hercules_opt.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert loaded_by(code, HEAVY_FOR_HELP) == []


def test_loading_an_instance_needs_no_numerical_library_but_numpy() -> None:
    code = "import hercules_opt; hercules_opt.load_instance('mlperf-fleet')"
    assert loaded_by(code, HEAVY_FOR_HELP) == []


def test_every_public_name_loads() -> None:
    code = (
        "import hercules_opt as ho\n"
        "for name in ho.__all__: getattr(ho, name)\n"
        "assert set(ho.__all__) <= set(dir(ho))"
    )
    assert loaded_by(code, ()) == []
