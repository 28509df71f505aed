"""A corpus of malformed plan files: each one mutation of a good file, each with the message it must give."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_message, call

import hercules_opt as ho

PLAN: dict[str, Any] = ho.plan_to_json(ho.provision(ho.load_instance("tiny")))
LEAF = PLAN["certificates"][0]["nodes"][0]
COUNTS = ("intervals", 0, "counts")
Mutation = Callable[[Any], Any]


def put(*path: Any) -> Mutation:
    """Set the value at a path, the last of the arguments."""
    *steps, key, value = path

    def mutate(plan: Any) -> None:
        for step in steps:
            plan = plan[step]
        plan[key] = value

    return mutate


def drop(*path: Any) -> Mutation:
    """Remove the key at the end of a path."""
    *steps, key = path

    def mutate(plan: Any) -> None:
        for step in steps:
            plan = plan[step]
        del plan[key]

    return mutate


def branch(**changes: Any) -> Mutation:
    """Make the first certificate a branch with two leaves, then spoil it."""
    node = {"server_type": "cpu", "model": "ranking", "count": 1, "at_most": 1, "at_least": 2, **changes}
    return put("certificates", 0, "nodes", [node, LEAF, LEAF])


MISSING: list[tuple[Mutation, str]] = [
    *((drop(key), f"{key}: is required") for key in PLAN),
    *((drop("intervals", 1, key), f"intervals.1.{key}: is required") for key in PLAN["intervals"][1]),
    *(
        (drop("certificates", 0, key), f"certificates.0.{key}: is required")
        for key in PLAN["certificates"][0]
    ),
    *(
        (drop("certificates", 0, "nodes", 0, key), f"certificates.0.nodes.0.{key}: is required")
        for key in LEAF
    ),
]
CHANGED: list[tuple[Mutation, str]] = [
    (put("statsu", 1), "statsu: unknown key"),
    (put("intervals", 0, "powre_w", 1), "intervals.0.powre_w: unknown key. Did you mean 'power_w'?"),
    (put("certificates", 0, "nodes", 0, "leats", []), "nodes.0.leats: unknown key. Did you mean 'least'?"),
    (put("schema", "hercules-opt/table"), "schema: must be 'hercules-opt/plan', found 'hercules-opt/table'"),
    (put("schema_version", 2), "schema_version: must be 1, found 2"),
    (put("schema_version", "1"), "schema_version: must be 1, found '1'"),
    (put("schema_version", True), "schema_version: must be 1, found true"),
    (put("schema_version", 1.0), "schema_version: must be 1, found 1.0"),
    (put("version", 1), "version: must be a text, found 1"),
    (put("version", ""), "version: must be a version such as 1.2.3, found ''"),
    (put("version", "latest"), "version: must be a version such as 1.2.3, found 'latest'"),
    (put("policy", None), "policy: must be a text"),
    (
        put("policy", "hercule"),
        "policy: must be one of hercules, greedy, greedy-priority, lp-rounding, oblivious, given, found 'hercule'. "
        "Did you mean 'hercules'?",
    ),
    (
        put("solver", "gurobi"),
        "solver: must be one of branch-and-price, highs, ortools-highs, scip, cp-sat, cbc, glpk where the policy "
        "is hercules, found 'gurobi'",
    ),
    (
        put("policy", "greedy"),
        "solver: must be none where the policy is greedy, found 'branch-and-price'",
    ),
    (
        put("objective_name", "watts"),
        "objective_name: must be one of power, servers, cost, or several with ', ' between, found 'watts'",
    ),
    (
        put("objective_name", "power, power"),
        "objective_name: must be one of power, servers, cost, or several",
    ),
    (put("objective_name", "power,servers"), "objective_name: must be written 'power, servers'"),
    (put("requested_gap", -1e-6), "requested_gap: must be at least 0, found -1e-06"),
    (put("requested_gap", 1.5), "requested_gap: must be at most 1, found 1.5"),
    (put("time_limit_s", -1), "time_limit_s: must be at least 0, found -1"),
    (put("runtime_s", -0.5), "runtime_s: must be at least 0, found -0.5"),
    (
        put("stopped_by", "timelimit"),
        "stopped_by: must be 'time_limit', 'node_limit', 'solver_failure' or 'interrupt', found 'timelimit'. Did "
        "you mean 'time_limit'?",
    ),
    (
        put("status", "optimum"),
        "status: must be 'optimal', 'feasible', 'infeasible' or 'unknown', found 'optimum'",
    ),
    (put("status", "Optimal"), "Did you mean 'optimal'?"),
    (put("objective", "547.5"), "objective: must be a number, found '547.5'"),
    (put("gap", []), "gap: must be a number, found an empty list"),
    (put("bound", {}), "bound: must be a number, found an empty table"),
    (put("time_limit_s", "1 h"), "time_limit_s: must be a number, found '1 h'"),
    (put("runtime_s", None), "runtime_s: must be a number"),
    (put("provenance", "measurd"), "Did you mean 'measured'?"),
    (put("notes", "solver cbc failed"), "notes: must be a list, found 'solver cbc failed'"),
    (put("notes", None), "notes: must be a list"),
    (put("notes", [1]), "notes.0: must be a text, found 1"),
    (put("notes", ["a", None]), "notes.1: must be a text"),
    (put("notes", ["x" * 1001]), "notes.0: must have at most 1000"),
    (put("server_types", "cpu"), "server_types: must be a list, found 'cpu'"),
    (put("server_types", []), "server_types: must have at least one entry"),
    (put("server_types", ["cpu", "cpu"]), "server_types: a name may appear only once, found 'cpu'"),
    (put("server_types", 0, 7), "server_types.0: must be a text, found 7"),
    (put("server_types", 0, ""), "server_types.0: must have at least 1 characters"),
    (put("server_types", 0, "x" * 300), "server_types.0: must have at most 200 characters"),
    (put("server_types", 0, "gpx"), "counts: unknown name, found 'cpu'"),
    (put("models", []), "models: must have at least one entry"),
    (put("models", ["retrieval", "retrieval"]), "models: a name may appear only once, found 'retrieval'"),
    (put("intervals", []), "intervals: must have at least one entry"),
    (put("intervals", {}), "intervals: must be a list, found an empty table"),
    (put("intervals", 0, "x"), "intervals.0: must be a table, found 'x'"),
    (put("intervals", 0, None), "intervals.0: must be a table"),
    (put("intervals", 1, "status", 3), "intervals.1.status: must be 'optimal'"),
    (put(*COUNTS, []), "intervals.0.counts: must be a table, found an empty list"),
    (put(*COUNTS, {"cpu": 1}), "intervals.0.counts.cpu: must be a table, found 1"),
    (
        put(*COUNTS, {"cppu": {"ranking": 1}}),
        "intervals.0.counts: unknown name, found 'cppu'. Did you mean 'cpu'?",
    ),
    (
        put(*COUNTS, {"cpu": {"rankin": 1}}),
        "counts.cpu: unknown name, found 'rankin'. Did you mean 'ranking'?",
    ),
    (
        put(*COUNTS, "cpu", "ranking", 1.5),
        "intervals.0.counts.cpu.ranking: must be a whole number, found 1.5",
    ),
    (put(*COUNTS, "cpu", "ranking", 1.0), "counts.cpu.ranking: must be a whole number, found 1.0"),
    (put(*COUNTS, "cpu", "ranking", "1"), "counts.cpu.ranking: must be a whole number, found '1'"),
    (put(*COUNTS, "cpu", "ranking", True), "counts.cpu.ranking: must be a whole number, found true"),
    (put(*COUNTS, "cpu", "ranking", None), "counts.cpu.ranking: must be a whole number"),
    (put(*COUNTS, "cpu", "ranking", 10**13), "counts.cpu.ranking: must be at most 1000000000000"),
    (put(*COUNTS, "cpu", "ranking", 10**400), "found a whole number of more than 100 digits"),
    (put("intervals", 0, "power_w", "270"), "intervals.0.power_w: must be a number, found '270'"),
    (put("intervals", 0, "objective", None), "intervals.0.objective: must be a number"),
    (put("intervals", 0, "servers", 2.5), "intervals.0.servers: must be a whole number, found 2.5"),
    (put("intervals", 0, "bound", False), "intervals.0.bound: must be a number, found false"),
    (put("intervals", 0, "bound_source", "certifed"), "Did you mean 'certified'?"),
    (put("intervals", 0, "shortfall_qps", []), "intervals.0.shortfall_qps: must be a table"),
    (
        put("intervals", 0, "shortfall_qps", {"rnk": 1}),
        "intervals.0.shortfall_qps: unknown name, found 'rnk'",
    ),
    (
        put("intervals", 0, "certificate", 99),
        "intervals.0.certificate: must be the place of one of 4 certificates",
    ),
    (
        put("intervals", 0, "certificate", -1),
        "intervals.0.certificate: must be the place of one of 4 certificates",
    ),
    (put("intervals", 0, "certificate", "a"), "intervals.0.certificate: must be a whole number, found 'a'"),
    (put("certificates", {}), "certificates: must be a list, found an empty table"),
    (put("certificates", 0, 5), "certificates.0: must be a table, found 5"),
    (
        put("certificates", 0, "kind", "bond"),
        "certificates.0.kind: must be 'bound', 'infeasible' or 'shortfall', found 'bond'",
    ),
    (put("certificates", 0, "nodes", []), "certificates.0.nodes: must have at least one entry"),
    (put("certificates", 0, "nodes", 0, "x"), "certificates.0.nodes.0: must be a table, found 'x'"),
    (put("certificates", 0, "nodes", 0, "multipliers", 0), "nodes.0.multipliers: must be a list, found 0"),
    (put("certificates", 0, "nodes", 0, "least", ["0"]), "nodes.0.least.0: must be a number, found '0'"),
    (
        put("certificates", 0, "nodes", [LEAF, LEAF]),
        "certificates.0.nodes: must form one tree from the first node",
    ),
    (
        branch(at_most=0),
        "certificates.0.nodes.0.at_most: must be the place of a later node that no other names",
    ),
    (
        branch(at_least=1),
        "certificates.0.nodes.0.at_least: must be the place of a later node that no other names",
    ),
    (branch(at_most=3), "certificates.0.nodes.0.at_most: must be the place of a later node"),
    (branch(at_most=-1), "certificates.0.nodes.0.at_most: must be at least 0, found -1"),
    (branch(server_type="cpx"), "nodes.0.server_type: unknown name, found 'cpx'. Did you mean 'cpu'?"),
    (branch(model="retrival"), "nodes.0.model: unknown name, found 'retrival'. Did you mean 'retrieval'?"),
    (branch(count=0.5), "nodes.0.count: must be a whole number, found 0.5"),
]
TEXT = json.dumps(PLAN)
BYTES: list[tuple[bytes, str]] = [
    (b"", "is not valid JSON"),
    (b"null", "must be a"),
    (b"3", "must be a"),
    (b"[]", "must be a"),
    (TEXT[:400].encode(), "is not valid JSON"),
    ((TEXT + TEXT).encode(), "is not valid JSON: Extra data"),
    (b"\xff\xfe" + TEXT.encode(), "must be UTF-8 text, found byte 0xff at position 0"),
    (TEXT.replace("547.5", "NaN").encode(), "must be a finite number, found NaN"),
    (TEXT.replace("547.5", "-Infinity").encode(), "must be a finite number, found -Infinity"),
    (TEXT.replace('"objective": 547.5', '"objective": 1e400').encode(), "objective: must be a finite number"),
    (TEXT.replace('"servers": 2', '"servers": ' + "9" * 5000).encode(), "a whole number has too many digits"),
    (
        TEXT.replace('"models"', '"server_types"', 1).encode(),
        "a key may appear only once, found 'server_types'",
    ),
    (b"[" * 100_000, "is not valid JSON: nested too deeply"),
    (TEXT.replace('"status"', "'status'", 1).encode(), "is not valid JSON"),
]
COUNTS_CSV = "interval,server_type,model,count\n0,cpu,ranking,1\n3,cpu,retrieval,1\n"
CSV: list[tuple[str, str, str]] = [
    (COUNTS_CSV, "", "must have a header line, found an empty file"),
    ("interval,", "time,", "line 1: unknown column, found 'time'"),
    ("server_type", "server", "line 1: unknown column, found 'server'"),
    (",count", "", "line 2: must have 3 fields, found 4"),
    (COUNTS_CSV, "interval,server_type,model\n0,cpu,ranking\n", "line 1: column 'count' is missing"),
    (",count\n", ",count,count\n", "line 1: a column may appear only once, found 'count'"),
    ("ranking,1", "ranking", "line 2: must have 4 fields, found 3"),
    ("ranking,1", "ranking,1,1", "line 2: must have 4 fields, found 5"),
    ("ranking,1", "ranking,one", "line 2, count: must be a whole number from 0 to 1000000000, found 'one'"),
    ("ranking,1", "ranking,1.5", "line 2, count: must be a whole number"),
    ("ranking,1", "ranking,-1", "line 2, count: must be a whole number from 0 to 1000000000, found '-1'"),
    ("ranking,1", "ranking,", "line 2, count: must be a whole number"),
    ("ranking,1", "ranking,1e3", "line 2, count: must be a whole number"),
    ("ranking,1", "ranking,1_0", "line 2, count: must be a whole number"),
    ("ranking,1", "ranking," + "9" * 50, "line 2, count: must be a whole number"),
    ("ranking,1", "ranking,nan", "line 2, count: must be a whole number"),
    (
        "3,cpu,retrieval",
        "0,cpu,ranking",
        "line 3: each count may appear only once, found interval 0, cpu x ranking in",
    ),
    ("0,cpu", "first,cpu", "line 2, interval: must be a whole number"),
    ("0,cpu", '"0,cpu', "is not a CSV file"),
    (COUNTS_CSV, COUNTS_CSV.replace(",", ";"), "fields must be separated by commas, found semicolons"),
    ("count\n0,cpu,ranking,1\n", "count,schema_version\n0,cpu,ranking,1,2\n", "line"),
]
NAMES_CSV: list[tuple[str, str, str]] = [
    ("3,cpu", "4,cpu", "line 3, interval: must be an interval of the problem, 0 to 3, found 4"),
    ("0,cpu", "0,cpx", "line 2, server_type: unknown name, found 'cpx'. Did you mean 'cpu'?"),
    ("ranking,1", "rnking,1", "line 2, model: unknown name, found 'rnking'. Did you mean 'ranking'?"),
]


def refused(path: Path, fragment: str, commands: tuple[str, ...] = ("verify", "compare", "validate")) -> None:
    """Check that every command that reads plans refuses one with the same message, and writes nothing."""
    before = sorted(path.parent.iterdir())
    for command in commands:
        instance = [] if command == "validate" else ["tiny"]
        assert_one_message(call(command, *instance, path), str(path), fragment)
    assert_one_message(call("compare", "tiny", path, "--json"), str(path), fragment)
    assert sorted(path.parent.iterdir()) == before


def test_the_corpus_is_large() -> None:
    assert len(MISSING) + len(CHANGED) + len(BYTES) + len(CSV) + len(NAMES_CSV) >= 130


def test_the_plans_that_are_mutated_are_good(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(TEXT)
    (tmp_path / "plan.csv").write_text(COUNTS_CSV)
    for name in ("plan.json", "plan.csv"):
        assert call("verify", "tiny", tmp_path / name).code == 0


@pytest.mark.parametrize(("mutate", "fragment"), [*MISSING, *CHANGED])
def test_malformed_json(tmp_path: Path, mutate: Mutation, fragment: str) -> None:
    plan = copy.deepcopy(PLAN)
    mutate(plan)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    refused(path, fragment, ("verify",) if fragment == "schema: is required" else ("verify", "validate"))


@pytest.mark.parametrize(("content", "fragment"), BYTES)
def test_bytes_that_are_no_plan(tmp_path: Path, content: bytes, fragment: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    refused(path, fragment)


@pytest.mark.parametrize(("old", "new", "fragment"), CSV)
def test_malformed_counts(tmp_path: Path, old: str, new: str, fragment: str) -> None:
    assert old in COUNTS_CSV
    path = tmp_path / "plan.csv"
    path.write_text(COUNTS_CSV.replace(old, new, 1))
    header = path.read_text().split("\n")[0]
    is_counts = "count" in header and header.startswith("interval,server_type,") and ";" not in header
    refused(path, fragment, ("verify", "validate") if is_counts else ("verify",))


@pytest.mark.parametrize(("old", "new", "fragment"), NAMES_CSV)
def test_counts_of_what_the_instance_does_not_have(tmp_path: Path, old: str, new: str, fragment: str) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(COUNTS_CSV.replace(old, new, 1))
    refused(path, fragment, ("verify",))
