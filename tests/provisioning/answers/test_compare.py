"""Comparison: figures by hand, failures beside savings, orders by seed."""

from __future__ import annotations

import numpy as np
import pytest
from provisioning_cases import medium_problem

import hercules_opt as ho


def test_the_tiny_instance_by_hand():
    """Hercules saves 62.5 of 610 W in the mean, nothing at the peak."""
    instance = ho.load_instance("tiny")
    greedy, plan = ho.provision(instance, policy="greedy"), ho.provision(instance)
    report = ho.compare(instance, instance.table, [greedy, plan])
    first, second = report.plans
    assert (first.policy, second.policy) == ("greedy", "hercules")
    assert (first.mean_power_w, second.mean_power_w) == (610.0, 547.5)
    assert first.saving.mean_power == 0.0
    assert second.saving.mean_power == pytest.approx(62.5 / 610)
    assert second.saving.peak_power == 0.0
    assert second.saving.intervals == 4
    assert second.peak_servers == 5
    assert second.mean_servers == 2.75
    assert second.server_hours == {"cpu": 48.0, "gpu": 18.0}
    assert second.uncovered == ()
    assert second.orders.worse == 1.0
    assert second.orders.saving_min == second.orders.saving_max == pytest.approx(62.5 / 610)
    assert report.greedy_orders.covering == 100


def test_savings_count_only_intervals_that_both_cover():
    """Greedy fails in interval 1, which is named and left out of every saving."""
    problem = ho.ProvisioningProblem(
        [[10.0, 10.0], [4.0, np.nan]], [[50.0, 50.0], [40.0, 40.0]], [2, 5], [[8.0, 5.0], [15.0, 10.0]]
    )
    greedy, plan = ho.provision(problem, policy="greedy"), ho.provision(problem)
    first, second = ho.compare(problem, [greedy, plan]).plans
    assert first.uncovered == (1,)
    assert second.uncovered == ()
    assert second.saving.intervals == 1
    assert second.saving.mean_power == 0.0
    assert first.mean_power_w == 100.0
    assert second.mean_power_w == pytest.approx((100 + 180) / 2)


def test_orders_that_fail_are_incomparable_or_left_out():
    """With one interval, the order that fails cannot be compared; the other is equal."""
    problem = ho.ProvisioningProblem(
        [[10.0, 10.0], [4.0, np.nan]], [[50.0, 50.0], [40.0, 40.0]], [2, 5], [[15.0, 10.0]]
    )
    report = ho.compare(problem, [ho.provision(problem)], orders=200, seed=1)
    orders = report.plans[0].orders
    assert orders.better == orders.worse == 0.0
    assert orders.equal + orders.incomparable == 1.0
    assert 0.3 < orders.equal < 0.7
    assert report.greedy_orders.covering == round(200 * orders.equal)
    assert report.greedy_orders.mean_power_w == (180.0, 180.0, 180.0)


def test_no_plan_of_greedy_in_any_order_beats_hercules():
    """Shares add up to one, and none is better than the optimum."""
    for seed in range(6):
        problem = medium_problem(seed, intervals=2)
        summary = ho.compare(problem, [ho.provision(problem)], orders=20).plans[0]
        orders = summary.orders
        assert orders.better == 0.0
        assert orders.better + orders.equal + orders.worse + orders.incomparable == pytest.approx(1.0)


def test_same_seed_same_orders():
    """The comparison repeats; another seed may differ but keeps the plans' own figures."""
    problem = medium_problem(4, intervals=2)
    plan = ho.provision(problem, policy="greedy")
    assert ho.compare(problem, [plan], seed=3) == ho.compare(problem, [plan], seed=3)
    assert ho.compare(problem, [plan], seed=4).plans[0].mean_power_w == float(
        np.average(plan.power_w, weights=problem.duration_h)
    )


def test_no_load_saves_nothing_and_divides_by_nothing():
    """Zero power on both sides: the shares are unknown, not an error."""
    problem = ho.ProvisioningProblem([[10.0]], [[50.0]], [1], [0.0])
    summary = ho.compare(problem, [ho.provision(problem)]).plans[0]
    assert summary.saving.mean_power is None
    assert summary.orders.equal == 1.0


def test_to_frame_has_one_row_per_plan():
    instance = ho.load_instance("tiny")
    plans = [ho.provision(instance, policy=policy) for policy in ("greedy", "hercules")]
    frame = ho.compare(instance, None, plans).to_frame()
    assert frame["policy"].tolist() == ["greedy", "hercules"]
    assert frame["server_hours gpu"].tolist() == [24.0, 18.0]


def test_bad_calls_are_refused():
    """No plan, a plan of something else, no orders."""
    instance = ho.load_instance("tiny")
    plan = ho.provision(instance)
    with pytest.raises(ho.InputError, match="plans: must be a list of one Plan or more"):
        ho.compare(instance, instance.table, [])
    with pytest.raises(ho.InputError, match="plans: must be a list"):
        ho.compare(instance, None)
    with pytest.raises(ho.InputError, match="plans: must be a list"):
        ho.compare(instance, None, plan)
    with pytest.raises(ho.InputError, match="must have the problem's server types"):
        ho.compare(medium_problem(1), [plan])
    with pytest.raises(ho.InputError, match="orders: must be a whole number"):
        ho.compare(instance, None, [plan], orders=0)
