"""What the tables and documents say, against figures worked out from the data."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import hercules_opt as ho
from hercules_opt.problem.provenance import KINDS
from hercules_opt.reporting.audits import audit_document, audit_page, proof_line
from hercules_opt.reporting.day import DayReport, day_document, day_grid
from hercules_opt.reporting.efficiency import best_grid, efficiency_grid
from hercules_opt.reporting.figures import figure_kinds, total_kinds, weakest_kind
from hercules_opt.reporting.plans import ending_line, interval_starts_h, intervals_grid, mean_line, use_grid
from hercules_opt.reporting.terms import terms_page

TINY = ho.load_instance("tiny")
FLEET = ho.load_instance("mlperf-fleet")


def test_kinds_count_every_figure_once() -> None:
    groups = figure_kinds(FLEET, FLEET.table)
    assert groups == {
        "rates": {"published": 62},
        "powers": {"published": 62},
        "server counts": {"assumed": 15},
        "loads": {"assumed": 240},
        "over-provision rates": {"assumed": 5},
    }
    assert total_kinds(groups) == {"published": 124, "assumed": 260}
    assert weakest_kind(groups) == "assumed"
    assert weakest_kind({"rates": groups["rates"]}) == "published"
    assert weakest_kind({}) is None
    for kinds in groups.values():
        assert list(kinds) == sorted(kinds, key=KINDS.index)


def test_a_figure_s_own_kind_counts_before_its_part_s() -> None:
    assert TINY.table is not None
    cpu, *others = TINY.table
    mixed = cpu.replace(kind="measured", power_w={"value": 150.0, "kind": "analytic"})
    groups = figure_kinds(TINY, ho.EfficiencyTable((mixed, *others)))
    assert groups["rates"] == {"measured": 1, "assumed": 3}
    assert groups["powers"] == {"analytic": 1, "assumed": 3}


def test_stars_mark_the_best_by_qps_per_watt() -> None:
    assert FLEET.table is not None
    grid = efficiency_grid(FLEET.table, list(FLEET.servers), list(FLEET.models))
    assert grid.header[1:] == tuple(f"{model} " for model in FLEET.models)
    for column, model in enumerate(FLEET.models, start=1):
        worth = {
            pair.server_type: pair.qps / pair.power_w
            for pair in FLEET.table
            if pair.model == model and pair.qps is not None and pair.power_w is not None
        }
        (starred,) = [row[0] for row in grid.rows if row[column].endswith("*")]
        assert starred == max(worth, key=worth.__getitem__)
        absent = [row[0] for row in grid.rows if row[column].strip() == "-"]
        assert set(absent) == set(FLEET.servers) - set(worth)


def test_the_best_type_leads_by_what_the_table_says() -> None:
    """tiny: a gpu ranks 450 QPS against a cpu's 100, and 450/400 QPS per watt against 100/150."""
    assert TINY.table is not None
    ranking, retrieval = best_grid(TINY, TINY.table).rows
    assert ranking == ("ranking", "gpu", "350.0 % ", "gpu", "68.8 % ", "-", "-")
    assert retrieval == ("retrieval", "gpu", "100.0 % ", "cpu", "45.8 % ", "-", "-")


def test_a_lead_within_the_stated_error_is_marked_and_cost_counts_where_it_is_known() -> None:
    """The gpu leads by 3.5 in rate and by 0.69 per watt; a cpu that costs 1 beats a gpu that costs 9."""
    assert TINY.table is not None
    for error, mark in ((0.25, " "), (0.7, "~")):
        table = ho.EfficiencyTable(tuple(pair.replace(qps_error=error) for pair in TINY.table))
        costs = {"cpu": 1.0, "gpu": 9.0}
        priced = {name: server.replace(cost_per_h=costs[name]) for name, server in TINY.servers.items()}
        ranking = best_grid(TINY.replace(servers=priced), table).rows[0]
        assert ranking == ("ranking", "gpu", "350.0 % ", "gpu", f"68.8 %{mark}", "cpu", "100.0 % ")


def test_a_model_that_one_type_or_none_can_serve() -> None:
    assert TINY.table is not None
    alone = ho.EfficiencyTable(tuple(pair for pair in TINY.table if pair.model == "ranking")[:1])
    ranking, retrieval = best_grid(TINY, alone).rows
    assert ranking[2] == "alone "
    assert retrieval == ("retrieval", *["-"] * 6)


def test_intervals_start_where_the_day_says() -> None:
    shifted = TINY.replace(day={"start_h": 22.5, "interval_h": [1, 2, 0.5, 4]})
    assert interval_starts_h(shifted).tolist() == [22.5, 23.5, 25.5, 26.0]
    rows = intervals_grid(shifted, ho.provision(shifted)).rows
    assert [row[0] for row in rows] == ["0  22:30", "1  23:30", "2  1d 01:30", "3  1d 02:00"]


def test_use_is_the_time_weighted_mean_and_the_peak() -> None:
    uneven = TINY.replace(day={"interval_h": [1, 2, 3, 4]})
    plan = ho.provision(uneven)
    used = plan.counts.sum(axis=2)
    rows = use_grid(uneven, {"mine": plan}).rows
    for h, row in enumerate(rows):
        mean = np.average(used[:, h], weights=[1, 2, 3, 4])
        assert row[2].split(" / ") == [f"{mean:,.1f}", str(used[:, h].max())]


@pytest.fixture(name="report", scope="module")
def _report() -> DayReport:
    assert TINY.table is not None
    plans = {"hercules": ho.provision(TINY), "greedy": ho.provision(TINY, policy="greedy")}
    audits = tuple(ho.audit(TINY, None, plan) for plan in plans.values())
    return DayReport(TINY, TINY.table, plans, audits, ho.compare(TINY, None, list(plans.values())))


def test_the_document_is_plain_json(report: DayReport) -> None:
    document = day_document(report)
    assert json.loads(json.dumps(document, allow_nan=False)) == json.loads(json.dumps(document))
    assert [plan["name"] for plan in document["plans"]] == ["hercules", "greedy"]
    assert document["plans"][1]["bound"] is None
    assert document["efficiency"] == TINY.table.to_rows()  # type: ignore[union-attr]


def test_the_day_s_columns_are_its_plans(report: DayReport) -> None:
    grid = day_grid(report)
    assert grid.header == ("", "hercules", "greedy")
    rows = {row[0].strip(): row[1:] for row in grid.rows}
    assert rows["mean power, W"] == ("547.5", "610")
    assert rows["mean power saved against greedy"] == ("10.2 %", "0.0 %")
    assert rows["greedy orders that need more"] == ("100.0 %", "0.0 %")


def test_proofs_are_counted_by_who_vouches(report: DayReport) -> None:
    plan = report.plans["hercules"]
    by = "4 of 4 intervals proven optimal (4 certified by multipliers, 0 by the solver's claim)"
    assert proof_line(plan, None) == proof_line(plan, report.audits[0]) == by
    greedy = report.plans["greedy"]
    assert proof_line(greedy, None) == "4 of 4 intervals covered, without a bound"


def test_infeasible_and_unknown_plans_say_so() -> None:
    loads = {"qps": {"ranking": [100.0, 9000.0], "retrieval": [50.0, 0.0]}}
    heavy = TINY.replace(loads=loads)
    plan, greedy = ho.provision(heavy), ho.provision(heavy, policy="greedy")
    assert "1 of 2 intervals infeasible (1 certified by multipliers" in proof_line(
        plan, ho.audit(heavy, None, plan)
    )
    assert "1 of 2 intervals not covered" in proof_line(greedy, None)
    assert ending_line(plan) == "infeasible: no plan covers the loads of 1 interval (1)"
    assert "policy greedy found no cover" in str(ending_line(greedy))
    assert "No mean provisioned power: not every interval is covered." in mean_line(plan)
    assert ending_line(ho.provision(TINY)) is None


def test_violations_are_listed_and_counted(report: DayReport) -> None:
    plan = report.plans["hercules"]
    other = TINY.replace(servers={"cpu": {"available": 1}, "gpu": {"available": 2}})
    found = ho.audit(other, None, plan)
    assert found.violations
    document = audit_document(plan, found)
    assert document["true"] is False
    assert len(document["violations"]) == len(found.violations)
    out = io.StringIO()
    Console(file=out, width=200).print(audit_page(plan, found, Path("p")))
    head, *lines = out.getvalue().splitlines()
    assert head == f"p: not true, {len(found.violations)} violations"
    assert [line.strip() for line in lines] == [str(entry) for entry in found.violations]


def test_an_unknown_power_is_shown_between_its_bounds() -> None:
    """Low to high where both are known, else nothing."""
    problem = ho.ProvisioningProblem.from_instance(TINY)
    unknown = problem.replace(power_w=np.full_like(problem.power_w, np.nan), idle_w=10.0, peak_w=90.0)
    plan = ho.provision(unknown, objective="servers")
    used = int(plan.servers[0])
    assert intervals_grid(TINY, plan).rows[0][1] == f"{10 * used} to {90 * used}"
    nothing = ho.provision(unknown.replace(idle_w=np.nan, peak_w=np.nan), objective="servers")
    assert intervals_grid(TINY, nothing).rows[0][1] == "-"


def test_terms_say_what_the_check_left() -> None:
    """A rate lowered to nothing is told apart; a target below 0.05 ms is not shown as 0."""
    model = ho.catalogue.models["dlrm-rmc1"].replace(sla_ms=0.04)
    instance = TINY.replace(models=dict.fromkeys(TINY.models, model))
    row = {
        "server_type": "cpu",
        "kind": "analytic",
        "source": "test",
        "checked": "simulated",
        "analytic_qps": 9.0,
    }
    served = [ho.PairEfficiency(**row, model=name, qps=qps) for name, qps in (("a", 9.0), ("b", 8.0))]
    table = ho.EfficiencyTable((*served, ho.PairEfficiency(**row, model="c", reason="too slow")))
    lines = dict(terms_page(instance, table, []).rows)
    assert lines["rates"] == "3 predicted, all simulated; 2 lowered to what holds, 1 of them to nothing"
    assert dict(terms_page(instance, ho.EfficiencyTable(tuple(served)), []).rows)["rates"] == (
        "2 predicted, all simulated; 1 lowered to what holds"
    )
    assert "p95 within 0.04 ms" in lines["latency"]
