"""What is wrong with an architecture or a query-size distribution is said in words."""

from __future__ import annotations

import copy

import pytest
import tomli_w

from hercules_opt.errors import InputError
from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.loading import parse_instance

DLRM = {
    "tables": [{"count": 3, "rows": 100, "dim": 16}],
    "dense_features": 13,
    "bottom_mlp": [32, 16],
    "interaction": "dot",
    "top_mlp": [64, 1],
}
DIN = {
    "tables": [
        {"rows": 100, "dim": 16, "sequence": 20, "role": "behaviour"},
        {"rows": 100, "dim": 16, "role": "candidate"},
    ],
    "behaviour": {"unit": "attention", "attention_hidden": [8]},
    "top_mlp": [4, 1],
}
TWO_FACTORS = {"rows": 9, "count": 2, "dim": 8, "role": "factor"}
NCF = {"tables": [{"rows": 9, "count": 2, "dim": 8, "role": "factor"}, {"rows": 9, "dim": 4}], "top_mlp": [2]}


def changed(data, path, value):
    """Return a deep copy with the entry at a dotted path set, or removed if the value is ``None``."""
    result = copy.deepcopy(data)
    target = result
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        target = target[step]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return result


def message(architecture=DLRM, query_size=None) -> str:
    """Return what a user reads who loads an instance with this model."""
    model = {"architecture": architecture} | ({"query_size": query_size} if query_size else {})
    raw = {
        "format": 1,
        "name": "t",
        "servers": {"s": {}},
        "models": {"m": model},
        "loads": {"qps": {"m": [1]}},
    }
    with pytest.raises(InputError) as caught:
        parse_instance(tomli_w.dumps(raw), where="t.toml")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("t.toml, models.m.")
    return text.removeprefix("t.toml, models.m.")


def test_the_bases_are_valid():
    for data in (DLRM, DIN, NCF):
        Architecture.model_validate(data)


@pytest.mark.parametrize(
    ("data", "path", "value", "text"),
    [
        (DLRM, "tables", [], "tables: must have at least one entry"),
        (DLRM, "tables", None, "tables: is required"),
        (DLRM, "tables", 7, "tables: must be a list, found 7"),
        (DLRM, "tables.0.rows", 0, "tables.0.rows: must be at least 1, found 0"),
        (DLRM, "tables.0.rows", 10**13, "tables.0.rows: must be at most 1000000000000, found 10000000000000"),
        (DLRM, "tables.0.rows", [5, 6], "count: must be left out, or 2: rows lists one number per table"),
        (DLRM, "tables.0.rows", [5, 0, 6], "tables.0.rows.1: must be at least 1, found 0"),
        (DLRM, "tables.0.rows", [], "tables.0.rows: must have at least one entry"),
        (DLRM, "tables.0.rows", "many", "tables.0.rows: must be a whole number"),
        (DLRM, "tables.0.dim", 0, "tables.0.dim: must be at least 1, found 0"),
        (DLRM, "tables.0.dim", 2.5, "tables.0.dim: must be a whole number, found 2.5"),
        (DLRM, "tables.0.lookups", 0, "tables.0.lookups: must be at least 1e-06, found 0"),
        (DLRM, "tables.0.lookups", float("nan"), "tables.0.lookups: must be "),
        (DLRM, "tables.0.count", True, "tables.0.count: must be a whole number, found "),
        (DLRM, "tables.0.role", "behavior", "tables.0.role: must be 'feature', 'behaviour', 'candidate'"),
        (DLRM, "tables.0.row", 3, "tables.0.row: unknown key. Did you mean 'rows'?"),
        (DLRM, "tables.0.dim", 8, "interaction: 'dot' needs vectors of one width: the dim of the tables"),
        (DLRM, "bottom_mlp", [32, 8], "interaction: 'dot' needs vectors of one width"),
        (DLRM, "bottom_mlp", [], "interaction: 'dot' needs vectors of one width"),
        (DLRM, "dense_features", None, "dense_features: is required with a bottom_mlp"),
        (DLRM, "dense_features", -1, "dense_features: must be at least 0, found -1"),
        (DLRM, "interaction", "sum", "interaction: must be 'concat' or 'dot', found 'sum'"),
        (DLRM, "top_mlp", [], "top_mlp: must have at least one entry"),
        (DLRM, "top_mlp", [64, 0], "top_mlp.1: must be at least 1, found 0"),
        (DLRM, "top_mlp", [10**7], "top_mlp.0: must be at most 1000000, found 10000000"),
        (DLRM, "top_mlp", {"value": [8, 0]}, "top_mlp.1: must be at least 1, found 0"),
        (DLRM, "tasks", 2, "task_mlp: is required for several tasks"),
        (DLRM, "table_element_bytes", 0, "table_element_bytes: must be at least 1e-06, found 0"),
        (DLRM, "behaviour", {"unit": "gru", "hidden": 8}, "tables: a behaviour unit needs tables"),
        (DIN, "behaviour", None, "behaviour: is required: there are tables of role 'behaviour'"),
        (DIN, "behaviour.attention_hidden", None, "attention_hidden: is required for unit 'attention'"),
        (DIN, "behaviour.hidden", 8, "behaviour.hidden: is not used by unit 'attention': leave it out"),
        (DIN, "behaviour.unit", "grus", "unit: must be 'attention', 'gru' or 'gru-augru', found 'grus'"),
        (DIN, "tables.1.role", "feature", "tables: unit 'attention' needs exactly one vector"),
        (DIN, "tables.1.count", 2, "exactly one vector from tables of role 'candidate', found 2"),
        (DIN, "tables.1.dim", 8, "'candidate' and 'behaviour' must have the same dim, found 8 and 16"),
        (DIN, "tables.0.role", "candidate", "tables: a behaviour unit needs tables"),
        (NCF, "tables.0.count", 1, "tables of role 'factor' must give at least two vectors, found 1"),
        (NCF, "tables.1.role", "factor", "tables of role 'factor' must have the same dim, found 8 and 4"),
        (NCF, "tables", [TWO_FACTORS], "tables: the top MLP has no input"),
    ],
)  # fmt: skip
def test_bad_architecture(data, path, value, text):
    """One fault at a time; the message names the key, the rule and what was found."""
    found = message(changed(data, path, value))
    assert found.startswith("architecture.")
    assert text in found


def test_dot_names_all_widths():
    assert message(changed(DLRM, "tables.0.dim", 8)).endswith("last width of the bottom_mlp, found 8 and 16")


def test_lonely_vector_has_no_pairs():
    data = {"tables": [{"rows": 9, "dim": 4}], "interaction": "dot", "top_mlp": [1]}
    assert message(data) == "architecture.interaction: 'dot' needs at least two vectors, found 1"


def test_behaviours_of_two_widths():
    data = changed(DIN, "tables", [*DIN["tables"], {"rows": 9, "dim": 8, "role": "behaviour"}])
    assert "role 'behaviour' must have the same dim, found 16 and 8" in message(data)


LOGNORMAL = {"distribution": "lognormal", "mean_items": 100, "sigma": 1}
FIXED = {"distribution": "fixed", "mean_items": 10}
LISTED = {"distribution": "empirical", "items": [10, 20], "weights": [1, 2]}


@pytest.mark.parametrize(
    ("data", "path", "value", "text"),
    [
        (LOGNORMAL, "sigma", None, "sigma: is required for distribution 'lognormal'"),
        (LOGNORMAL, "std_items", 3, "is not used by distribution 'lognormal': it needs mean_items and sigma"),
        (LOGNORMAL, "distribution", "normal", "std_items: is required for distribution 'normal'"),
        (LOGNORMAL, "distribution", "poisson", "distribution: must be 'fixed', 'normal', 'lognormal'"),
        (LOGNORMAL, "mean_items", 0, "mean_items: must be at least 1e-06, found 0"),
        (LOGNORMAL, "mean_items", float("inf"), "mean_items: must be "),
        (LOGNORMAL, "min_items", 2000, "min_items: must be at most max_items (1024), found 2000"),
        (LOGNORMAL, "max_items", 0, "max_items: must be at least 1, found 0"),
        (LISTED, "weights", [1], "weights: must have one entry per item, 2, found 1"),
        (LISTED, "weights", [0, 0], "weights: one of the weights must be greater than 0"),
        (LISTED, "weights", [-1, 2], "weights.0: must be at least 0, found -1"),
        (LISTED, "items", [10, 10], "items.1: each size may appear only once, found 10"),
        (LISTED, "items", [10, 5000], "items.1: must lie from min_items to max_items, 1 to 1024, found 5000"),
        (LISTED, "items", [10, 20.5], "items.1: must be a whole number, found 20.5"),
        (FIXED, "mean_items", 10.5, "mean_items: a fixed size must be a whole number from 1 to"),
        (FIXED, "min_items", 20, "mean_items: a fixed size must be a whole number from 20 to 1024, found 10"),
    ],
)  # fmt: skip
def test_bad_query_size(data, path, value, text):
    """One fault at a time; the message names the key, the rule and what was found."""
    found = message(query_size=changed(data, path, value))
    assert found.startswith("query_size.")
    assert text in found
