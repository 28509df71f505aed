"""The folders of stage 2 use each other one way only, in the order that the package's text tells."""

import ast
import re
from pathlib import Path

import pytest

import hercules_opt.provisioning as package

ROOT = Path(package.__file__).parent
FOLDERS = re.findall(r"^- ``(\w+)``", package.__doc__ or "", re.MULTILINE)


def test_the_packages_text_names_every_folder():
    assert sorted(FOLDERS) == sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_uses_only_those_above_it(folder):
    allowed = FOLDERS[: FOLDERS.index(folder) + 1]
    used = {name for path in (ROOT / folder).glob("*.py") for name in _imported(path)}
    assert [name for name in sorted(used & set(FOLDERS)) if name not in allowed] == []


def _imported(path: Path) -> list[str]:
    """Return the names behind ``hercules_opt.provisioning.`` of all that a module imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [module.split(".")[2] for module in modules if module.startswith("hercules_opt.provisioning.")]
