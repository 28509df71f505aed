"""Library instances and catalogue load from a wheel, an sdist and an editable install, from any folder."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

CHECK = """
import hercules_opt as ho
assert ho.library_names() == sorted(ho.library_names())
for name in ho.library_names():
    assert ho.load_instance(name).name == name
assert {"tiny", "mlperf-fleet"} <= set(ho.library_names())
assert ho.load_instance("mlperf-fleet").load_qps.shape == (48, 5)
assert ho.catalogue.servers and ho.catalogue.models
print(ho.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; fail with its error output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an sdist, the wheel built from it, and in ``direct`` a wheel of the tree."""
    out = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out / "direct", ROOT, cwd=out)
    return out


def fresh_python(folder: Path) -> Path:
    """Return the Python of a new venv that sees this one's dependencies, but not its editable installs."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    """Install into a venv without touching its dependencies."""
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    run(*pip, "--force-reinstall", *what, cwd=cwd)


@pytest.mark.parametrize("origin", ["wheel", "wheel from sdist", "sdist", "editable"])
def test_library_loads_from_any_folder(built: Path, tmp_path: Path, origin: str) -> None:
    python = fresh_python(tmp_path)
    what: dict[str, list[str | Path]] = {
        "wheel": list((built / "direct").glob("*.whl")),
        "wheel from sdist": list(built.glob("*.whl")),
        "sdist": ["--no-build-isolation", *built.glob("*.tar.gz")],
        "editable": ["--no-build-isolation", "-e", ROOT],
    }
    install(python, *what[origin], cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = Path(run(python, "-c", CHECK, cwd=elsewhere))
    assert file.is_relative_to(ROOT if origin == "editable" else tmp_path / "venv")


def test_the_console_command_is_installed(built: Path, tmp_path: Path) -> None:
    python = fresh_python(tmp_path)
    install(python, *built.glob("*.whl"), cwd=tmp_path)
    assert "mlperf-fleet" in run(python.parent / "hercules-opt", "instances", cwd=tmp_path)


def test_the_wheel_holds_what_it_should(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "hercules_opt/py.typed" in names
    assert "hercules_opt/instances/mlperf-fleet.efficiency.csv" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hercules_opt"}
    (direct,) = (built / "direct").glob("*.whl")
    assert sorted(names) == sorted(zipfile.ZipFile(direct).namelist())


def test_the_sdist_holds_tests_and_docs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {"pyproject.toml", "LICENSE", "README.md", "instances/tiny.toml", "docs/instance-format.md"}
    assert wanted <= names
    assert any(name.startswith("tests/problem/") for name in names)
