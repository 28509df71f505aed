"""The problem's arrays: what is refused, and how an instance becomes one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hercules_opt as ho

GOOD = {"qps": [[10.0, 5.0]], "power_w": [[100.0, 90.0]], "available": [3], "load_qps": [[4.0, 0.0]]}

BAD = [
    ({"qps": [[0.0, 5.0]]}, "qps, type1 x model1: must be above 0"),
    ({"qps": [[-1.0, 5.0]]}, "qps, type1 x model1: must be above 0"),
    ({"qps": [[1e13, 5.0]]}, "at most 1e+12"),
    ({"qps": [[math.inf, 5.0]]}, "qps, type1 x model1"),
    ({"qps": [10.0, 5.0]}, "must have shape (server types, models)"),
    ({"qps": [["fast", 5.0]]}, "qps: must be an array of numbers"),
    ({"qps": [[]]}, "none of them 0"),
    ({"qps": np.ma.masked_equal([[10.0, 5.0]], 5.0)}, "qps: must not be a masked array"),
    ({"power_w": [[100.0]]}, "power_w: must have shape (1, 2), not (1, 1)"),
    ({"power_w": [[0.0, 90.0]]}, "power_w, type1 x model1: must be above 0"),
    ({"power_w": [[-5.0, 90.0]]}, "or NaN where it is unknown"),
    ({"available": [-1]}, "available, type1: must be at least 0"),
    ({"available": [1.5]}, "available: must be whole numbers"),
    ({"available": [1_000_001]}, "available: must be whole numbers from 0 to 1000000"),
    ({"available": [math.nan]}, "available: must be whole numbers"),
    ({"available": [1, 2]}, "available: must have shape (1,), not (2,)"),
    ({"load_qps": [[-4.0, 0.0]]}, "load_qps, interval 0, model1: must be at least 0"),
    ({"load_qps": [[math.nan, 0.0]]}, "load_qps, interval 0, model1"),
    ({"load_qps": [[1e13, 0.0]]}, "at most 1e+12"),
    ({"load_qps": [[4.0]]}, "load_qps: must have shape (intervals, 2) or (2,), not (1, 1)"),
    ({"load_qps": np.zeros((0, 2))}, "load_qps: must have shape"),
    ({"over_provision": -0.1}, "over_provision, model1: must be at least 0"),
    ({"over_provision": [0.1]}, "over_provision: must have shape (2,), not (1,)"),
    ({"duration_h": 0.0}, "duration_h, interval 0: must be above 0"),
    ({"duration_h": [1.0, 2.0]}, "duration_h: must have shape (1,), not (2,)"),
    ({"server_types": ["a", "b"]}, "server_types: must be 1 names"),
    ({"models": ["a", "a"]}, "models: a name may appear only once, found 'a'"),
    ({"models": ["a", ""]}, "models: must be non-empty texts"),
    ({"models": "ab"}, "models: must be non-empty texts"),
    ({"kinds": [["measured"]]}, "kinds: must be 1 rows of 2 kinds"),
    ({"kinds": [["measured", "mesured"]]}, "Did you mean 'measured'?"),
]


@pytest.mark.parametrize(("change", "text"), BAD)
def test_bad_input_is_refused_with_its_place(change, text):
    """Each fault is an ``InputError`` that says where, and what is allowed."""
    with pytest.raises(ho.InputError) as error:
        ho.ProvisioningProblem(**{**GOOD, **change})
    assert text in str(error.value)


def test_shapes_spread_and_arrays_are_frozen_copies():
    """A single interval, scalars and defaults take their full shapes; the input stays as it was."""
    qps = np.array([[10.0, np.nan]])
    problem = ho.ProvisioningProblem(
        qps, [[100.0, np.nan]], [3], [4.0, 0.0], over_provision=0.1, duration_h=2
    )
    assert problem.shape == (1, 1, 2)
    assert problem.load_qps.shape == (1, 2)
    assert problem.over_provision.tolist() == [0.1, 0.1]
    assert problem.duration_h.tolist() == [2.0]
    assert problem.server_types == ("type1",)
    assert problem.models == ("model1", "model2")
    qps[0, 0] = 99
    assert problem.qps[0, 0] == 10.0
    with pytest.raises(ValueError, match="read-only"):
        problem.qps[0, 0] = 1.0


def test_replace_checks_again():
    """A changed copy is checked; an unknown parameter is refused with the nearest one."""
    problem = ho.ProvisioningProblem(**GOOD)
    assert problem.replace(available=[5]).available.tolist() == [5]
    with pytest.raises(ho.InputError, match="available, type1"):
        problem.replace(available=[-5])
    with pytest.raises(ho.InputError, match="Did you mean 'load_qps'"):
        problem.replace(load_qp=[1.0, 2.0])


def test_unknown_power_is_an_error_that_names_the_pair():
    """A pair that can serve needs a power; one that cannot does not."""
    problem = ho.ProvisioningProblem([[10.0, np.nan]], [[np.nan, np.nan]], [3], [4.0, 0.0])
    with pytest.raises(
        ho.InputError, match="power_w, type1 x model1: must be known where power is minimized"
    ):
        ho.provision(problem)
    known = problem.replace(power_w=[[100.0, np.nan]])
    assert ho.provision(known).status == "optimal"


def test_an_instance_becomes_a_problem():
    """Names, order, availability and lengths are the instance's; pairs that are absent cannot serve."""
    instance = ho.load_instance("tiny")
    problem = ho.ProvisioningProblem.from_instance(instance)
    assert problem.server_types == ("cpu", "gpu")
    assert problem.models == ("ranking", "retrieval")
    assert problem.qps.tolist() == [[100.0, 100.0], [450.0, 200.0]]
    assert problem.power_w.tolist() == [[150.0, 120.0], [400.0, 350.0]]
    assert problem.available.tolist() == [6, 2]
    assert problem.duration_h.tolist() == [6.0] * 4
    rows = [row for row in instance.table.to_rows() if row["server_type"] == "cpu"]
    half = ho.ProvisioningProblem.from_instance(instance, ho.EfficiencyTable.from_rows(rows))
    assert np.isnan(half.qps[1]).all()


def test_kinds_are_the_weaker_of_rate_and_power():
    """A measured rate with an assumed power is assumed."""
    instance = ho.load_instance("tiny")
    pairs = [
        {"server_type": "cpu", "model": "ranking", "qps": 100, "power_w": 9, "kind": "measured"},
        {
            "server_type": "gpu", "model": "ranking", "kind": "measured",
            "qps": 100, "power_w": {"value": 9, "kind": "published"},
        },
    ]  # fmt: skip
    problem = ho.ProvisioningProblem.from_instance(instance, ho.EfficiencyTable.from_rows(pairs))
    assert problem.kinds[0][0] == "measured"
    assert problem.kinds[1][0] == "published"


def test_a_table_must_fit_the_instance():
    """An unknown name is refused with the nearest one, and no table at all with what to do."""
    instance = ho.load_instance("tiny")
    table = ho.EfficiencyTable.from_rows([{"server_type": "gpv", "model": "ranking", "qps": 1.0}])
    with pytest.raises(ho.InputError, match="unknown server type, found 'gpv'"):
        ho.provision(instance, table)
    with pytest.raises(ho.InputError, match="needs an efficiency table"):
        ho.provision(instance.replace(efficiency=None))
    with pytest.raises(ho.InputError, match="takes no table"):
        ho.provision(ho.ProvisioningProblem(**GOOD), instance.table)
    with pytest.raises(ho.InputError, match="must be an Instance or a ProvisioningProblem"):
        ho.provision("tiny")
    with pytest.raises(ho.InputError, match="must be an EfficiencyTable"):
        ho.provision(instance, {"cpu": 1})
