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
    checked = checked_path(path)
    try:
        _refuse_named_pipe(checked)
        with checked.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except IsADirectoryError:
        raise InputError("must be a file", where=path, found=Words("a folder")) from None
    except InputError:
        raise
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


def checked_path(path: object) -> Path:
    """Return a path; raise ``InputError`` if it is none."""
    if not isinstance(path, (str, Path)) or not str(path):
        raise InputError("must be the path of a file", where="path", found=path)
    return Path(path)


def _refuse_named_pipe(path: Path) -> None:
    """Refuse what may never be written to; a pipe that a shell opened has no name and is fine."""
    if path.is_fifo() and "pipe:[" not in os.path.realpath(path):
        raise InputError("must be a file", where=path, found=Words("a named pipe"))


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
    """Write a text file whole or not at all; a pipe or device is written to as it is.

    Raises
    ------
    InputError
        If the file cannot be written; what was there before is still there then.
    """
    try:
        target = checked_path(path).resolve()
        if target.exists() and not (target.is_file() or target.is_dir()):
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        rule = f"cannot be written: {getattr(error, 'strerror', None) or error}"
        raise InputError(rule, where=path) from None


def _replace(target: Path, text: str) -> None:
    """Write a temporary file in the same folder, then rename it."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
