"""Write the tables of keys in instance-format.md from the schema.

    python docs/build_instance_format.py [--check]

With ``--check`` nothing is written; the exit code is 1 if the page is out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from hercules_opt.problem.instance import Instance

PAGE = Path(__file__).with_name("instance-format.md")
BEGIN = "<!-- begin keys: written by build_instance_format.py -->\n"
END = "<!-- end keys -->\n"

#: Units by the end of a key; the longest end that fits counts.
UNITS = {
    "_h": "h", "_ms": "ms", "_us": "µs", "_w": "W", "qps": "queries/s", "_gb_s": "GB/s", "_gb": "GB",
    "_mb": "MB", "_ghz": "GHz", "_mhz": "MHz", "_tflop_s": "TFLOP/s", "_per_h": "per hour", "_bytes": "bytes",
    "_items": "items", "percentile": "%",
}  # fmt: skip

Schema = dict[str, Any]


def sections(schema: Schema) -> list[tuple[str, Schema]]:
    """Return every table of the file with the heading it has in TOML, outermost first."""
    found: list[tuple[str, Schema]] = [("", schema)]
    for heading, part in found:
        for key, rule in part["properties"].items():
            path = f"{heading}.{key}" if heading else key
            for place, name in _tables_below(path, _options(rule)):
                if all(place != known for known, _ in found):
                    found.append((place, schema["$defs"][name]))
    return found


def _tables_below(path: str, options: list[Schema]) -> list[tuple[str, str]]:
    below = []
    for option in options:
        if "$ref" in option:
            below.append((path, option["$ref"]))
        elif "$ref" in option.get("items", {}):
            below.append((f"{path}[]", option["items"]["$ref"]))
        elif "$ref" in _named_entries(option):
            below.append((f"{path}.NAME", _named_entries(option)["$ref"]))
    return [(place, reference.removeprefix("#/$defs/")) for place, reference in below]


def _named_entries(option: Schema) -> Schema:
    """Return the rule of the entries of a table whose keys are free names."""
    by_pattern = list(option.get("patternProperties", {}).values())
    entries: Schema = by_pattern[0] if by_pattern else option.get("additionalProperties") or {}
    return entries


def _options(rule: Schema) -> list[Schema]:
    """Return the alternatives of a rule, without null and without the form that carries provenance."""
    options = []
    for option in rule.get("anyOf", [rule]):
        if "anyOf" in option:
            options += _options(option)
        elif option != {"type": "null"} and "value" not in option.get("properties", {}):
            options.append(option)
    return options


def _kind(option: Schema) -> str:
    """Return type and limits of one alternative in words."""
    if "enum" in option:
        return "one of " + ", ".join(f"`{entry}`" for entry in option["enum"])
    if "const" in option:
        return f"`{option['const']}`"
    if "$ref" in option:
        return "table"
    if option.get("type") == "array":
        length = _limits(option.get("minItems"), option.get("maxItems"), "entries")
        return f"list of {', '.join(_kind(entry) for entry in _options(option['items']))}{length}"
    if option.get("type") == "object":
        return "table of " + " or ".join(_kind(entry) for entry in _options(_named_entries(option)))
    words = {"number": "number", "integer": "whole number", "string": "text"}[option["type"]]
    if "exclusiveMinimum" in option:
        words += f" above {option['exclusiveMinimum']:g}"
    elif "minimum" in option:
        words += f" from {option['minimum']:g}"
    if "exclusiveMaximum" in option:
        words += f" below {option['exclusiveMaximum']:g}"
    elif "maximum" in option:
        words += f" to {option['maximum']:g}"
    return words


def _limits(low: int | None, high: int | None, what: str) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f" (at most {high} {what})"
    return f" (at least {low})" if high is None else f" ({low} to {high} {what})"


def _unit(key: str) -> str:
    ends = [end for end in UNITS if key.endswith(end)]
    return UNITS[max(ends, key=len)] if ends else ""


def _default(rule: Schema, required: bool) -> str:
    if required:
        return "required"
    default = rule.get("default")
    if default is None or isinstance(default, (dict, list)):
        return ""
    return f"`{default}`"


def tables(schema: Schema) -> str:
    """Return the tables of all keys as Markdown."""
    lines: list[str] = []
    for heading, part in sections(schema):
        lines += [f"### `{heading}`" if heading else "### The file", ""]
        described = " ".join(part.get("description", "").split("\n\n")[0].split())
        if heading and described:
            lines += [described, ""]
        lines += ["| key | value | unit | default | meaning |", "|---|---|---|---|---|"]
        for key, rule in part["properties"].items():
            if heading and key in ("kind", "source"):
                continue
            value = " or ".join(dict.fromkeys(_kind(option) for option in _options(rule)))
            default = _default(rule, key in part.get("required", ()))
            meaning = rule.get("description", "").replace("|", "\\|")
            lines.append(f"| `{key}` | {value} | {_unit(key)} | {default} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def page_with_tables(page: str) -> str:
    """Return the page with its tables written anew."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + "\n" + tables(Instance.model_json_schema()) + END + after


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if out of date")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    fresh = page_with_tables(page)
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
    elif fresh != page:
        print(
            "docs/instance-format.md is out of date: run python docs/build_instance_format.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
