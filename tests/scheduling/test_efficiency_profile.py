"""profile(): a row per pair, each independent of the others; refusals name a change that does help.

Servers of one core offer one placement, so that few programs are compiled.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling import check as check_module
from hercules_opt.scheduling import efficiencies
from hercules_opt.scheduling.check import Held
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.optimize import optimize_all
from hercules_opt.scheduling.space import search_space

NEEDED = re.compile(r"(?:target|budget) above ([0-9.e+]+)")


def server(**changes: object) -> ServerType:
    """CPU-B with one core."""
    kind = ho.catalogue.servers["T2"]
    assert kind.cpu is not None
    cpu = kind.cpu.replace(**{"cores": 1, **changes.pop("cpu", {})})  # type: ignore[dict-item]
    return kind.replace(cpu=cpu, available=3, **changes)


def model(name: str = "dlrm-rmc3", sla_ms: float = 200.0) -> Model:
    return ho.catalogue.models[name].replace(sla_ms=sla_ms)


def many_tables() -> Model:
    """A model of more operators than the others, which has another layout."""
    architecture = model().architecture
    assert architecture is not None
    one = architecture.tables[0].replace(count=1, rows=50_000)
    tables = tuple(one.replace(name=f"table {number}") for number in range(40))
    return model().replace(architecture=architecture.replace(tables=tables))


@pytest.fixture(scope="module")
def results() -> dict[str, ho.ScheduleResult]:
    """Pairs good and bad, side by side."""
    cases = {
        "rmc3": (server(), model()),
        "tight": (server(), model(sla_ms=0.5)),
        "small memory": (server(cpu={"memory_gb": 2.0}), model()),
        "low budget": (server(power_budget_w=50.0), model()),
        "dien": (server(), model("dien", 300.0)),
        "no cores": (server(cpu={"cores": 0}), model()),
    }
    return dict(zip(cases, optimize_all(list(cases.values())), strict=True))


def test_good_pairs_go_on_beside_bad_ones(results: dict[str, ho.ScheduleResult]) -> None:
    served = {name for name, result in results.items() if result.schedule is not None}
    assert served == {"rmc3", "dien"}
    assert all((result.reason is None) == (name in served) for name, result in results.items())


def test_a_pair_alone_gives_the_same_answer(results: dict[str, ho.ScheduleResult]) -> None:
    """Neither the other pairs nor their order matter, to the last digit."""
    alone = ho.optimize_schedule(server(), model())
    assert (alone.schedule, alone.qps, alone.power_w) == (
        results["rmc3"].schedule, results["rmc3"].qps, results["rmc3"].power_w,
    )  # fmt: skip
    turned = optimize_all([(server(), model("dien", 300.0)), (server(), model())])
    for result, name in zip(turned, ("dien", "rmc3"), strict=True):
        assert result.schedule == results[name].schedule
        assert result.qps == results[name].qps
        assert result.evaluations == results[name].evaluations


def test_pairs_of_any_number_of_operators_are_judged_together() -> None:
    """Models of more operators have arrays of another shape; each pair gets what it gets alone."""
    pairs = [pack(server(), each) for each in (model(), many_tables(), model("dien"))]
    space = search_space("cpu", pairs[0])
    points = space.sample(30, np.random.default_rng(0))
    numbers = np.arange(30) % 3
    together = AnalyticalEvaluator(pairs).evaluate("cpu", numbers, points)
    for number, pair in enumerate(pairs):
        mine = numbers == number
        none = np.zeros(10, dtype=np.int64)
        alone = AnalyticalEvaluator([pair]).evaluate("cpu", none, points[mine])
        assert np.array_equal(together.qps[mine], alone.qps)
    assert together.qps.max() > 0.0


def test_the_stated_target_helps_and_a_lower_one_does_not(results: dict[str, ho.ScheduleResult]) -> None:
    reason = results["tight"].reason or ""
    assert "above the target of 0.5 ms" in reason
    needed = float(NEEDED.findall(reason)[-1])
    assert ho.optimize_schedule(server(), model(sla_ms=needed)).qps > 0.0
    assert ho.optimize_schedule(server(), model(sla_ms=0.98 * needed)).qps == 0.0


def test_the_stated_budget_helps_and_a_lower_one_does_not(results: dict[str, ho.ScheduleResult]) -> None:
    reason = results["low budget"].reason or ""
    assert "power budget of 50 W" in reason
    needed = float(NEEDED.findall(reason)[-1])
    assert ho.optimize_schedule(server(power_budget_w=needed), model()).qps > 0.0
    assert ho.optimize_schedule(server(power_budget_w=0.98 * needed), model()).qps == 0.0


def test_the_stated_memory_helps_and_less_does_not(results: dict[str, ho.ScheduleResult]) -> None:
    reason = results["small memory"].reason or ""
    assert "does not fit" in reason
    factor = float(re.findall(r"([0-9.]+) times as much memory", reason)[0])
    enough = server(cpu={"memory_gb": 2.0 * factor * 1.01})
    assert ho.optimize_schedule(enough, model()).qps > 0.0
    too_little = server(cpu={"memory_gb": 2.0 * factor * 0.98})
    assert ho.optimize_schedule(too_little, model()).qps == 0.0


def test_a_budget_a_hair_above_idle_power_is_the_reason() -> None:
    pair = pack(server(), model())
    idle_w = float(pair.host.idle_w)
    reason = ho.optimize_schedule(server(power_budget_w=idle_w * (1.0 + 1e-9)), model()).reason or ""
    assert "hardly above the idle power" in reason


@pytest.mark.parametrize("wrong", [None, "T7", 3, [], object()])
def test_arguments_of_another_type_are_named(wrong: Any) -> None:
    schedule = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=1)
    for call, name in (
        (lambda: ho.predict(wrong, model(), schedule), "server"),
        (lambda: ho.predict(server(), wrong, schedule), "model"),
        (lambda: ho.predict(server(), model(), wrong), "schedule"),
        (lambda: ho.predict(server(), model(), schedule, efficiency=wrong), "efficiency"),
        (lambda: ho.optimize_schedule(wrong, model()), "server"),
        (lambda: ho.optimize_schedule(server(), wrong), "model"),
        (lambda: ho.optimize_schedule(server(), model(), efficiency=wrong), "efficiency"),
        (lambda: ho.profile(wrong), "instance"),
    ):
        with pytest.raises(ho.InputError, match=rf"^{name}: must be an? \w+, found {type(wrong).__name__}"):
            call()


@pytest.mark.parametrize("seed", ["0", 1.5, -1, True, None, [1]])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ho.InputError, match=r"^seed: must be a whole number, at least 0"):
        ho.optimize_schedule(server(), model(), seed=seed)


@pytest.mark.parametrize("load", ["10", [10.0], True, b"1", 1j])
def test_a_load_is_a_number(load: Any) -> None:
    schedule = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=1)
    with pytest.raises(ho.InputError, match=r"^load_qps: must be a number"):
        ho.predict(server(), model(), schedule, load)


def test_an_endless_target_approaches_saturation() -> None:
    best = ho.optimize_schedule(server(power_budget_w=1e5), model(sla_ms=1e6))
    assert best.prediction is not None
    assert best.qps == pytest.approx(best.prediction.saturation_qps, rel=1e-2)
    assert best.qps < best.prediction.saturation_qps


def test_another_seed_gives_almost_the_same(results: dict[str, ho.ScheduleResult]) -> None:
    other = ho.optimize_schedule(server(), model(), seed=11)
    assert other.qps == pytest.approx(results["rmc3"].qps, rel=1e-3)


def instance() -> ho.Instance:
    return ho.Instance.model_validate(
        {
            "format": 1,
            "name": "two-by-two",
            "servers": {"one-core": server(), "no-core": server(cpu={"cores": 0})},
            "models": {"rmc3": model(), "dien": model("dien", 300.0)},
            "loads": {"qps": {"rmc3": [1.0], "dien": [1.0]}},
        }
    )


def test_profile_has_a_row_for_every_pair_in_order(results: dict[str, ho.ScheduleResult]) -> None:
    done: list[tuple[int, int]] = []
    table = ho.profile(instance(), check=False, progress=lambda count, of: done.append((count, of)))
    assert [(row.server_type, row.model) for row in table] == [
        ("one-core", "rmc3"), ("one-core", "dien"), ("no-core", "rmc3"), ("no-core", "dien"),
    ]  # fmt: skip
    for row, name in zip(list(table)[:2], ("rmc3", "dien"), strict=True):
        assert row.qps == results[name].qps
        assert row.power_w == results[name].power_w
        assert row.schedule == results[name].schedule
        assert (row.checked, row.analytic_qps) == ("not checked", row.qps)
        assert row.kind == "analytic"
        assert row.source
        assert row.binds
        assert 0.0 < (row.p95_ms or 0.0) < (row.p99_ms or 0.0)
    for row in list(table)[2:]:
        assert row.qps is None
        assert row.checked is None
        assert row.reason == results["no cores"].reason
    assert done[-1] == (4, 4)  # one placement each, searched in two parts


def claiming(factor: float, monkeypatch: pytest.MonkeyPatch) -> ho.EfficiencyTable:
    """Profile with a cost model that states ``factor`` times its rate."""

    def boasting(*arguments: Any, **options: Any) -> list[ho.ScheduleResult]:
        found = optimize_all(*arguments, **options)
        return [replace(result, qps=factor * result.qps) for result in found]

    monkeypatch.setattr(efficiencies, "optimize_all", boasting)
    return ho.profile(instance())


def test_a_claim_that_is_too_good_is_stepped_down(
    results: dict[str, ho.ScheduleResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = claiming(1.3, monkeypatch)
    for name in ("rmc3", "dien"):
        row, result = table.get("one-core", name), results[name]
        assert row is not None
        assert row.checked == "simulated"
        assert row.analytic_qps == pytest.approx(1.3 * result.qps)
        assert 0.8 * result.qps < (row.qps or 0.0) < 1.05 * result.qps
        assert (row.power_w or 0.0) < 1.01 * (result.power_w or 0.0)
        assert (row.p95_ms or 0.0) <= (200.0 if name == "rmc3" else 300.0)
        assert "checked by simulation" in (row.source or "")
    weak = table.get("no-core", "rmc3")
    assert weak is not None
    assert (weak.checked, weak.analytic_qps) == (None, None)


def test_what_binds_after_the_check_is_the_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate below the one that meets the power budget is not bound by it."""

    def budgeted(*arguments: Any, **options: Any) -> list[ho.ScheduleResult]:
        return [
            replace(
                result,
                qps=1.3 * result.qps,
                prediction=result.prediction and replace(result.prediction, binds="power budget"),
            )
            for result in optimize_all(*arguments, **options)
        ]

    monkeypatch.setattr(efficiencies, "optimize_all", budgeted)
    row = ho.profile(instance()).get("one-core", "rmc3")
    assert row is not None
    assert row.binds == "tail latency in simulation"
    unchecked = ho.profile(instance(), check=False).get("one-core", "rmc3")
    assert unchecked is not None
    assert (unchecked.binds or "").startswith("power budget")


def test_a_claim_that_holds_stays_as_it_is(
    results: dict[str, ho.ScheduleResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = claiming(0.8, monkeypatch)
    for name in ("rmc3", "dien"):
        row, result = table.get("one-core", name), results[name]
        assert row is not None
        assert (row.checked, row.qps, row.analytic_qps) == ("simulated", 0.8 * result.qps, 0.8 * result.qps)
        assert row.power_w == result.power_w


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        (3, "but in simulation no rate keeps 95 % of the queries within the target of 200 ms, beyond doubt"),
        (0, "but a simulation of at most 600,000 queries cannot tell p95; a lower percentile helps"),
    ],
)
def test_where_no_rate_holds_the_row_says_so(rates: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*arguments: Any, **options: Any) -> list[Held]:
        return [Held(0.0, None, None, rates) for _ in arguments[0]]

    monkeypatch.setattr(check_module, "check_claims", nothing)
    row = ho.profile(instance()).get("one-core", "rmc3")
    assert row is not None
    assert (row.qps, row.power_w, row.schedule, row.checked) == (None, None, None, "simulated")
    assert row.analytic_qps is not None
    assert told in (row.reason or "")


def test_profile_gives_the_table_that_an_instance_has() -> None:
    tiny = ho.load_instance("tiny")
    assert ho.profile(tiny) is tiny.table


@pytest.mark.slow
def test_a_power_budget_changes_the_schedule() -> None:
    """power-cap: the smaller the budget, the lower the rate, and each budget has a schedule of its own."""
    capped = ho.load_instance("power-cap")
    rows = list(ho.profile(capped))
    budgets = [capped.servers[row.server_type].power_budget_w for row in rows]
    assert budgets == [None, 330.0, 260.0]
    rates = [row.qps or 0.0 for row in rows]
    assert rates[0] > rates[1] > rates[2] > 0.0
    labels = {row.schedule.label() for row in rows if row.schedule is not None}
    assert len(labels) == 3
    for row, budget in zip(rows[1:], budgets[1:], strict=True):
        assert (row.power_w or 0.0) <= (budget or 0.0) * (1 + 1e-3)
