"""Why not: least shortfall, fewest added servers and load cuts against listing every choice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from provisioning_cases import brute_force_w, least_shortfall_qps, medium_problem, text_value, tiny_problem
from rich.text import Text

import hercules_opt as ho
from hercules_opt.provisioning.checking.check_certificate import CertificateError, proven_shortfall_qps
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.least_missing import least_missing
from hercules_opt.provisioning.programs.exact import ExactProblem, exact_data
from hercules_opt.reporting.explanations import explanation_page

TINY = ho.load_instance("tiny")


def busy_tiny(factor: float = 2.0) -> ho.ProvisioningProblem:
    """tiny with more load: interval 2 then asks for 1,800 and 600 QPS, which nothing covers."""
    problem = ho.ProvisioningProblem.from_instance(TINY)
    return problem.replace(load_qps=problem.load_qps * factor)


def infeasible_problems(count: int) -> list[ho.ProvisioningProblem]:
    """Small problems of one interval that no split of the servers covers."""
    found = []
    for seed in range(1000):
        problem = tiny_problem(seed)
        if (problem.available <= 3).all() and brute_force_w(problem) is None:
            found.append(problem)
        if len(found) == count:
            return found
    raise AssertionError("too few")


def with_servers(problem: ho.ProvisioningProblem, added: dict[str, int]) -> ho.ProvisioningProblem:
    more = np.array([added.get(name, 0) for name in problem.server_types])
    return problem.replace(available=problem.available + more)


def fewest_by_listing(problem: ho.ProvisioningProblem, types: list[int], most: int) -> int | None:
    """Try every addition of at most ``most`` servers, fewest first."""
    for total in range(most + 1):
        for added in product(range(total + 1), repeat=len(types)):
            if sum(added) != total:
                continue
            more = np.zeros(len(problem.available), dtype=int)
            more[types] = added
            if brute_force_w(problem.replace(available=problem.available + more)) is not None:
                return total
    return None


def all_coverages(problem: ho.ProvisioningProblem) -> set[tuple[Fraction, ...]]:
    """Return what each model gets, in QPS, under every split of the servers."""
    _, types, models = problem.shape
    rates = [[text_value(rate) if rate == rate else Fraction(0) for rate in row] for row in problem.qps]
    reached = {(Fraction(0),) * models}
    for h in range(types):
        splits = [
            split
            for split in product(range(int(problem.available[h]) + 1), repeat=models)
            if sum(split) <= problem.available[h]
        ]
        reached = {
            tuple(old + rates[h][m] * n for m, (old, n) in enumerate(zip(before, split, strict=True)))
            for before in reached
            for split in splits
        }
    return reached


def required(problem: ho.ProvisioningProblem) -> list[Fraction]:
    return [
        (1 + text_value(rate)) * text_value(load)
        for rate, load in zip(problem.over_provision, problem.load_qps[0], strict=True)
    ]


SMALL = infeasible_problems(24)


@pytest.mark.parametrize("problem", SMALL)
def test_the_least_shortfall_is_that_of_listing(problem: ho.ProvisioningProblem) -> None:
    (short,) = ho.explain(problem).shortfalls
    assert short.label == "proven"
    assert short.total_qps == pytest.approx(least_shortfall_qps(problem), rel=1e-12)
    assert short.at_least_qps == pytest.approx(short.total_qps, rel=1e-6)
    assert sum(short.by_model.values()) == pytest.approx(short.total_qps)


@pytest.mark.parametrize("problem", SMALL)
def test_the_fewest_added_servers_are_those_of_listing(problem: ho.ProvisioningProblem) -> None:
    """Where more than six servers are needed the listing stops: then six must not do."""
    explanation = ho.explain(problem)
    addition = explanation.addition
    assert addition is not None
    listed = fewest_by_listing(problem, list(range(len(problem.available))), 3)
    assert addition.label == "proven"
    if listed is not None:
        assert addition.total == addition.at_least == listed
    elif addition.total is not None:
        assert addition.total > 3
    if addition.servers is not None:
        assert sum(addition.servers.values()) == addition.total
        assert ho.provision(with_servers(problem, addition.servers)).status == "optimal"
    else:
        assert explanation.unserved
    for h, name in enumerate(problem.server_types):
        alone = explanation.by_type[name]
        assert alone.label == "proven"
        listed = fewest_by_listing(problem, [h], 6)
        assert alone.total == listed or (listed is None and (alone.total is None or alone.total > 6))
        if alone.servers is not None:
            assert set(alone.servers) == {name}
            assert ho.provision(with_servers(problem, alone.servers)).status == "optimal"


@pytest.mark.parametrize("problem", SMALL)
def test_the_load_cuts_are_those_of_listing(problem: ho.ProvisioningProblem) -> None:
    explanation = ho.explain(problem)
    coverages, loads = all_coverages(problem), required(problem)
    loaded = [m for m, load in enumerate(loads) if load]

    def largest(models: list[int]) -> Fraction | None:
        factors = [
            min(Fraction(1), *(reached[m] / loads[m] for m in models))
            for reached in coverages
            if all(reached[m] >= loads[m] for m in loaded if m not in models)
        ]
        return max(factors, default=None)

    assert explanation.all_loads is not None
    common = largest(loaded)
    assert common is not None
    assert explanation.all_loads.factor == pytest.approx(float(common), rel=1e-12)
    assert text_value(explanation.all_loads.factor) <= common
    assert explanation.all_loads.label == "proven"
    assert sorted(explanation.by_model) == sorted(problem.models[m] for m in loaded)
    for m in loaded:
        cut, expected = explanation.by_model[problem.models[m]], largest([m])
        assert cut.label == "proven"
        if expected is None:
            assert cut.factor is None
        else:
            assert cut.factor == pytest.approx(float(expected), rel=1e-12)


def test_tiny_by_hand() -> None:
    """1,800 and 600 QPS from 6 cpu (100 and 100) and 2 gpu (450 and 200).

    Both gpu for ranking give 900, the 6 cpu 600 more: 900 are missing. Two more gpu give 1,800 and leave the
    cpu for retrieval. All loads at 11/18: ranking 1,100 by two gpu and two cpu, retrieval 366.7 by four.
    """
    explanation = ho.explain(busy_tiny())
    (short,) = explanation.shortfalls
    assert (short.interval, short.total_qps, short.at_least_qps) == (2, 900.0, 900.0)
    assert explanation.addition == ho.Addition({"gpu": 2}, 2, 2, "proven")
    assert explanation.by_type == {
        "cpu": ho.Addition({"cpu": 9}, 9, 9, "proven"),
        "gpu": ho.Addition({"gpu": 2}, 2, 2, "proven"),
    }
    assert explanation.all_loads is not None
    assert explanation.all_loads.factor == pytest.approx(11 / 18)
    assert explanation.by_model["ranking"] == ho.LoadCut(0.5, 2, "proven")
    assert explanation.by_model["retrieval"] == ho.LoadCut(None, 2, "proven")
    assert not explanation.feasible
    assert explanation.coverable == (0, 1, 3)


def test_one_type_that_is_best_of_all_is_given_alike() -> None:
    """Whatever time allows, no addition over all types needs more than one of a single type."""
    problem = medium_problem(6, intervals=3)
    problem = problem.replace(load_qps=np.round(problem.load_qps * 2 + 0.3, 1))
    for limit_s in (0.3, 1.0, None):
        explanation = ho.explain(problem, time_limit_s=limit_s)
        if explanation.addition is None or explanation.addition.servers is None:
            continue
        totals = [entry.total for entry in explanation.by_type.values() if entry.total is not None]
        assert all(explanation.addition.total <= total for total in totals)
        if len(explanation.addition.servers) == 1:
            (name,) = explanation.addition.servers
            assert explanation.by_type[name] == explanation.addition


def test_a_day_is_repaired_as_a_whole() -> None:
    """Interval 0 needs one more cpu, interval 1 one more gpu: the day needs both, each alone needs one."""
    problem = ho.ProvisioningProblem(
        qps=[[100, np.nan], [np.nan, 100]], power_w=[[10, np.nan], [np.nan, 10]], available=[1, 1],
        load_qps=[[200, 0], [0, 200], [100, 100]], server_types=["cpu", "gpu"], models=["a", "b"],
    )  # fmt: skip
    explanation = ho.explain(problem)
    assert [entry.interval for entry in explanation.shortfalls] == [0, 1]
    assert explanation.addition is not None
    assert explanation.addition.servers == {"cpu": 1, "gpu": 1}
    assert (explanation.addition.total, explanation.addition.at_least) == (2, 1)
    assert explanation.addition.label == "claimed"  # no single interval proves that both are needed
    assert all(entry.total is None for entry in explanation.by_type.values())
    assert explanation.all_loads == ho.LoadCut(0.5, 0, "proven")


@pytest.mark.parametrize("seed", range(10))
def test_every_repair_repairs_the_whole_day(seed: int) -> None:
    problem = medium_problem(seed, intervals=3)
    problem = problem.replace(load_qps=np.round(problem.load_qps * 2 + 0.3, 1))
    explanation = ho.explain(problem)
    plan = ho.provision(problem)
    assert [e.interval for e in explanation.shortfalls] == np.flatnonzero(~plan.covered).tolist()
    additions = [explanation.addition, *explanation.by_type.values()]
    for addition in additions:
        if addition is not None and addition.servers is not None:
            assert ho.provision(with_servers(problem, addition.servers)).status in ("optimal", "feasible")
    for name, cut in [(None, explanation.all_loads), *explanation.by_model.items()]:
        if cut is None or cut.factor is None:
            continue
        rows = np.array([1.0 if name in (None, m) else 0.0 for m in problem.models])
        fitting = problem.replace(load_qps=problem.load_qps * (1 - rows * (1 - cut.factor * (1 - 1e-9))))
        assert ho.provision(fitting).status in ("optimal", "feasible")
        above = problem.replace(load_qps=problem.load_qps * (1 - rows * (1 - cut.factor - 1e-6)))
        assert ho.provision(above).status == "infeasible"


def test_the_same_answer_with_a_plan_and_of_a_plan_that_need_not_have_failed() -> None:
    problem = busy_tiny()
    plan = ho.provision(problem)
    explained = ho.explain(problem, plan)
    assert explained == replace(ho.explain(problem), coverable=())
    assert explained == ho.explain(TINY.replace(loads=_loads(problem)), None, plan)
    greedy = ho.provision(problem, policy="greedy")
    assert ho.explain(problem, greedy).shortfalls == explained.shortfalls


def _loads(problem: ho.ProvisioningProblem) -> dict[str, dict[str, list[float]]]:
    return {"qps": {name: problem.load_qps[:, m].tolist() for m, name in enumerate(problem.models)}}


def test_a_feasible_day_has_nothing_to_repair() -> None:
    explanation = ho.explain(TINY)
    assert explanation.feasible
    assert explanation.coverable == (0, 1, 2, 3)
    assert (explanation.addition, explanation.all_loads, explanation.shortfalls) == (None, None, ())


def test_a_model_that_nothing_serves_is_named() -> None:
    problem = ho.ProvisioningProblem([[100, np.nan]], [[10, np.nan]], [5], [100, 1], models=["a", "b"])
    explanation = ho.explain(problem)
    assert explanation.unserved == ("b",)
    assert explanation.addition == ho.Addition(None, None, 0, "proven")
    assert explanation.by_model["b"] == ho.LoadCut(0.0, 0, "proven")


def test_powers_need_not_be_known() -> None:
    """What is missing has nothing to do with power: servers may be what is minimized."""
    problem = busy_tiny()
    unknown = problem.replace(power_w=np.full_like(problem.power_w, np.nan))
    assert ho.explain(unknown) == ho.explain(problem)
    plan = ho.provision(unknown, objective="servers", allow_shortfall=True)
    assert plan.misses_least
    assert plan.shortfall[2].sum() == 900
    assert ho.verify(unknown, plan) == []


def test_a_time_limit_says_so_and_claims_nothing() -> None:
    explanation = ho.explain(busy_tiny(), time_limit_s=0.0)
    assert explanation.stopped_by == "time_limit"
    assert explanation.addition is None
    assert explanation.by_model == {}


def test_requirements_are_kept_to() -> None:
    """Without gpu for ranking, 900 QPS take 9 cpu; 6 are there. A pair fixed at 0 is as good as forbidden."""
    required = ho.Requirements(forbid=[("gpu", "ranking")])
    plan = ho.provision(TINY, requirements=required)
    explanation = ho.explain(TINY, None, plan)
    assert [entry.interval for entry in explanation.shortfalls] == [2]
    assert explanation.shortfalls[0].by_model == {"ranking": 300.0}
    assert explanation.by_type["gpu"].servers is None
    assert explanation.by_type["cpu"].total == 3
    fixed = ho.Requirements(fixed={("gpu", "ranking"): 0})
    least = ho.provision(busy_tiny(), requirements=fixed, allow_shortfall=True)
    assert least.misses_least
    assert ho.verify(busy_tiny(), least) == []
    forbidden = ho.provision(busy_tiny(), requirements=required)
    assert ho.explain(busy_tiny(), least) == ho.explain(busy_tiny(), forbidden)


#: tiny's types, one interval: cpu serve 100 and 150 QPS at 150 and 120 W, of which there are 4.
LIMITED = ho.ProvisioningProblem([[100.0, 150.0]], [[150.0, 120.0]], [4], [[250.0, 100.0]])


def test_a_cap_on_power_is_explained() -> None:
    """3 and 1 servers draw 570 W; within 500 W there are 2 and 1, or 3 and none."""
    plan = ho.provision(LIMITED, requirements=ho.Requirements(power_cap_w=500))
    found = ho.explain(LIMITED, plan)
    assert [entry.total_qps for entry in found.shortfalls] == [50.0]
    assert found.addition is not None
    assert found.addition.servers is None  # more servers draw no less
    cuts = {name: cut.factor for name, cut in found.by_model.items()}
    assert cuts == {"model1": 0.8, "model2": 0.0}


def test_minimum_servers_are_explained() -> None:
    """The loads can be covered, but six servers are asked for and four are there; no smaller load helps."""
    asked = ho.Requirements(at_least={"model1": 3, "model2": 3})
    found = ho.explain(LIMITED, ho.provision(LIMITED, requirements=asked))
    assert [entry.total_qps for entry in found.shortfalls] == [0.0]
    assert found.addition is not None
    assert found.addition.total == 2
    assert found.all_loads is not None
    assert found.all_loads.factor is None
    page = explanation_page(TINY, found)
    text = " ".join(part.plain for part in page if isinstance(part, Text))
    assert "Interval 0: the loads can be covered, but not with the minimum servers as well." in text


def test_fixed_counts_carry_their_part_of_a_load() -> None:
    """Two of four servers are fixed for the second model; the first gets 200 of 250 QPS, 80 %."""
    asked = ho.Requirements(fixed={("type1", "model2"): 2})
    problem = LIMITED.replace(load_qps=[[250.0, 300.0]])
    found = ho.explain(problem, ho.provision(problem, requirements=asked))
    assert [entry.by_model for entry in found.shortfalls] == [{"model1": 50.0}]
    assert found.addition is not None
    assert (found.addition.total, found.addition.label) == (1, "proven")
    assert found.by_model["model1"].factor == 0.8
    assert found.by_model["model2"].factor is None  # its servers are not to be had


def test_bad_arguments_are_refused_in_words() -> None:
    problem = busy_tiny()
    plan = ho.provision(problem)

    def refused(text: str, *arguments: object) -> None:
        with pytest.raises(ho.InputError) as error:
            ho.explain(*arguments)  # type: ignore[arg-type]
        assert str(error.value) == text

    refused("explain: give (instance, table, plan) or (problem, plan)", problem, plan, plan)
    refused("plan: must be a Plan, found 'str'", problem, None, "plan.json")
    shorter = problem.replace(load_qps=problem.load_qps[:2], duration_h=1.0)
    refused(
        "plan: is a plan of another problem: its counts have shape (4, 2, 2), not (2, 2, 2)", shorter, plan
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_proof_of_a_shortfall_cannot_be_stretched(seed: int) -> None:
    """Any figure of the certificate raised by a thousandth proves no more than is true, or nothing."""
    problem = medium_problem(seed)
    problem = problem.replace(load_qps=problem.load_qps * 1.7 + 0.37)
    exact = ExactProblem.of(problem)
    interval = exact.intervals[0]
    nothing = ((0,) * len(interval.available),) * len(interval.needs)
    missing = least_missing(interval, nothing, Effort(0.0))
    assert proven_shortfall_qps(exact_data(interval), missing.certificate) == missing.qps
    leaf = next(missing.certificate.leaves())
    raised = replace(leaf, least=tuple(None if v is None else v * 1.001 + 1e-3 for v in leaf.least))
    with pytest.raises(CertificateError, match="there is one"):
        proven_shortfall_qps(exact_data(interval), replace(missing.certificate, root=raised))


def test_allowed_shortfall_is_the_least_then_the_cheapest() -> None:
    """Of all splits that miss 900 QPS the cheapest uses the cpu for retrieval: 2 x 400 + 6 x 120 W."""
    problem = busy_tiny()
    plan = ho.provision(problem, allow_shortfall=True)
    assert plan.status == "infeasible"
    assert plan.shortfall[2].sum() == plan.shortfall_bound[2] == 900
    assert plan.power_w[2] == 1520
    assert plan.misses_least
    assert plan.bound_source[2] == "certified"
    assert ho.verify(problem, plan) == []
    assert not ho.provision(problem).misses_least


@pytest.mark.parametrize("problem", SMALL[:12])
def test_allowed_shortfalls_match_listing(problem: ho.ProvisioningProblem, tmp_path) -> None:
    plan = ho.provision(problem, allow_shortfall=True)
    assert plan.misses_least
    assert plan.shortfall.sum() == pytest.approx(least_shortfall_qps(problem), rel=1e-12)
    assert plan.power_w[0] <= ho.provision(problem).power_w[0]
    assert ho.verify(problem, plan) == []
    ho.save_plan(plan, tmp_path / "plan.json")
    read = ho.load_plan(tmp_path / "plan.json")
    assert ho.verify(problem, read) == []
    assert read.shortfall_bound.tolist() == plan.shortfall_bound.tolist()


def test_a_shortfall_that_is_not_the_least_proven_is_found_out() -> None:
    problem = busy_tiny()
    plan = ho.provision(problem, allow_shortfall=True)
    certificate = plan.certificate[2]
    assert certificate is not None
    lie = replace(
        plan, certificate=(*plan.certificate[:2], replace(certificate, bound=901.0), plan.certificate[3])
    )
    (found,) = ho.verify(problem, lie)
    assert str(found) == "interval 2: states 901.0 QPS, proves 900.0 QPS"


def test_only_hercules_misses_least() -> None:
    with pytest.raises(ho.InputError) as error:
        ho.provision(busy_tiny(), policy="greedy", allow_shortfall=True)
    assert str(error.value) == (
        "allow_shortfall: needs the policy hercules, found 'greedy'. "
        "Only hercules finds the least shortfall; what other policies miss, their plans say anyway."
    )
