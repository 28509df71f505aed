"""The reproduction compares like with like, changes one thing at a time, and its pages take its tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hercules_opt as ho
from benchmarks import reproduction
from benchmarks.reproduction import Tables
from docs.tables import filled, part, table
from hercules_opt.workloads.query_sizes import size_distribution

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def instance() -> ho.Instance:
    return ho.load_instance("hpca22")


def rows(qps: dict[tuple[str, str], float | None]) -> ho.EfficiencyTable:
    return ho.EfficiencyTable(
        tuple(
            ho.PairEfficiency(
                server_type=server, model=model, qps=rate, power_w=None if rate is None else 100.0
            )
            for (server, model), rate in qps.items()
        )
    )


def test_ratios_by_hand(instance: ho.Instance) -> None:
    """Against the better of two; a pair that no prior scheduler serves has no ratio."""
    two = instance.replace(servers={name: instance.servers[name] for name in ("T1", "T7")})
    ours = rows({("T1", "din"): 90.0, ("T7", "din"): 80.0, ("T1", "dien"): 10.0})
    first = rows({("T1", "din"): 30.0, ("T7", "din"): 10.0})
    second = rows({("T1", "din"): 10.0, ("T7", "din"): 160.0, ("T1", "dien"): None})
    found = Tables(two, {"gradient": ours, "deeprecsys": first, "baymax": second})
    column = list(two.models).index("din")
    ratios = found.ratios("deeprecsys", "baymax")
    assert ratios[:, column].tolist() == [3.0, 0.5]
    assert np.isfinite(ratios).sum() == 2
    assert reproduction.largest(ratios) == 3.0
    assert reproduction.geometric_mean(ratios) == pytest.approx(np.sqrt(1.5))
    assert reproduction.grid(two, ratios)[1]["din"] == "0.50"


def test_savings_that_begin_at_nothing_are_stated() -> None:
    assert reproduction.span(0.0, 0.123) == "0.0 to 12.3"
    assert reproduction.span(None, None) is None


@pytest.mark.parametrize("sigma", reproduction.SIGMAS)
def test_another_tail_keeps_the_mean(instance: ho.Instance, sigma: float) -> None:
    """And is another one: the square of the size differs."""
    changed = reproduction.with_tail(instance, sigma)
    for name, model in instance.models.items():
        assert model.query_size is not None
        sizes = changed.models[name].query_size
        assert sizes is not None
        before, after = size_distribution(model.query_size), size_distribution(sizes)
        assert after.mean_items == pytest.approx(before.mean_items, rel=1e-9)
        assert (after.square_items > before.square_items) == (sigma > 0.95)


def test_other_shapes_of_the_day_keep_what_they_say(instance: ho.Instance) -> None:
    load, shapes = instance.load_qps, reproduction.load_shapes(instance)
    peaks = load.max(axis=0)
    for name in (
        "all models peak together",
        "every second model half a day later",
        "flat at each model's peak",
    ):
        assert shapes[name].load_qps.max(axis=0) == pytest.approx(peaks)
    assert shapes["flat at each model's mean"].load_qps[0] == pytest.approx(load.mean(axis=0))
    together = shapes["all models peak together"].load_qps.argmax(axis=0)
    assert len(set(together.tolist())) == 1
    apart = shapes["every second model half a day later"].load_qps.argmax(axis=0)
    assert abs(int(apart[0]) - int(apart[1])) == len(load) // 2


def test_targets_and_counts_are_multiples(instance: ho.Instance) -> None:
    doubled = reproduction.with_targets(instance, 2.0)
    assert [m.sla_ms for m in doubled.models.values()] == [
        2.0 * (m.sla_ms or 0) for m in instance.models.values()
    ]
    assert (
        reproduction.with_counts(instance, 0.75).available.tolist()
        == np.ceil(0.75 * instance.available).tolist()
    )


def test_on_one_type_greedy_cannot_be_beaten(instance: ho.Instance) -> None:
    """Where there is nothing to choose, nothing is saved; the servers grow until the loads are covered."""
    short = reproduction.with_loads(instance, instance.load_qps[[10, 30]])
    models = list(instance.models)
    every = rows({(server, model): 500.0 for server in ("T1", "T2", "T3", "T7") for model in models})
    days = dict(reproduction.smaller_clusters(short, every))
    assert any(name.startswith("T2 alone") for name in days)
    for name, planned in days.items():
        assert planned.covered == planned.intervals == 2
        if name.startswith("T2 alone"):
            assert planned.power.mean_power == planned.servers.mean_servers == 0.0


def test_a_page_takes_notes_and_tables_between_its_marks() -> None:
    result = {
        "notes": ["one note"],
        "tables": {"Long": [{"a": 1, "b": 0.5}], "Kept out": [{"a": 1}], "Short": [{"a": 12345, "b": None}]},
    }
    found = part(result, {"Long": {"b": "share"}, "Kept out": None})
    assert found == (
        "- one note\n\n**Short.**\n\n| a | b |\n|---|---|\n| 12,345 |  |\n\n"
        "**Long.**\n\n| share |\n|---|\n| 0.5000 |\n"
    )
    page = "above\n<!-- run: begin -->\nold\n<!-- run: end -->\nbelow\n"
    assert filled(page, "run", "new\n") == "above\n<!-- run: begin -->\n\nnew\n\n<!-- run: end -->\nbelow\n"
    with pytest.raises(SystemExit, match="no marks for other"):
        filled(page, "other", "new\n")
    assert table([{"x": 1234.5}]) == "| x |\n|---|\n| 1,234 |\n"


@pytest.mark.parametrize(
    ("page", "names"),
    [("search.md", ("search", "search_oracle", "cost_model_speed")), ("reproduction.md", ("reproduction",))],
)
def test_pages_have_the_tables_of_their_benchmarks(page: str, names: tuple[str, ...]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for name in names:
        _, begun, rest = text.partition(f"<!-- {name}: begin -->\n")
        content, ended, _ = rest.partition(f"<!-- {name}: end -->\n")
        assert begun
        assert ended
        assert content.count("|---|") >= 1
