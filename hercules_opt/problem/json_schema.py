"""The JSON Schema of an instance file, for editors and other tools.

It describes the file as it is written: what an entry takes from the catalogue need not be repeated, and a
part of a server type may be a name. Rules that tie keys together (names that must be known, lists of equal
length) are checked on loading only.
"""

from __future__ import annotations

import copy
from typing import Any

from hercules_opt.problem.instance import FORMAT, Instance
from hercules_opt.problem.names import NAME_PATTERN

Schema = dict[str, Any]

#: Entries that can start from the catalogue, and the keys of theirs that can be a catalogue name themselves.
_FROM_CATALOGUE = {"ServerType": ("cpu", "nmp", "accelerator"), "Model": ()}

#: Parts that name a file or hold the figures.
_EITHER = {"LoadTable": ("file", "qps"), "Measured": ("file", "pairs")}


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of an instance file, as a new dictionary."""
    schema: Schema = _without_null(Instance.model_json_schema(mode="validation"))
    definitions: dict[str, Schema] = schema["$defs"]
    for name, keys in _EITHER.items():
        definitions[name].pop("required", None)
        definitions[name]["oneOf"] = [{"required": [key]} for key in keys]
    for name, parts in _FROM_CATALOGUE.items():
        _add_overriding(definitions, name, parts)
    for group in ("servers", "models"):
        schema["properties"][group]["propertyNames"] = {"pattern": f"^{NAME_PATTERN}$"}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Hercules instance, format {FORMAT}",
        "description": "Server types, models and the loads of a day.",
    }
    return {**head, **{key: entry for key, entry in schema.items() if key not in head}}


def _without_null(node: Any) -> Any:
    """Return a schema in which nothing is null: TOML has no such value, a key is left out instead."""
    if isinstance(node, list):
        return [_without_null(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    kept = {key: entry for key, entry in node.items() if key != "default" or entry is not None}
    node = {key: _without_null(entry) for key, entry in kept.items()}
    options = [option for option in node.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        return {**{key: entry for key, entry in node.items() if key != "anyOf"}, **options[0]}
    return {**node, "anyOf": options} if options else node


def _add_overriding(definitions: dict[str, Schema], name: str, parts: tuple[str, ...]) -> None:
    """Let an entry with ``catalogue`` leave out what the catalogue gives, and name its parts."""
    whole = definitions.pop(name)
    overriding = _relaxed(whole, definitions)
    for part in parts:
        for entry in (whole, overriding):
            entry["properties"][part] = _by_name_or_whole(entry["properties"][part], definitions)
    whole["properties"].pop("catalogue")
    definitions[f"{name}Whole"] = whole
    definitions[f"{name}FromCatalogue"] = overriding
    definitions[name] = {
        "if": {"required": ["catalogue"]},
        "then": {"$ref": f"#/$defs/{name}FromCatalogue"},
        "else": {"$ref": f"#/$defs/{name}Whole"},
    }


def _relaxed(part: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a copy of a part in which no key is required, nor in the tables below it; lists stay whole."""
    relaxed = copy.deepcopy(part)
    relaxed.pop("required", None)
    for rule in relaxed["properties"].values():
        reference = rule.get("$ref")
        if reference:
            rule["$ref"] = _relaxed_reference(reference, definitions)
    return relaxed


def _relaxed_reference(reference: str, definitions: dict[str, Schema]) -> str:
    name = reference.removeprefix("#/$defs/")
    if "properties" in definitions[name] and f"{name}Changes" not in definitions:
        definitions[f"{name}Changes"] = _relaxed(definitions[name], definitions)
    return f"#/$defs/{name}Changes"


def _by_name_or_whole(rule: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return the rule of a part that may also be a catalogue name, or a name and what changes."""
    described = {key: entry for key, entry in rule.items() if key != "$ref"}
    name = rule["$ref"].removeprefix("#/$defs/").removesuffix("Changes")
    named = f"{name}ByName"
    if named not in definitions:
        changes = _relaxed(definitions[name], definitions)
        changes["properties"]["catalogue"] = {"type": "string", "description": "Name in the catalogue."}
        definitions[named] = {**changes, "required": ["catalogue"]}
    return {**described, "anyOf": [{"type": "string"}, {"$ref": rule["$ref"]}, {"$ref": f"#/$defs/{named}"}]}
