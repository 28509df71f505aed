"""Read and write whole text files: clear errors, and nothing half written."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hercules_opt.errors import InputError, Words

#: Largest file that is read; it holds about half a million pairs.
MAX_BYTES = 64 * 2**20


def read_text(path: str | Path) -> str:
    """Return a UTF-8 text file, without a byte order mark.

    Raises
    ------
    InputError
        If the file is missing, not a file, too large or not text.
    """
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except IsADirectoryError:
        raise InputError("must be a file", where=path, found=Words("a folder")) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=path) from None
    if len(raw) > MAX_BYTES:
        raise InputError(
            f"must be at most {MAX_BYTES // 2**20} MiB", where=path, found=Words("a larger file")
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = Words(f"byte 0x{raw[error.start]:02x} at position {error.start}")
        raise InputError("must be UTF-8 text", where=path, found=found) from None


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds; refuse NaN and Infinity, and keys that appear twice."""
    try:
        return json.loads(read_text(path), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except InputError as error:
        raise (error if error.where else error.located(path)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {_parser_words(error)}", where=path) from None


def parse_toml(text: str, *, where: str | Path) -> dict[str, Any]:
    """Return what a TOML text holds; raise ``InputError`` if it is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid TOML: {_parser_words(error)}", where=where) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("a key may appear only once", found=twice)
    return entries


def _refuse_constant(name: str) -> None:
    raise InputError("must be a finite number", found=Words(name))


def _parser_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = " ".join(str(error).split())
    return "a whole number has too many digits" if "integer string conversion" in text else text[:200]


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all: a temporary file in the same folder, then a rename."""
    target = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent, text=False)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
        temporary = None
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be written: {getattr(error, 'strerror', None) or error}", where=path
        ) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
