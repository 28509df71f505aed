"""Plan files: what is written is read back, and what is malformed is refused."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import fields

import numpy as np
import pytest
from provisioning_cases import medium_problem

import hercules_opt as ho


@pytest.fixture(scope="module")
def plan():
    """Four intervals, of which some are proven by branches and one may be infeasible."""
    return ho.provision(medium_problem(12, intervals=4))


@pytest.fixture(scope="module")
def infeasible_plan():
    return ho.provision(
        ho.ProvisioningProblem([[10.0, np.nan]], [[50.0, np.nan]], [3], [[5.0, 0.0], [40.0, 1.0]])
    )


def _same(one, two):
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(two, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right, field.name


def test_json_round_trip(tmp_path, plan, infeasible_plan):
    """Every field comes back, certificates included, and the file is the same when written again."""
    for number, one in enumerate(
        (plan, infeasible_plan, ho.provision(ho.load_instance("tiny"), policy="greedy"))
    ):
        path = tmp_path / f"{number}.json"
        ho.save_plan(one, path)
        back = ho.load_plan(path)
        _same(one, back)
        ho.save_plan(back, tmp_path / "again.json")
        assert (tmp_path / "again.json").read_text() == path.read_text()


def test_a_loaded_plan_verifies(tmp_path):
    """What was proven stays proven through the file."""
    problem = medium_problem(12, intervals=4)
    ho.save_plan(ho.provision(problem), tmp_path / "plan.json")
    assert ho.verify(problem, ho.load_plan(tmp_path / "plan.json")) == []


def test_json_states_schema_version_and_terms(plan):
    """Readers can tell what they have."""
    data = ho.plan_to_json(plan)
    assert (data["schema"], data["schema_version"]) == ("hercules-opt/plan", 1)
    assert data["version"] == ho.__version__
    assert {"policy", "solver", "objective_name", "requested_gap", "provenance"} <= set(data)
    json.dumps(data, allow_nan=False)


def test_csv_has_the_rows_of_to_frame(tmp_path, plan):
    """Interval, server type, model, count; each row with the layout's version."""
    ho.save_plan_csv(plan, tmp_path / "plan.csv")
    with (tmp_path / "plan.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["schema_version"] for row in rows} == {"1"}
    frame = plan.to_frame()
    assert [(int(r["interval"]), r["server_type"], r["model"], int(r["count"])) for r in rows] == list(
        frame.itertuples(index=False, name=None)
    )


def _at(data, *path):
    for step in path[:-1]:
        data = data[step]
    return data, path[-1]


def _set(value, *path):
    def change(data):
        holder, last = _at(data, *path)
        holder[last] = value

    return change


def _drop(*path):
    def change(data):
        holder, last = _at(data, *path)
        del holder[last]

    return change


BRANCH = {"server_type": "type1", "model": "model1", "count": 1, "at_most": 1, "at_least": 2}
LEAF = {"multipliers": [0.0], "least": [0.0, 0.0]}


def _nested(depth):
    nodes = []
    for level in range(depth):
        nodes += [{**BRANCH, "at_most": 2 * level + 1, "at_least": 2 * level + 2}, LEAF]
    return [*nodes, LEAF]


MALFORMED = {
    "no schema": (_drop("schema"), "schema"),
    "another schema": (_set("hercules-opt/table", "schema"), "schema"),
    "a later version": (_set(2, "schema_version"), "schema_version"),
    "a version as text": (_set("1", "schema_version"), "schema_version"),
    "no policy": (_drop("policy"), "policy"),
    "a number as policy": (_set(3, "policy"), "policy"),
    "an unknown key": (_set(1, "colour"), "colour"),
    "an unknown status": (_set("best", "status"), "status"),
    "a text as objective": (_set("low", "objective"), "objective"),
    "a text as gap": (_set("0", "gap"), "gap"),
    "an unknown provenance": (_set("guessed", "provenance"), "provenance"),
    "no types": (_set([], "server_types"), "server_types"),
    "a type twice": (_set(["type1", "type1"], "server_types"), "server_types"),
    "an empty name": (_set([""], "server_types"), "server_types"),
    "models as text": (_set("model1", "models"), "models"),
    "a model missing": (_set(["model1"], "models"), "model2"),
    "no intervals": (_set([], "intervals"), "intervals"),
    "intervals as table": (_set({}, "intervals"), "intervals"),
    "interval without status": (_drop("intervals", 0, "status"), "intervals.0.status"),
    "interval with an unknown status": (_set("fine", "intervals", 0, "status"), "intervals.0.status"),
    "unknown key in an interval": (_set(1, "intervals", 0, "cost"), "intervals.0.cost"),
    "a count of an unknown type": (_set({"typo": {}}, "intervals", 0, "counts"), "typo"),
    "a count of an unknown model": (_set({"type1": {"mod": 1}}, "intervals", 0, "counts"), "mod"),
    "half a server": (_set({"type1": {"model1": 0.5}}, "intervals", 0, "counts"), "intervals.0.counts"),
    "a count as text": (_set({"type1": {"model1": "1"}}, "intervals", 0, "counts"), "intervals.0.counts"),
    "a true count": (_set({"type1": {"model1": True}}, "intervals", 0, "counts"), "intervals.0.counts"),
    "a huge count": (_set({"type1": {"model1": 10**30}}, "intervals", 0, "counts"), "intervals.0.counts"),
    "counts as list": (_set([], "intervals", 0, "counts"), "intervals.0.counts"),
    "power as text": (_set("x", "intervals", 0, "power_w"), "intervals.0.power_w"),
    "no objective": (_set(None, "intervals", 0, "objective"), "intervals.0.objective"),
    "a later objective too many": (
        _set([{"objective": 1.0, "bound": None}], "intervals", 0, "later"),
        "intervals.0.later: must have an entry for each of the 0 later objectives",
    ),
    "servers as float": (_set(1.5, "intervals", 0, "servers"), "intervals.0.servers"),
    "a bound as text": (_set("x", "intervals", 0, "bound"), "intervals.0.bound"),
    "an unknown source of a bound": (_set("me", "intervals", 0, "bound_source"), "intervals.0.bound_source"),
    "a shortfall of an unknown model": (_set({"x": 1.0}, "intervals", 0, "shortfall_qps"), "shortfall_qps"),
    "a certificate that is not there": (_set(99, "intervals", 0, "certificate"), "intervals.0.certificate"),
    "a negative certificate": (_set(-1, "intervals", 0, "certificate"), "intervals.0.certificate"),
    "an unknown kind of certificate": (_set("x", "certificates", 0, "kind"), "certificates.0.kind"),
    "a certificate without nodes": (_set([], "certificates", 0, "nodes"), "certificates.0.nodes"),
    "a node that is nothing": (_set([{}], "certificates", 0, "nodes"), "certificates.0.nodes"),
    "a price as text": (_set([{**LEAF, "multipliers": ["1"]}], "certificates", 0, "nodes"),
    "certificates.0.nodes"), "a branch to itself": (_set([{**BRANCH, "at_most": 0}, LEAF, LEAF],
    "certificates", 0, "nodes"), "later node"), "a branch to nowhere": (_set([{**BRANCH, "at_most": 9}, LEAF,
    LEAF], "certificates", 0, "nodes"), "later node"), "a node used twice": (_set([{**BRANCH, "at_least": 1},
    LEAF], "certificates", 0, "nodes"), "no other names"), "a node left over": (_set([LEAF, LEAF],
    "certificates", 0, "nodes"), "one tree"), "a branch on an unknown type": (
        _set([{**BRANCH, "server_type": "type9"}, LEAF, LEAF], "certificates", 0, "nodes"),
        "Did you mean 'type1'",
    ),
    "branches too deep": (_set(_nested(300), "certificates", 0, "nodes"), "deeper than 200"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_plan_is_refused_with_its_place(tmp_path, infeasible_plan, kind):
    """One ``InputError`` that names the file and the key."""
    change, text = MALFORMED[kind]
    data = copy.deepcopy(ho.plan_to_json(infeasible_plan))
    change(data)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ho.InputError) as error:
        ho.load_plan(path)
    assert text in str(error.value)
    assert "plan.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "plan.json"),
        (b"7", "plan.json"),
        (b"null", "plan.json"),
        (b"\xff\xfe", "must be UTF-8 text"),
        (b'{"schema": NaN}', "plan.json"),
        (b'{"schema": 1, "schema": 2}', "plan.json"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, content, text):
    """Not JSON, not a table, not text."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(ho.InputError) as error:
        ho.load_plan(path)
    assert text in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ho.InputError, match="no such file"):
        ho.load_plan(tmp_path / "none.json")
