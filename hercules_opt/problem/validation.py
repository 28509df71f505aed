"""Turn a schema violation into the one message a user reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from hercules_opt.errors import InputError, key_path, nearest_name

#: What a value of the wrong type should have been, by pydantic's name of the violation.
_TYPES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "a text",
    "bool_type": "true or false",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
}

#: What a value out of range should have been; ``ctx`` holds the limit.
_LIMITS = {
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "int_parsing_size": "must be a smaller whole number",
    "missing": "is required",
}


#: Least figure, in its own unit, of what the cost model divides by or takes the logarithm of. Whatever is
#: smaller is no hardware and no model but a slip, and carries sums beyond what floating-point numbers hold.
LEAST = 1e-6


@dataclass(frozen=True)
class _Violation:
    kind: str
    path: tuple[str | int, ...]
    rule: str
    found: object
    hint: str | None


def broken(
    rule: str, *, key: Sequence[str | int] = (), found: object = None, hint: str | None = None
) -> PydanticCustomError:
    """Return a violation for a validator to raise.

    Parameters
    ----------
    rule
        What is allowed.
    key
        Steps from the validated part to the value that breaks the rule.
    found
        That value, or ``Words`` about it.
    hint
        What helps.
    """
    return PydanticCustomError(
        "rule", "{rule}", {"rule": rule, "key": tuple(key), "found": found, "hint": hint}
    )


def input_error(
    error: ValidationError, *, where: str | Path | None, data: object = None, prefix: Iterable[str] = ()
) -> InputError:
    """Return the first violation as an ``InputError``; say how many more there are.

    Parameters
    ----------
    error
        What pydantic found.
    where
        File or argument.
    data
        The input that was checked. With it, steps of a location that are no keys (branches of a union) are
        left out, and a row of an efficiency table is named by its pair.
    prefix
        Steps that lead to ``data``.
    """
    violations = _merged([_violation(details, data) for details in error.errors(include_url=False)])
    first = violations[0]
    hints = [first.hint] if first.hint else []
    pair = _pair_at(data, first.path)
    if pair:
        hints.append(f"This is the pair {pair}.")
    if len(violations) > 1:
        more = len(violations) - 1
        hints.append(f"({more} more problem{'s' if more > 1 else ''} in this input)")
    key = ", ".join([*prefix, *([key_path(first.path)] if first.path else [])])
    return InputError(
        first.rule, where=where, key=key or None, found=first.found, hint=" ".join(hints) or None
    )


def _violation(details: ErrorDetails, data: object) -> _Violation:
    kind, context, found = details["type"], details.get("ctx", {}), details["input"]
    path = _real_steps(details["loc"], data, keep_last=kind == "missing")
    if kind == "rule":
        return _Violation(kind, (*path, *context["key"]), context["rule"], context["found"], context["hint"])
    if kind in _TYPES:
        return _Violation(kind, path, f"must be {_TYPES[kind]}", found, None)
    if kind == "literal_error":
        hint = nearest_name(found, _quoted(context["expected"])) if isinstance(found, str) else None
        return _Violation(kind, path, f"must be {context['expected']}", found, hint)
    if kind in _LIMITS:
        rule = _LIMITS[kind].format(**{name: _limit(entry) for name, entry in context.items()})
        return _Violation(
            kind, path, rule.replace("at least 1 entries", "at least one entry"), _told(kind, found), None
        )
    rule = details["msg"].removeprefix("Value error, ")
    return _Violation(kind, path, rule, None if isinstance(found, (Mapping, list, tuple)) else found, None)


def _told(kind: str, found: object) -> object:
    return None if kind == "missing" else found


def _limit(entry: object) -> object:
    return f"{entry:g}" if isinstance(entry, float) else entry


def _quoted(expected: str) -> list[str]:
    return expected.split("'")[1::2]


def _real_steps(location: Iterable[str | int], data: object, *, keep_last: bool) -> tuple[str | int, ...]:
    """Return the steps of a location that are keys of the input, so that no branch of a union is named."""
    steps = list(location)
    if data is None:
        return tuple(steps)
    kept: list[str | int] = []
    at: Any = data
    for number, step in enumerate(steps):
        inside, below = _step(at, step)
        if inside:
            kept.append(step)
            at = below
        elif keep_last and number == len(steps) - 1:
            kept.append(step)
    return tuple(kept)


def _step(at: Any, step: str | int) -> tuple[bool, Any]:
    if isinstance(at, Mapping) and step in at:
        below = at[step]
        figure = isinstance(below, Mapping) and "value" in below
        return True, below["value"] if figure else below
    if isinstance(at, (list, tuple)) and isinstance(step, int) and step < len(at):
        return True, at[step]
    return False, None


def _merged(violations: list[_Violation]) -> list[_Violation]:
    """Join what the branches of one union say: the deepest branch that fits, else all that is allowed."""
    by_path: dict[tuple[str | int, ...], list[_Violation]] = {}
    for violation in violations:
        by_path.setdefault(violation.path, []).append(violation)
    deep = [path for path in by_path if not any(o != path and o[: len(path)] == path for o in by_path)]
    return [_joined(by_path[path]) for path in deep]


def _joined(same: list[_Violation]) -> _Violation:
    first = next((violation for violation in same if violation.kind not in _TYPES), same[0])
    if first.kind not in _TYPES:
        return first
    allowed = dict.fromkeys(_TYPES[violation.kind] for violation in same)
    return _Violation(first.kind, first.path, f"must be {' or '.join(allowed)}", first.found, first.hint)


def _pair_at(data: object, path: tuple[str | int, ...]) -> str | None:
    """Return the names of the efficiency table's row that a path leads into, if it does."""
    at: Any = data
    for step in path:
        if isinstance(at, Mapping):
            names = at.get("server_type"), at.get("model")
            if all(isinstance(name, str) for name in names):
                return key_path([str(names[0])]) + " x " + key_path([str(names[1])])
        at = _step(at, step)[1]
    return None
