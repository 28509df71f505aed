"""Whatever a file holds, the answer is an instance or an ``InputError`` of one line."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from test_malformed_instances import GOOD, LEAKS

from hercules_opt import InputError
from hercules_opt.problem.loading import parse_instance

ODD = (
    0, -1, 1.5, -0.0, 1e308, float("inf"), float("nan"), 10**30, True, "", "x", "\n", "\x1b", [], [0], [[]],
    {}, {"value": 1}, {"value": {}}, {"value": 1, "kind": 2}, {"kind": "assumed"}, {"catalogue": "T1"}, [{}],
)  # fmt: skip


def check(text: str, where: str) -> None:
    try:
        parse_instance(text, where=where)
    except InputError as error:
        message = str(error)
        assert message.startswith("fuzz")
        assert "\n" not in message
        assert not any(leak in message for leak in LEAKS if leak != "provenance.")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_texts_with_a_piece_replaced(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(GOOD)))
    end = min(len(GOOD), begin + data.draw(st.integers(0, 30)))
    piece = data.draw(st.text(alphabet="[]{}=\"'.,#\n\t0123456789eE+-_abcxyz\u00fc", max_size=6))
    check(GOOD[:begin] + piece + GOOD[end:], "fuzz.toml")


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to every entry of a tree."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    return [place for key, below in items for place in [(*path, key), *places(below, (*path, key))]]


RAW = tomllib.loads(GOOD)
PLACES = places(RAW)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.sampled_from(PLACES), st.sampled_from(ODD), st.sampled_from(["replace", "remove", "add"]))
def test_trees_with_an_entry_replaced_removed_or_added(
    place: tuple[str | int, ...], odd: Any, action: str
) -> None:
    raw = copy.deepcopy(RAW)
    at: Any = raw
    for step in place[:-1]:
        at = at[step]
    if action == "replace":
        at[place[-1]] = odd
    elif action == "remove":
        del at[place[-1]]
    elif isinstance(at, dict):
        at["value" if odd == 0 else "new"] = odd
    else:
        at.append(odd)
    check(tomli_w.dumps(raw), str(Path("fuzz") / "x.toml"))
