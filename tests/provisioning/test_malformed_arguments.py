"""A corpus of malformed arguments of stage 2's functions: one InputError each, with its exact text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hercules_opt as ho

TINY = ho.load_instance("tiny")
PROBLEM = ho.ProvisioningProblem.from_instance(TINY)
PLAN = ho.provision(PROBLEM)
GOOD: dict[str, Any] = {
    "qps": [[100, 200]], "power_w": [[10, 20]], "available": [5], "load_qps": [100, 100],
}  # fmt: skip
RATE = "must be above 0 and at most 1e+12, or NaN where the type cannot serve the model"
POWER = "must be above 0 and at most 1e+09, or NaN where it is unknown"
LOAD = "must be at least 0 and at most 1e+12"
HOURS = "must be above 0 and at most 1e+06"
SHARE = "must be at least 0 and at most 100"
KINDS = "'analytic', 'assumed', 'calibrated', 'measured', 'published'"

#: Parameter, what is given, the message.
PROBLEMS: list[tuple[str, Any, str]] = [
    ("qps", 5, "qps: must have shape (server types, models), none of them 0, not ()"),
    ("qps", None, "qps: must have shape (server types, models), none of them 0, not ()"),
    ("qps", [], "qps: must have shape (server types, models), none of them 0, not (0,)"),
    ("qps", [[]], "qps: must have shape (server types, models), none of them 0, not (1, 0)"),
    ("qps", [[[1, 2]]], "qps: must have shape (server types, models), none of them 0, not (1, 1, 2)"),
    ("qps", "x", "qps: must be an array of numbers (could not convert string to float: 'x')"),
    ("qps", [[1, "a"]], "qps: must be an array of numbers (could not convert string to float: 'a')"),
    ("qps", np.ma.masked_array([[1, 2]], [[0, 1]]), "qps: must not be a masked array: use NaN where a pair cannot be served"),
    ("qps", [[0, 1]], f"qps, type1 x model1: {RATE}, found 0.0"),
    ("qps", [[1, -1]], f"qps, type1 x model2: {RATE}, found -1.0"),
    ("qps", [[np.inf, 1]], f"qps, type1 x model1: {RATE}, found inf"),
    ("qps", [[1e13, 1]], f"qps, type1 x model1: {RATE}, found 10000000000000.0"),
    ("qps", [[True, False]], f"qps, type1 x model2: {RATE}, found 0.0"),
    ("power_w", 5, "power_w: must have shape (1, 2), not ()"),
    ("power_w", [[1, 2], [3, 4]], "power_w: must have shape (1, 2), not (2, 2)"),
    ("power_w", [[1, "a"]], "power_w: must be an array of numbers (could not convert string to float: 'a')"),
    ("power_w", [[0, 1]], f"power_w, type1 x model1: {POWER}, found 0.0"),
    ("power_w", [[1, -1]], f"power_w, type1 x model2: {POWER}, found -1.0"),
    ("power_w", [[np.inf, 1]], f"power_w, type1 x model1: {POWER}, found inf"),
    ("power_w", [[1e10, 1]], f"power_w, type1 x model1: {POWER}, found 10000000000.0"),
    ("available", 5, "available: must have shape (1,), not ()"),
    ("available", [1, 2], "available: must have shape (1,), not (2,)"),
    ("available", None, "available: must have shape (1,), not ()"),
    ("available", [-1], "available, type1: must be at least 0 and at most 1e+06, found -1.0"),
    ("available", [1.5], "available: must be whole numbers from 0 to 1000000, found 1.5"),
    ("available", [np.nan], "available: must be whole numbers from 0 to 1000000, found nan"),
    ("available", [np.inf], "available: must be whole numbers from 0 to 1000000, found inf"),
    ("available", [10**7], "available: must be whole numbers from 0 to 1000000, found 10000000.0"),
    ("available", ["a"], "available: must be an array of numbers (could not convert string to float: 'a')"),
    ("load_qps", 5, "load_qps: must have shape (intervals, 2) or (2,), not ()"),
    ("load_qps", [1], "load_qps: must have shape (intervals, 2) or (2,), not (1,)"),
    ("load_qps", [], "load_qps: must have shape (intervals, 2) or (2,), not (0,)"),
    ("load_qps", [[[1, 2]]], "load_qps: must have shape (intervals, 2) or (2,), not (1, 1, 2)"),
    ("load_qps", ["a", 1], "load_qps: must be an array of numbers (could not convert string to float: 'a')"),
    ("load_qps", [-1, 1], f"load_qps, interval 0, model1: {LOAD}, found -1.0"),
    ("load_qps", [[1, 1], [1, np.nan]], f"load_qps, interval 1, model2: {LOAD}, found nan"),
    ("load_qps", [np.inf, 1], f"load_qps, interval 0, model1: {LOAD}, found inf"),
    ("load_qps", [1e13, 1], f"load_qps, interval 0, model1: {LOAD}, found 10000000000000.0"),
    ("over_provision", -0.1, f"over_provision, model1: {SHARE}, found -0.1"),
    ("over_provision", [0, 101], f"over_provision, model2: {SHARE}, found 101.0"),
    ("over_provision", np.nan, f"over_provision, model1: {SHARE}, found nan"),
    ("over_provision", [0.1], "over_provision: must have shape (2,), not (1,)"),
    ("over_provision", "5%", "over_provision: must be an array of numbers (could not convert string to float: '5%')"),
    ("duration_h", 0, f"duration_h, interval 0: {HOURS}, found 0.0"),
    ("duration_h", -1, f"duration_h, interval 0: {HOURS}, found -1.0"),
    ("duration_h", np.inf, f"duration_h, interval 0: {HOURS}, found inf"),
    ("duration_h", 1e7, f"duration_h, interval 0: {HOURS}, found 10000000.0"),
    ("duration_h", [1, 2], "duration_h: must have shape (1,), not (2,)"),
    ("duration_h", "1 h", "duration_h: must be an array of numbers (could not convert string to float: '1 h')"),
    ("server_types", "a", "server_types: must be non-empty texts, found 'a'"),
    ("server_types", 5, "server_types: must be non-empty texts, found 5"),
    ("server_types", [""], "server_types: must be non-empty texts, found a list of 1"),
    ("server_types", [5], "server_types: must be non-empty texts, found a list of 1"),
    ("server_types", ["a", "b"], "server_types: must be 1 names, found 2"),
    ("models", "ab", "models: must be non-empty texts, found 'ab'"),
    ("models", 5, "models: must be non-empty texts, found 5"),
    ("models", {"a": 1, "b": 2}, "models: must be non-empty texts, found a table"),
    ("models", ["a"], "models: must be 2 names, found 1"),
    ("models", ["a", "a"], "models: a name may appear only once, found 'a'"),
    ("models", ["", "b"], "models: must be non-empty texts, found a list of 2"),
    ("kinds", 5, "kinds: must be 1 rows of 2 kinds, found 5"),
    ("kinds", "a", "kinds: must be 1 rows of 2 kinds, found 'a'"),
    ("kinds", [5], "kinds: must be 1 rows of 2 kinds, found a list of 1"),
    ("kinds", [["measured"]], "kinds: must be 1 rows of 2 kinds"),
    ("kinds", [["measured", "xyz"]], f"kinds: unknown kind, found 'xyz'. Valid names: {KINDS}."),
    ("kinds", [["measurd", "measured"]], "kinds: unknown kind, found 'measurd'. Did you mean 'measured'?"),
]  # fmt: skip

NO_PROBLEM = "problem: must be an Instance or a ProvisioningProblem, found {}"
NO_PATH = "path: must be the path of a file"
SOLVERS = "'auto', 'branch-and-price', 'cbc', 'cp-sat', 'glpk', 'highs', 'ortools-highs', 'scip'"
CALLS: list[tuple[Callable[[], object], str]] = [
    (lambda: ho.load_instance(5), "instance: must be the name of an instance, or a path, found 5"),
    (lambda: ho.load_instance(None), "instance: must be the name of an instance, or a path"),
    (lambda: ho.load_instance(""), "instance: must be the name of an instance, or a path, found ''"),
    (lambda: ho.load_instance(b"tiny"), "instance: must be the name of an instance, or a path, found b'tiny'"),
    (lambda: ho.load_instance(["tiny"]), "instance: must be the name of an instance, or a path, found a list of 1"),
    (lambda: ho.load_instance(True), "instance: must be the name of an instance, or a path, found true"),
    (lambda: ho.load_instance("tinny"), "tinny: no such file, and no instance of this name in the library. Did you mean 'tiny'?"),
    *(
        (lambda read=read, path=path: read(path), f"{NO_PATH}{found}")
        for read in (ho.load_plan, ho.EfficiencyTable.from_csv, ho.EfficiencyTable.from_json)
        for path, found in ((5, ", found 5"), (None, ""), ("", ", found ''"), (b"x", ", found b'x'"), ([], ", found an empty list"))
    ),
    *(
        (lambda write=write, path=path: write(path), f"{NO_PATH}{found}")
        for write in (
            lambda path: ho.save_plan(PLAN, path),
            lambda path: ho.save_plan_csv(PLAN, path),
            lambda path: ho.save_instance(TINY, path),
            lambda path: TINY.table.to_csv(path),
            lambda path: TINY.table.to_json(path),
        )
        for path, found in ((5, ", found 5"), (None, ""), ("", ", found ''"), (b"x", ", found b'x'"))
    ),
    (lambda: ho.save_plan(None, "x"), "plan: must be a Plan, found 'NoneType'"),
    (lambda: ho.save_plan(TINY, "x"), "plan: must be a Plan, found 'Instance'"),
    (lambda: ho.save_plan_csv(5, "x"), "plan: must be a Plan, found 'int'"),
    (lambda: ho.plan_to_json({}), "plan: must be a Plan, found 'dict'"),
    (lambda: ho.save_instance(PLAN, "x"), "instance: must be an Instance, found 'Plan'"),
    (lambda: ho.save_instance("tiny", "x"), "instance: must be an Instance, found 'str'"),
    *(
        (lambda function=function, given=given: function(given), NO_PROBLEM.format(found))
        for function in (ho.provision, ho.explain, ho.what_if, lambda given: ho.verify(given, None, PLAN))
        for given, found in ((None, "'NoneType'"), (5, "'int'"), ("tiny", "'str'"), (TINY.table, "'EfficiencyTable'"), (PLAN, "'Plan'"))
    ),
    (lambda: ho.verify(TINY), "plan: must be a Plan, found 'NoneType'"),
    (lambda: ho.verify(TINY, None, "plan.json"), "plan: must be a Plan, found 'str'"),
    (lambda: ho.verify(TINY, PLAN, PLAN), "verify: give (instance, table, plan) or (problem, plan)"),
    (lambda: ho.verify(PROBLEM, TINY.table, PLAN), "table: a ProvisioningProblem has its rates and takes no table"),
    (lambda: ho.verify(TINY, "table.csv", PLAN), "table: must be an EfficiencyTable, found 'str'"),
    (lambda: ho.provision(TINY, "table.csv"), "table: must be an EfficiencyTable, found 'str'"),
    (lambda: ho.provision(PROBLEM, TINY.table), "table: a ProvisioningProblem has its rates and takes no table"),
    (lambda: ho.provision(TINY, policy=5), "policy: must be the name of a policy, or a policy, found 5"),
    (lambda: ho.provision(TINY, policy=None), "policy: must be the name of a policy, or a policy"),
    (lambda: ho.provision(TINY, policy="herculs"), "policy: unknown policy, found 'herculs'. Did you mean 'hercules'?"),
    (lambda: ho.provision(TINY, solver=5), f"solver: unknown solver for policy 'hercules', found 5. Valid names: {SOLVERS}."),
    (lambda: ho.provision(TINY, solver="scp"), "solver: unknown solver for policy 'hercules', found 'scp'. Did you mean 'scip'?"),
    (lambda: ho.provision(TINY, gap="x"), "gap: must be a finite number, found 'x'"),
    (lambda: ho.provision(TINY, gap=None), "gap: must be a finite number"),
    (lambda: ho.provision(TINY, gap=True), "gap: must be a finite number, found true"),
    (lambda: ho.provision(TINY, gap=np.nan), "gap: must be a finite number, found nan"),
    (lambda: ho.provision(TINY, gap=-1e-12), "gap: must be at least 0 and at most 1, found -1e-12"),
    (lambda: ho.provision(TINY, gap=2), "gap: must be at least 0 and at most 1, found 2"),
    (lambda: ho.provision(TINY, gap=1 + 0j), "gap: must be a finite number, found (1+0j)"),
    (lambda: ho.provision(TINY, time_limit_s="1"), "time_limit_s: must be a finite number, found '1'"),
    (lambda: ho.provision(TINY, time_limit_s=-1), "time_limit_s: must be at least 0 and at most 1e+09, found -1"),
    (lambda: ho.provision(TINY, time_limit_s=np.inf), "time_limit_s: must be a finite number, found inf"),
    (lambda: ho.provision(TINY, objective="pwer"), "objective: unknown objective, found 'pwer'. Did you mean 'power'?"),
    (lambda: ho.provision(TINY, workers=0), "workers: must be a whole number, at least 1, found 0"),
    (lambda: ho.provision(TINY, workers=1.5), "workers: must be a whole number, at least 1, found 1.5"),
    (lambda: ho.provision(TINY, workers=True), "workers: must be a whole number, at least 1, found true"),
    (lambda: ho.provision(TINY, allow_shortfall="yes"), "allow_shortfall: must be True or False, found 'yes'"),
    (lambda: ho.provision(TINY, allow_shortfall=None), "allow_shortfall: must be True or False"),
    (lambda: ho.provision(TINY, progress=5), "progress: must be a function of two numbers, found 5"),
    (lambda: ho.provision(TINY, policy=ho.Greedy([0])), "order: must name each of the 2 models once, found a list of 1"),
    (lambda: ho.provision(TINY, policy=ho.Greedy([0, 0])), "order: must name each of the 2 models once, found a list of 2"),
    (lambda: ho.provision(TINY, policy=ho.Greedy([0, "ranking"])), "order: must name each of the 2 models once, found a list of 2"),
    (lambda: ho.provision(TINY, policy=ho.Greedy("ab")), "order: must name each of the 2 models once, found 'ab'"),
    (lambda: ho.provision(TINY, policy=ho.Greedy(5)), "order: must name each of the 2 models once, found 5"),
    *(
        (lambda given=given: ho.compare(TINY, None, given), "plans: must be a list of one Plan or more")
        for given in (None, [], PLAN, 5, [None], ["plan.json"], [PLAN, 5])
    ),
    (lambda: ho.compare(TINY, None, [PLAN], orders=0), "orders: must be a whole number from 1 to 100000, found 0"),
    (lambda: ho.compare(TINY, None, [PLAN], orders=1.5), "orders: must be a whole number from 1 to 100000, found 1.5"),
    (lambda: ho.compare(TINY, None, [PLAN], seed=-1), "seed: must be a whole number, at least 0, found -1"),
    (lambda: ho.compare(TINY, None, [PLAN], seed="x"), "seed: must be a whole number, at least 0, found 'x'"),
    (lambda: ho.compare(TINY, None, [PLAN], seed=1.5), "seed: must be a whole number, at least 0, found 1.5"),
    (lambda: ho.explain(TINY, time_limit_s="x"), "time_limit_s: must be a finite number, found 'x'"),
    (lambda: ho.explain(TINY, time_limit_s=-1), "time_limit_s: must be at least 0 and at most 1e+09, found -1"),
    (lambda: ho.explain(TINY, time_limit_s=np.nan), "time_limit_s: must be a finite number, found nan"),
    (lambda: ho.diff(TINY, 5, PLAN, PLAN), "table: must be an EfficiencyTable, found 'int'"),
    (lambda: ho.diff(TINY, None, 5, PLAN), "first: must be a Plan, found 'int'"),
    (lambda: ho.diff(TINY, None, PLAN), "second: must be a Plan, found 'NoneType'"),
    (lambda: ho.catalogue.servers["T77"], "unknown name, found 'T77'. Did you mean 'T7'?"),
    (lambda: ho.catalogue.servers[7], "unknown name, found 7. Did you mean 'T7'?"),
    (lambda: ho.catalogue.models["dlrm-rmc9"], "unknown name, found 'dlrm-rmc9'. Did you mean 'dlrm-rmc3'?"),
    (lambda: TINY.servers["cpuu"], "unknown name, found 'cpuu'. Did you mean 'cpu'?"),
    (lambda: TINY.models["rank"], "unknown name, found 'rank'. Did you mean 'ranking'?"),
    (lambda: TINY.replace(loadz=1), "Instance, loadz: unknown key. Did you mean 'loads'?"),
    (lambda: TINY.replace(loads=1), "Instance, loads: must be a table, found 1"),
    (lambda: PROBLEM.replace(qqs=1), "replace: unknown parameter, found 'qqs'. Did you mean 'qps'?"),
    (lambda: ho.ProvisioningProblem.from_instance(5), "instance: must be an Instance, found 'int'"),
    (lambda: ho.ProvisioningProblem.from_instance(TINY, 5), "table: must be an EfficiencyTable, found 'int'"),
    (lambda: ho.EfficiencyTable(5), "efficiency table: must be PairEfficiency entries, found 5"),
    (lambda: ho.EfficiencyTable([5]), "efficiency table: must be PairEfficiency entries, found a list of 1"),
    (lambda: ho.EfficiencyTable.from_rows(5), "efficiency table: must be a list of rows, found 5"),
    (lambda: ho.EfficiencyTable.from_rows("rows"), "efficiency table: must be a list of rows, found 'rows'"),
    (lambda: ho.EfficiencyTable.from_rows({"a": 1}), "efficiency table: must be a list of rows, found a table"),
    (lambda: ho.EfficiencyTable.from_rows([5]), "efficiency table, row 1: must be a table, found 5"),
    (lambda: ho.EfficiencyTable.from_rows([{}]), "efficiency table, row 1, server_type: is required. (1 more problem in this input)"),
    (lambda: ho.EfficiencyTable.from_frame(5), "frame: must be a pandas DataFrame, found 'int'"),
    (lambda: ho.EfficiencyTable.from_frame(pd.DataFrame({"server_type": ["a"]})), "data frame, row 1, model: is required"),
]  # fmt: skip


def test_the_corpus_is_large() -> None:
    assert len(PROBLEMS) + len(CALLS) >= 180


@pytest.mark.parametrize(("parameter", "given", "text"), PROBLEMS)
def test_malformed_problems(parameter: str, given: Any, text: str) -> None:
    with pytest.raises(ho.InputError) as error:
        ho.ProvisioningProblem(**{**GOOD, parameter: given})
    assert str(error.value) == text


@pytest.mark.parametrize(("function", "text"), CALLS)
def test_malformed_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[[], object], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ho.InputError) as error:
        function()
    assert str(error.value) == text
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_a_key_error_too() -> None:
    """Code that looks before it leaps, or catches KeyError, works as with any dictionary."""
    with pytest.raises(KeyError):
        TINY.servers["cpuu"]
    assert "cpuu" not in TINY.servers
    assert TINY.servers.get("cpuu") is None
    assert dict(TINY.servers) == {name: TINY.servers[name] for name in ("cpu", "gpu")}


@pytest.mark.parametrize("gap", [np.float64(0.1), np.float32(0.5), np.int64(0), 1])
def test_any_real_number_is_a_gap(gap: Any) -> None:
    assert ho.provision(TINY, gap=gap).status in ("optimal", "feasible")
