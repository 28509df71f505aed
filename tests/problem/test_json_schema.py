"""The JSON Schema says what the loader accepts, as far as a schema can."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import jsonschema
import pytest
from test_malformed_instances import GOOD, MUTATIONS

from hercules_opt import json_schema
from hercules_opt.problem.library import instances_folder


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("path", sorted(instances_folder().glob("*.toml")), ids=lambda path: path.stem)
def test_library_files_validate(validator: Any, path: Any) -> None:
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(raw)] == []


def test_a_file_with_catalogue_entries_validates(validator: Any) -> None:
    raw = tomllib.loads(
        GOOD + '[servers.x]\ncpu = "xeon-gold-6138"\n[servers.y.cpu]\ncatalogue = "xeon-d-2191"\n'
    )
    assert [error.message for error in validator.iter_errors(raw)] == []


def test_an_entry_without_catalogue_must_be_whole(validator: Any) -> None:
    raw = tomllib.loads(GOOD + "[servers.y.cpu]\ncores = 4\n")
    assert not validator.is_valid(raw)


def test_it_refuses_what_the_loader_refuses(validator: Any) -> None:
    """All malformed files but those that break rules between keys, or that JSON cannot express."""
    accepted = []
    refused = 0
    for old, new, fragments in MUTATIONS:
        try:
            raw = tomllib.loads(GOOD.replace(old, new, 1))
        except (tomllib.TOMLDecodeError, ValueError, RecursionError):
            continue
        if validator.is_valid(raw):
            accepted.append(fragments[0])
        else:
            refused += 1
    assert refused > 120
    beyond_a_schema = (
        "unknown name", "unknown model", "one per interval", "one load per interval", "each pair may",
        "every model needs loads", "found nan", "loads.qps.ranking.0", "found 1.0", "found 6.0",
        "at most tdp_w", "at most peak_w", "at most its parts", "idle power of its parts", "at least idle_w",
    )  # fmt: skip
    assert [text for text in accepted if not any(reason in text for reason in beyond_a_schema)] == []


def test_it_is_plain_json_and_a_fresh_copy() -> None:
    first = json_schema()
    assert json.loads(json.dumps(first)) == first
    first["properties"].clear()
    assert json_schema()["properties"]


def test_nothing_is_null() -> None:
    """TOML has no null, so the schema offers none."""
    assert '"null"' not in json.dumps(json_schema())
