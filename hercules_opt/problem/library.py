"""Find the built-in instances and the catalogue, in a wheel, an sdist or a checkout."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from hercules_opt.errors import InputError, nearest_name

Group = Literal["servers", "models", "cpu", "nmp", "accelerator"]

#: Parts of a server type that may be given by their name in the catalogue.
_PARTS: tuple[Literal["cpu", "nmp", "accelerator"], ...] = ("cpu", "nmp", "accelerator")

#: Keys that decide which other keys make sense: where one changes, nothing is inherited.
_VARIANTS = ("distribution", "unit")

_PACKAGE = Path(__file__).resolve().parent.parent


def instances_folder() -> Path:
    """Return the folder of the built-in instances: inside the package, else beside it in a checkout."""
    packaged = _PACKAGE / "instances"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "instances"


def catalogue_folder() -> Path:
    """Return the folder of the catalogue."""
    return _PACKAGE / "catalogue"


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
def catalogue_entries(group: Group) -> dict[str, dict[str, Any]]:
    """Return the raw entries of one part of the catalogue by name; parts of server types are filled in."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted((catalogue_folder() / group).glob("*.toml")):
        entries.update(tomllib.loads(path.read_text(encoding="utf-8")))
    if group == "servers":
        return {name: with_parts(entry, key=name) for name, entry in entries.items()}
    return entries


def catalogue_entry(group: Group, name: str) -> dict[str, Any]:
    """Return one raw entry; raise ``InputError`` naming the nearest one."""
    entries = catalogue_entries(group)
    if name not in entries:
        hint = nearest_name(name, entries)
        raise InputError(f"unknown name in the catalogue of {group}", found=name, hint=hint)
    return entries[name]


def with_parts(server: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    """Return a server type whose parts by name are filled in from the catalogue.

    A part is named by a string (``cpu = "xeon-gold-6138"``), or by ``catalogue`` beside what it overrides.

    Raises
    ------
    InputError
        If the catalogue has no part of that name; ``key`` is where the server type stands.
    """
    whole = dict(server)
    for part in _PARTS:
        given = whole.get(part)
        changes = given if isinstance(given, Mapping) else {"catalogue": given}
        name = changes.get("catalogue")
        if isinstance(name, str):
            try:
                base = catalogue_entry(part, name)
            except InputError as error:
                raise InputError(error.rule, key=f"{key}.{part}", found=name, hint=error.hint) from None
            own = {k: entry for k, entry in changes.items() if k != "catalogue"}
            whole[part] = overridden(base, own) if own else base
    return whole


def overridden(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with changes: tables are merged key by key.

    A figure (a table with ``value``), a list, a part taken by name from the catalogue, and a table of another
    variant (another ``distribution`` or ``unit``) replace what they override. Figures of ``base`` keep their
    origin: the ``kind`` and ``source`` of ``changes`` speak for its own figures only.
    """
    merged = _with_own_origin(base)
    for key, entry in changes.items():
        below = merged.get(key)
        if isinstance(entry, Mapping) and isinstance(below, Mapping) and _refines(below, entry):
            merged[key] = overridden(below, entry)
        else:
            merged[key] = entry
    return merged


def _refines(below: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if "value" in entry or "value" in below or "catalogue" in entry:
        return False
    return all(entry[key] == below.get(key) for key in _VARIANTS if key in entry)


def _with_own_origin(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table in which every figure carries the origin that stood once for the whole table."""
    origin = {key: table[key] for key in ("kind", "source") if key in table}
    return {
        key: {"value": entry, **origin} if origin and _is_figure(entry) else entry
        for key, entry in table.items()
        if key not in origin
    }


def _is_figure(entry: Any) -> bool:
    if isinstance(entry, list):
        return bool(entry) and all(_is_figure(element) for element in entry)
    return isinstance(entry, int | float) and not isinstance(entry, bool)
