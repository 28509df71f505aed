"""Turn a schema violation into the one message a user reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from hercules_opt.errors import InputError


def input_error(error: ValidationError, *, where: str | Path | None, prefix: tuple[str, ...] = ()) -> InputError:
    """Return the first violation as an ``InputError``; say how many more there are."""
    details = error.errors(include_url=False)
    first = details[0]
    location = [*prefix, *(str(step) for step in first["loc"] if step != "provenance")]
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    found: object = first["input"]
    hint: str | None = None
    if first["type"] == "unknown_key":
        context = first.get("ctx", {})
        location.append(str(context["key"]))
        rule, found, hint = "unknown key", None, str(context["hint"])
    elif first["type"] == "missing":
        rule, found = "is required", None
    elif rule != first["msg"] and not first["msg"].startswith("Value error"):
        rule = f"must be {rule}"
    if isinstance(found, (dict, list, tuple)):
        found = None if first["type"] == "value_error" else type(found).__name__
    if len(details) > 1:
        more = f"({len(details) - 1} more problem{'s' if len(details) > 2 else ''} in this input)"
        hint = f"{hint} {more}" if hint else more
    return InputError(rule, where=where, key=".".join(location) or None, found=found, hint=hint)
