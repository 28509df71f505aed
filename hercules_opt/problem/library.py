"""Find the built-in instances and the catalogue, in a wheel, an sdist or a checkout."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from hercules_opt.errors import InputError, nearest_name

_PACKAGE = Path(__file__).resolve().parent.parent


def instances_folder() -> Path:
    """Return the folder of the built-in instances: inside the package, else beside it in a checkout."""
    packaged = _PACKAGE / "instances"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "instances"


def library_names() -> list[str]:
    """Return the names of the built-in instances."""
    return sorted(path.stem for path in instances_folder().glob("*.toml"))


def library_path(name: str) -> Path:
    """Return the file of a built-in instance; raise ``InputError`` naming the nearest one."""
    if name not in library_names():
        hint = nearest_name(name, library_names())
        raise InputError("no such file, and no instance of this name in the library", where=name, hint=hint)
    return instances_folder() / f"{name}.toml"


@lru_cache
def catalogue_entries(group: Literal["servers", "models"]) -> dict[str, dict[str, Any]]:
    """Return the raw entries of one part of the catalogue, by name."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted((_PACKAGE / "catalogue" / group).glob("*.toml")):
        entries.update(tomllib.loads(path.read_text(encoding="utf-8")))
    return entries


def catalogue_entry(group: Literal["servers", "models"], name: str) -> dict[str, Any]:
    """Return one raw entry; raise ``InputError`` naming the nearest one."""
    entries = catalogue_entries(group)
    if name not in entries:
        raise InputError(f"unknown name in the catalogue of {group}", found=name, hint=nearest_name(name, entries))
    return entries[name]
