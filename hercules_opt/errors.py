"""Errors that people read: where, which rule, what was found, what helps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


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
        The value that breaks the rule.
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
        place = ", ".join(part for part in (self.where, key) if part)
        text = f"{place}: {rule}" if place else rule
        if found is not None:
            text += f", found {shown(found)}"
        if hint:
            text += f". {hint}"
        super().__init__(text)

    def located(self, where: str | Path) -> InputError:
        """Return the same error, placed in a file."""
        return InputError(self.rule, where=where, key=self.key, found=self.found, hint=self.hint)


def shown(value: object, limit: int = 60) -> str:
    """Return a short text of a value for an error message."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest_name(name: str, allowed: Iterable[str]) -> str:
    """Return a hint that names the nearest valid name, or lists all of a few."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "No name is valid here."
    listed = ", ".join(repr(n) for n in names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Valid names: {listed}"
