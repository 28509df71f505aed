"""Read and write instance files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from hercules_opt.errors import InputError, Words, key_path, nearest_name
from hercules_opt.problem.files import parse_toml, read_text, write_text
from hercules_opt.problem.instance import FORMAT, Instance
from hercules_opt.problem.library import catalogue_entry, library_names, library_path, overridden, with_parts
from hercules_opt.problem.loads_file import read_loads
from hercules_opt.problem.table import read_pairs
from hercules_opt.problem.validation import input_error


def load_instance(name_or_path: str | Path) -> Instance:
    """Return an instance of the library by name, or one from a TOML file.

    A text without folder separators and without a file of that name is a library name.

    Raises
    ------
    InputError
        If the file is missing or breaks a rule; the message says file, key, what was found, what is allowed.
    """
    path = instance_path(name_or_path)
    return parse_instance(read_text(path), where=path)


def parse_instance(text: str, *, where: str | Path) -> Instance:
    """Return the instance that a TOML text describes; files it names are looked up beside ``where``.

    Raises
    ------
    InputError
        If the text, or a file it names, breaks a rule.
    """
    raw = parse_toml(text, where=where)
    if "format" not in raw:
        raise InputError(
            "is required", where=where, key="format", hint=f"This version reads format = {FORMAT}."
        )
    if raw["format"] != FORMAT or isinstance(raw["format"], (bool, float)):
        raise InputError(f"must be {FORMAT}", where=where, key="format", found=raw["format"])
    try:
        _resolve_catalogue(raw, "servers")
        _resolve_catalogue(raw, "models")
        _resolve_loads(raw, Path(where).parent)
        _resolve_efficiency(raw, Path(where).parent)
        return Instance.model_validate(raw)
    except ValidationError as error:
        raise input_error(error, where=where, data=raw) from None
    except InputError as error:
        raise (error if error.where is not None else error.located(where)) from None


def instance_path(name_or_path: str | Path) -> Path:
    """Return the file that ``load_instance`` reads; raise ``InputError`` if no instance has that name."""
    if not isinstance(name_or_path, (str, Path)) or not str(name_or_path):
        raise InputError("must be the name of an instance, or a path", where="instance", found=name_or_path)
    path = Path(name_or_path)
    bare = path.name != "" and path.parent == Path()
    kind = _kind_of(path)
    if not bare or kind == "file" or (kind == "folder" and path.name not in library_names()):
        return path
    if path.suffix == ".toml":
        if path.stem in library_names():
            hint = f"The library has {path.stem!r}: leave out '.toml'."
            raise InputError("no such file", where=path, hint=hint)
        return path
    return library_path(path.name)


def _kind_of(path: Path) -> Literal["file", "folder", "nothing"]:
    try:
        if path.is_dir():
            return "folder"
        return "file" if path.exists() else "nothing"
    except OSError:  # for example a name that is too long
        return "nothing"


def save_instance(instance: Instance, path: str | Path) -> None:
    """Write an instance as one TOML file; loading it gives an equal instance."""
    import tomli_w

    if not isinstance(instance, Instance):
        raise InputError("must be an Instance", where="instance", found=type(instance).__name__)
    write_text(path, tomli_w.dumps(instance.model_dump(mode="json", exclude_none=True, exclude_unset=True)))


def _resolve_catalogue(raw: dict[str, Any], group: Literal["servers", "models"]) -> None:
    entries = raw.get(group)
    if not isinstance(entries, dict):
        return
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            continue
        if "catalogue" in entry:
            entries[name] = _from_catalogue(group, name, entry)
        if group == "servers":
            entries[name] = with_parts(entries[name], key=key_path(["servers", name]))


def _from_catalogue(group: Literal["servers", "models"], name: str, entry: dict[str, Any]) -> dict[str, Any]:
    key = key_path([group, name, "catalogue"])
    if not isinstance(entry["catalogue"], str):
        raise InputError("must be a text", key=key, found=entry["catalogue"])
    try:
        base = catalogue_entry(group, entry["catalogue"])
    except InputError as error:
        raise InputError(error.rule, key=key, found=error.found, hint=error.hint) from None
    return overridden(base, entry)


def _named_file(raw: dict[str, Any], group: str, inline: str, folder: Path) -> Path | None:
    entry = raw.get(group)
    if not isinstance(entry, dict):
        return None
    if "file" in entry and inline in entry:
        raise InputError(f"give either {group}.file or {group}.{inline}, not both", key=group)
    if "file" not in entry:
        if inline not in entry:
            raise InputError(f"give {group}.file or {group}.{inline}", key=group, found=Words("neither"))
        return None
    if not isinstance(entry["file"], str) or not entry["file"]:
        raise InputError("must be a file name", key=f"{group}.file", found=entry["file"])
    return folder / entry["file"]


def _resolve_loads(raw: dict[str, Any], folder: Path) -> None:
    path = _named_file(raw, "loads", "qps", folder)
    if path is not None:
        rest = {key: entry for key, entry in raw["loads"].items() if key != "file"}
        raw["loads"] = {**rest, "qps": read_loads(path, _names(raw, "models"))}


def _resolve_efficiency(raw: dict[str, Any], folder: Path) -> None:
    path = _named_file(raw, "efficiency", "pairs", folder)
    if path is None:
        return
    rows = read_pairs(path)
    if not rows:
        raise InputError("must have at least one pair", where=path)
    for column, group in (("server_type", "servers"), ("model", "models")):
        names = _names(raw, group)
        for line, pair in rows:
            name = getattr(pair, column)
            if name not in names:
                hint = nearest_name(name, names)
                raise InputError(
                    f"unknown name in {group}",
                    where=path,
                    key=f"line {line}, {column}",
                    found=name,
                    hint=hint,
                )
    rest = {key: entry for key, entry in raw["efficiency"].items() if key != "file"}
    raw["efficiency"] = {**rest, "pairs": [pair for _, pair in rows]}


def _names(raw: dict[str, Any], group: str) -> list[str]:
    entries = raw.get(group)
    if not isinstance(entries, dict) or not entries:
        raise InputError("must be a table with at least one entry", key=group, found=entries)
    return list(entries)
