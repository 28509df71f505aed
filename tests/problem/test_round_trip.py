"""Saving and loading gives back what was saved: values, provenance, order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt import EfficiencyTable, Instance, library_names, load_instance, save_instance
from hercules_opt.problem.provenance import KINDS
from hercules_opt.problem.table import PairEfficiency

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 ._+()-]{0,8}[A-Za-z0-9._+()-])?", fullmatch=True)
words = st.text(max_size=12)
kinds = st.sampled_from(KINDS)


def figure(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for a number, plain or with its provenance."""
    table = st.fixed_dictionaries({"value": numbers}, optional={"kind": kinds, "source": words})
    return numbers | table


def positive(most: float) -> st.SearchStrategy[float]:
    return st.floats(min_value=0, max_value=most, exclude_min=True)


origin: dict[str, st.SearchStrategy[Any]] = {"kind": kinds, "source": words}
nmps = st.fixed_dictionaries(
    {"ranks_per_channel": figure(st.integers(1, 64))}, optional={"idle_w": figure(positive(1e4)), **origin}
)
servers = st.fixed_dictionaries(
    {"available": figure(st.integers(0, 1_000_000))},
    optional={"cost_per_h": figure(positive(1e9)), "title": words, "nmp": nmps, **origin},
)
models = st.fixed_dictionaries(
    {},
    optional={
        "sla_ms": figure(st.floats(1e-6, 1e7)),
        "over_provision": figure(st.floats(0, 100)),
        "title": words,
        **origin,
    },
)
schedules = st.fixed_dictionaries(
    {"placement": st.just("cpu"), "threads": st.integers(1, 99), "cores_per_thread": st.integers(1, 9)},
    optional={"batch_size": st.integers(1, 1024)},
)
figures_of_a_pair = st.fixed_dictionaries(
    {},
    optional={
        "qps": figure(positive(1e12)),
        "power_w": figure(positive(1e9)),
        "p99_ms": figure(st.floats(0, 1e300)),
        "schedule": schedules,
        "reason": words,
        **origin,
    },
)


@st.composite
def instances(draw: st.DrawFn) -> dict[str, Any]:
    server_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    model_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    count = draw(st.integers(1, 5))
    loads = st.lists(st.floats(0, 1e12) | st.integers(0, 10**12), min_size=count, max_size=count)
    raw: dict[str, Any] = {
        "format": 1,
        "name": draw(names),
        "servers": {name: draw(servers) for name in server_names},
        "models": {name: draw(models) for name in model_names},
        "loads": {"qps": {name: draw(loads) for name in model_names}},
    }
    hours = st.lists(positive(1e6), min_size=count, max_size=count)
    if draw(st.booleans()):
        raw["day"] = {"interval_h": draw(figure(positive(1e6) | hours))}
    if draw(st.booleans()):
        raw["description"] = draw(words)
    chosen = draw(st.lists(st.sampled_from([(h, m) for h in server_names for m in model_names]), unique=True))
    if chosen:
        pairs = [{"server_type": h, "model": m, **draw(figures_of_a_pair)} for h, m in chosen]
        raw["efficiency"] = {"pairs": pairs}
    return raw


def saved_and_loaded(instance: Instance) -> Instance:
    with tempfile.TemporaryDirectory() as folder:
        save_instance(instance, Path(folder) / "again.toml")
        return load_instance(Path(folder) / "again.toml")


def check_equal(again: Instance, instance: Instance) -> None:
    """Equal in values and provenance (``==`` compares both) and in the order of names."""
    assert again == instance
    assert list(again.servers) == list(instance.servers)
    assert list(again.models) == list(instance.models)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(instances())
def test_any_instance_round_trips(raw: dict[str, Any]) -> None:
    instance = Instance.model_validate(raw)
    check_equal(saved_and_loaded(instance), instance)


@pytest.mark.parametrize("name", library_names())
def test_library_instances_round_trip(name: str) -> None:
    """Those whose loads and efficiencies are CSV files too."""
    instance = load_instance(name)
    check_equal(saved_and_loaded(instance), instance)


def test_catalogue_entries_round_trip(tmp_path: Path) -> None:
    text = """\
format = 1
name = "x"
[servers.ours]
catalogue = "T7"
available = { value = 3, kind = "measured", source = "inventory" }
[servers.ours.cpu]
memory_gb = 384
[servers.plain]
catalogue = "T1"
[servers.parts]
cpu = "xeon-gold-6138"
[models.a]
catalogue = "dlrm-rmc1"
sla_ms = 20
[models.b]
catalogue = "din"
query_size = { distribution = "fixed", mean_items = 100 }
[loads.qps]
a = [1]
b = [0.1]
"""
    (tmp_path / "x.toml").write_text(text)
    instance = load_instance(tmp_path / "x.toml")
    check_equal(saved_and_loaded(instance), instance)
    assert instance.servers["ours"].origin("available").source == "inventory"
    ours, base = instance.servers["ours"].cpu, instance.servers["parts"].cpu
    assert ours is not None
    assert base is not None
    assert ours.memory_gb == 384
    assert ours.origin("memory_gb").source is None
    assert ours.origin("clock_ghz") == base.origin("clock_ghz")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(figures_of_a_pair, min_size=1, max_size=4))
def test_tables_round_trip(figures: list[dict[str, Any]]) -> None:
    """JSON, rows and frames keep everything; CSV keeps everything but provenance of single figures."""
    rows = [{"server_type": f"s{n}", "model": "m", **row} for n, row in enumerate(figures)]
    table = EfficiencyTable.from_rows(rows)
    with tempfile.TemporaryDirectory() as folder:
        table.to_json(Path(folder) / "t.json")
        assert EfficiencyTable.from_json(Path(folder) / "t.json") == table
        table.to_csv(Path(folder) / "t.csv")
        again = EfficiencyTable.from_csv(Path(folder) / "t.csv")
    assert EfficiencyTable.from_rows(table.to_rows()) == table
    for frame_or_csv in (again, EfficiencyTable.from_frame(table.to_frame())):
        for pair, kept in zip(table, frame_or_csv, strict=True):
            for key in ("server_type", "model", "qps", "power_w", "p99_ms", "schedule"):
                assert getattr(kept, key) == getattr(pair, key)


def test_a_table_reads_back_the_very_same_numbers(tmp_path: Path) -> None:
    pairs = [
        PairEfficiency(server_type="a", model=f"m{n}", qps=qps, power_w=1 / qps)
        for n, qps in enumerate((0.1, 1 / 3, 1e-300, 123456789.123456789, 1e12))
        if 1 / qps <= 1e9
    ]
    EfficiencyTable(tuple(pairs)).to_csv(tmp_path / "t.csv")
    assert EfficiencyTable.from_csv(tmp_path / "t.csv").pairs == tuple(pairs)
