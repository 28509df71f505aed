"""Plans that are only counts: what is read is what was written, and every other figure is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.provisioning.files.counts_file import load_counts, read_counts

TINY = ho.load_instance("tiny")
PROBLEM = ho.ProvisioningProblem.from_instance(TINY)


@pytest.mark.parametrize("policy", ["hercules", "greedy"])
def test_counts_survive_and_figures_are_recomputed(tmp_path: Path, policy: str) -> None:
    plan = ho.provision(PROBLEM, policy=policy)
    ho.save_plan_csv(plan, tmp_path / "plan.csv")
    read = load_counts(tmp_path / "plan.csv", PROBLEM)
    assert np.array_equal(read.counts, plan.counts)
    assert read.power_w.tolist() == plan.power_w.tolist()
    assert (read.status, read.objective, read.bound) == ("feasible", plan.objective, None)
    assert ho.verify(PROBLEM, read) == []


def test_columns_in_any_order_and_zeros_left_out(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("count,model,interval,server_type\n2,ranking,1,gpu\n")
    (line,) = read_counts(path)
    assert (line.interval, line.server_type, line.model, line.count) == (1, "gpu", "ranking", 2)
    read = load_counts(path, PROBLEM)
    assert read.counts.sum() == read.counts[1, 1, 0] == 2
    assert read.status == "unknown"
    assert read.shortfall[1].tolist() == [0.0, 150.0]


def test_no_line_is_a_plan_without_servers(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("interval,server_type,model,count\n")
    read = load_counts(path, PROBLEM)
    assert read.servers.tolist() == [0, 0, 0, 0]
    assert read.shortfall.tolist() == TINY.load_qps.tolist()
