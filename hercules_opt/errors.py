"""Errors that people read: where, which rule, what was found, what helps."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import TypeVar

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Words(str):
    """Words about what was found, shown as they are; a plain ``str`` is a value and is shown in quotes."""

    __slots__ = ()


class InputError(ValueError):
    """Bad input: one message with place, key, rule and what was found.

    Parameters
    ----------
    rule
        What is allowed, for example ``"must be greater than 0"``.
    where
        The file, or the name of the function's argument.
    key
        The key path inside the file, for example ``"servers.T3.cpu.memory_gb_s"``.
    found
        The value that breaks the rule, or ``Words`` about it.
    hint
        What helps, for example the nearest valid name.
    """

    def __init__(
        self,
        rule: str,
        *,
        where: str | Path | None = None,
        key: str | None = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.rule = rule
        self.where = None if where is None else str(where)
        self.key = key
        self.found = found
        self.hint = hint
        place = ", ".join(part for part in (_printable(self.where or ""), key) if part)
        text = f"{place}: {rule}" if place else rule
        if found is not None:
            text += f", found {shown(found)}"
        if hint:
            text += f". {hint}"
        super().__init__(text)

    def located(self, where: str | Path) -> InputError:
        """Return the same error, placed in a file."""
        return InputError(self.rule, where=where, key=self.key, found=self.found, hint=self.hint)


def check_number(where: str, value: object, least: float, most: float) -> None:
    """Raise ``InputError`` unless an argument is a number in a range; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError("must be a finite number", where=where, found=value)
    if not least <= float(value) <= most:
        raise InputError(f"must be at least {least:g} and at most {most:g}", where=where, found=value)


def check_type(where: str, value: object, kind: type) -> None:
    """Raise ``InputError`` unless an argument is of a kind."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise InputError(f"must be {article} {kind.__name__}", where=where, found=Words(type(value).__name__))


def check_seed(seed: object) -> None:
    """Raise ``InputError`` unless a seed is a whole number, not negative."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise InputError("must be a whole number, at least 0", where="seed", found=seed)


class UnknownNameError(InputError, KeyError):
    """A name that a table of names does not have; also a ``KeyError``, as of any dictionary."""

    def __str__(self) -> str:
        """Return the message as it is; ``KeyError`` would quote it."""
        return str(self.args[0])


Entry = TypeVar("Entry")


class Named(dict[str, Entry]):
    """Entries by name; a name that is not there is answered with the nearest."""

    def __missing__(self, name: object) -> Entry:
        """Refuse a name."""
        raise UnknownNameError("unknown name", found=name, hint=nearest_name(str(name), self))


def shown(value: object, limit: int = 60) -> str:
    """Return a short text of a value for an error message, on one line."""
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table" if value else "an empty table"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > 400:
        return "a whole number of more than 100 digits"
    text = repr(value[: limit + 1]) if isinstance(value, str) else " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def key_path(steps: Iterable[str | int]) -> str:
    """Return a key path as TOML writes it: names joined by dots, in quotes where they need them."""
    return ".".join(_key(step) if isinstance(step, str) else str(step) for step in steps)


def _key(name: str, limit: int = 100) -> str:
    short = name if len(name) <= limit else name[:limit] + "..."
    return short if _BARE_KEY.fullmatch(name) else json.dumps(short)


def nearest_name(name: str, allowed: Iterable[str]) -> str:
    """Return a hint that names the nearest valid name, or lists all of a few."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "No name is valid here."
    listed = ", ".join(repr(n) for n in names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Valid names: {listed}."
