"""What if: changes by hand, what holds for any problem, and the value of a server by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from provisioning_cases import brute_force_w, medium_problem, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.answers.what_if import changed

TINY = ho.load_instance("tiny")
PROBLEM = ho.ProvisioningProblem.from_instance(TINY)


@pytest.mark.parametrize("seed", range(6))
def test_no_change_changes_nothing(seed: int) -> None:
    problem = medium_problem(seed, intervals=2)
    for same in (changed(problem), changed(problem, load=1, servers={}, over_provision=0.0)):
        assert same is problem
    found = ho.what_if(problem, values=False)
    assert found.plans[0] is found.plans[1]
    assert found.problems == (problem, problem)
    assert found.values is None


def test_changes_by_hand() -> None:
    after = changed(
        PROBLEM, load={"ranking": 1.1}, servers={"gpu": -2, "cpu": 3}, over_provision={"retrieval": 0.2}
    )
    assert after.load_qps[:, 0].tolist() == [
        110,
        440,
        990,
        0,
    ]  # as decimals: floats would give 990.0000000000001
    assert after.load_qps[:, 1].tolist() == PROBLEM.load_qps[:, 1].tolist()
    assert after.available.tolist() == [9, 0]
    assert after.over_provision.tolist() == [0, 0.2]
    assert changed(PROBLEM, load=2).load_qps.tolist() == (2 * PROBLEM.load_qps).tolist()
    assert changed(PROBLEM, over_provision=0.5).over_provision.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("seed", range(10))
def test_what_is_easier_never_needs_more(seed: int) -> None:
    """More servers, less load and a lower rate never raise the optimal power."""
    problem = medium_problem(seed, intervals=2)
    for easier in (
        {"servers": {problem.server_types[0]: 2}},
        {"load": 0.7},
        {"load": {problem.models[-1]: 0.0}},
    ):
        before, after = ho.what_if(problem, values=False, **easier).plans
        assert (after.covered | ~before.covered).all()
        both = before.covered & after.covered
        assert (after.power_w[both] <= before.power_w[both]).all()


@pytest.mark.parametrize("seed", [0, 3, 5, 9, 12, 13, 17, 20, 24, 31, 33, 40])
def test_the_value_of_a_server_is_that_of_listing(seed: int) -> None:
    problem = tiny_problem(seed)
    least = brute_force_w(problem)
    values = ho.what_if(problem).values
    if least is None:
        assert values is None
        return
    assert values is not None
    for h, value in enumerate(values):
        more = problem.available.copy()
        more[h] += 1
        richer = brute_force_w(problem.replace(available=more))
        assert richer is not None
        assert value.server_type == problem.server_types[h]
        assert value.saving_w == pytest.approx(float(least - richer), abs=1e-9)
        assert value.error_w == 0


def test_values_over_a_day_are_its_intervals_weighted_by_their_length() -> None:
    """A gpu (100 QPS, 50 W) stands in for two cpu of 40 W: a second one saves 30 W in the second interval."""
    problem = ho.ProvisioningProblem(
        qps=[[50], [100]], power_w=[[40], [50]], available=[8, 1], load_qps=[[100], [200], [0]],
        duration_h=[1, 3, 2], server_types=["cpu", "gpu"],
    )  # fmt: skip
    values = ho.what_if(problem).values
    assert values is not None
    assert [(value.server_type, value.saving_w, value.error_w) for value in values] == [
        ("cpu", 0.0, 0.0),
        ("gpu", 30 * 3 / 6, 0.0),
    ]
    assert values[1].estimate_w == pytest.approx(15, abs=1e-6)


def test_requirements_hold_before_after_and_with_one_more_server() -> None:
    """One cpu is fixed in the last two intervals; the last asks for two servers, without a load."""
    problem = ho.ProvisioningProblem(
        qps=[[50], [100]], power_w=[[40], [50]], available=[8, 1], load_qps=[[100], [200], [0]],
        duration_h=[1, 3, 2], server_types=["cpu", "gpu"],
    )  # fmt: skip
    required = ho.Requirements(
        fixed={("cpu", "model1"): [0, 1, 1]}, at_least={"model1": [0, 0, 2]}, power_cap_w=[100, 140, 100]
    )
    found = ho.what_if(problem, servers={"gpu": 1}, load=1.0, requirements=required)
    assert [plan.status for plan in found.plans] == ["infeasible", "optimal"]
    assert found.plans[1].counts[:, :, 0].tolist() == [[0, 1], [1, 2], [1, 1]]
    problem = problem.replace(load_qps=[[100], [150], [0]])
    found = ho.what_if(problem, requirements=required)
    assert found.plans[0].power_w.tolist() == [50.0, 90.0, 90.0]
    assert found.values is not None
    assert [value.saving_w for value in found.values] == [0.0, 0.0]
    cheaper = ho.Requirements(at_least={"model1": [2, 2, 0]})
    more = ho.what_if(problem.replace(load_qps=[[100], [200], [0]]), requirements=cheaper)
    assert more.values is not None
    assert [(value.saving_w, value.error_w) for value in more.values] == [(0.0, 0.0), (30 * 3 / 6, 0.0)]


def test_types_of_which_there_can_be_no_more_have_no_value() -> None:
    values = ho.what_if(TINY, servers={"cpu": 999_994}).values
    assert values is not None
    assert [value.server_type for value in values] == ["gpu"]


def test_a_day_that_no_longer_fits_is_explained() -> None:
    found = ho.what_if(TINY, load=2)
    assert [plan.status for plan in found.plans] == ["optimal", "infeasible"]
    assert found.values is None
    assert found.explanation == ho.explain(found.problems[1], found.plans[1])
    assert found.explanation.addition is not None
    repaired = ho.what_if(TINY, load=2, servers=found.explanation.addition.servers, values=False)
    assert repaired.explanation is None
    assert repaired.plans[1].status == "optimal"


def test_progress_names_what_is_done() -> None:
    seen: list[tuple[str, int, int]] = []
    ho.what_if(TINY, load=0.9, progress=lambda label, done, total: seen.append((label, done, total)))
    assert ("as it is", 4, 4) in seen
    assert ("changed", 4, 4) in seen
    assert seen[-1] == ("one more server", 2, 2)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"load": "2"}, "load: must be a finite number, found '2'"),
        ({"load": True}, "load: must be a finite number, found true"),
        ({"load": float("nan")}, "load: must be a finite number, found nan"),
        ({"load": -1.0}, "load: must be at least 0 and at most 1e+06, found -1.0"),
        ({"load": 1e7}, "load: must be at least 0 and at most 1e+06, found 10000000.0"),
        ({"load": {"rank": 2.0}}, "load: unknown model, found 'rank'. Did you mean 'ranking'?"),
        ({"load": {"ranking": None}}, "load, ranking: must be a finite number"),
        ({"load": {"ranking": -0.5}}, "load, ranking: must be at least 0 and at most 1e+06, found -0.5"),
        ({"servers": {"gpx": 1}}, "servers: unknown server type, found 'gpx'. Did you mean 'gpu'?"),
        ({"servers": {"gpu": 1.0}}, "servers, gpu: must be a whole number, found 1.0"),
        ({"servers": {"gpu": True}}, "servers, gpu: must be a whole number, found true"),
        ({"servers": {"gpu": -3}}, "servers, gpu: takes away more than the 2 that are there, found -3"),
        ({"servers": "gpu"}, "servers: must map server types to whole numbers, found 'gpu'"),
        ({"servers": {"gpu": 10**7}}, "available: must be whole numbers from 0 to 1000000, found 10000002.0"),
        ({"over_provision": -0.1}, "over_provision, ranking: must be at least 0 and at most 100, found -0.1"),
        (
            {"over_provision": {"rank": 0.1}},
            "over_provision: unknown model, found 'rank'. Did you mean 'ranking'?",
        ),
        ({"over_provision": np.inf}, "over_provision: must be a finite number, found inf"),
        ({"gap": 2.0}, "gap: must be at least 0 and at most 1, found 2.0"),
        ({"time_limit_s": -1.0}, "time_limit_s: must be at least 0 and at most 1e+09, found -1.0"),
    ],
)
def test_bad_changes_are_refused_in_words(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ho.InputError) as error:
        ho.what_if(PROBLEM, **changes)  # type: ignore[arg-type]
    assert str(error.value) == text
