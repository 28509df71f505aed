"""Read and write instance files."""

from __future__ import annotations

import csv
import io
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.files import read_text, write_text
from hercules_opt.problem.instance import FORMAT, Instance
from hercules_opt.problem.library import catalogue_entry, library_path, overridden, with_parts
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.problem.validation import input_error


def load_instance(name_or_path: str | Path) -> Instance:
    """Return an instance of the library by name, or one from a TOML file.

    A text without folder separators and without a file of that name is a library name.

    Raises
    ------
    InputError
        If the file is missing or breaks a rule; the message says file, key, what was found and what is allowed.
    """
    path = Path(name_or_path)
    if not path.exists() and path.parent == Path() and path.suffix != ".toml":
        path = library_path(str(name_or_path))
    return parse_instance(read_text(path), where=path)


def parse_instance(text: str, *, where: str | Path) -> Instance:
    """Return the instance that a TOML text describes; files it names are looked up beside ``where``."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", where=where) from None
    if "format" not in raw:
        raise InputError("is required", where=where, key="format", hint=f"This version reads format = {FORMAT}.")
    if raw["format"] != FORMAT or isinstance(raw["format"], bool):
        raise InputError(f"must be {FORMAT}", where=where, key="format", found=raw["format"])
    try:
        _resolve_catalogue(raw, "servers")
        _resolve_catalogue(raw, "models")
        _resolve_loads(raw, Path(where).parent)
        _resolve_efficiency(raw, Path(where).parent)
    except InputError as error:
        raise (error if error.where is not None else error.located(where)) from None
    try:
        instance = Instance.model_validate(raw)
        _ = instance.table  # refuses a pair that is listed twice
    except ValidationError as error:
        raise input_error(error, where=where) from None
    except InputError as error:
        raise error.located(where) from None
    return instance


def save_instance(instance: Instance, path: str | Path) -> None:
    """Write an instance as one TOML file; loading it gives an equal instance."""
    import tomli_w

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
            entries[name] = with_parts(entries[name], key=f"servers.{name}")


def _from_catalogue(group: Literal["servers", "models"], name: str, entry: dict[str, Any]) -> dict[str, Any]:
    key = f"{group}.{name}.catalogue"
    if not isinstance(entry["catalogue"], str):
        raise InputError("must be a string", key=key, found=entry["catalogue"])
    try:
        base = catalogue_entry(group, entry["catalogue"])
    except InputError as error:
        raise InputError(error.rule, key=key, found=error.found, hint=error.hint) from None
    return overridden(base, entry)


def _named_file(raw: dict[str, Any], group: str, inline: str, folder: Path) -> Path | None:
    entry = raw.get(group)
    if not isinstance(entry, dict) or "file" not in entry:
        return None
    if not isinstance(entry["file"], str) or not entry["file"]:
        raise InputError("must be a file name", key=f"{group}.file", found=entry["file"])
    if inline in entry:
        raise InputError(f"give either {group}.file or {group}.{inline}, not both", key=group)
    return folder / entry["file"]


def _resolve_loads(raw: dict[str, Any], folder: Path) -> None:
    path = _named_file(raw, "loads", "qps", folder)
    if path is not None:
        rest = {key: entry for key, entry in raw["loads"].items() if key != "file"}
        raw["loads"] = {**rest, "qps": read_loads(path, list(raw.get("models", {})))}


def _resolve_efficiency(raw: dict[str, Any], folder: Path) -> None:
    path = _named_file(raw, "efficiency", "pairs", folder)
    if path is not None:
        rest = {key: entry for key, entry in raw["efficiency"].items() if key != "file"}
        pairs = [pair.model_dump(exclude_none=True) for pair in EfficiencyTable.from_csv(path)]
        raw["efficiency"] = {**rest, "pairs": pairs}


def read_loads(path: Path, models: list[str]) -> dict[str, list[float]]:
    """Read loads from CSV: a first column ``interval`` (any label), then one column of QPS per model."""
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"is not a CSV file: {error}", where=path, key=f"line {reader.line_num}") from None
    if not rows or rows[0][1][0] != "interval":
        found = rows[0][1][0] if rows else "an empty file"
        raise InputError("the first column must be 'interval'", where=path, key="line 1", found=found)
    header = rows[0][1][1:]
    for name in header:
        if name not in models:
            hint = nearest_name(name, models)
            raise InputError("unknown model", where=path, key="line 1", found=name, hint=hint)
        if header.count(name) > 1:
            raise InputError("a column may appear only once", where=path, key="line 1", found=name)
    loads: dict[str, list[float]] = {name: [] for name in header}
    for line, row in rows[1:]:
        if len(row) != len(header) + 1:
            raise InputError(f"must have {len(header) + 1} fields", where=path, key=f"line {line}", found=len(row))
        for name, text in zip(header, row[1:], strict=True):
            try:
                loads[name].append(float(text))
            except ValueError:
                raise InputError("must be a number", where=path, key=f"line {line}, {name}", found=text) from None
    return loads
