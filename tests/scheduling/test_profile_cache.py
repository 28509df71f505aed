"""profile() with a cache and with workers: the same table, only what changed is searched, nothing is lost.

Servers of one core offer one placement, so that few programs are compiled.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import hercules_opt as ho
from hercules_opt.problem.models import QuerySize
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling import code_version as version_module
from hercules_opt.scheduling import row_cache
from hercules_opt.scheduling.efficiencies import Terms, efficiencies, efficiencies_elsewhere
from hercules_opt.scheduling.row_cache import RowCache, row_key

profile_module = importlib.import_module("hercules_opt.scheduling.profile")


def server(number: int = 0, **changes: object) -> ServerType:
    """CPU-B with one core, and a memory that grows with its number."""
    kind = ho.catalogue.servers["T2"]
    assert kind.cpu is not None
    cpu = kind.cpu.replace(**{"cores": 1, "memory_gb_s": 100.0 + number, **changes.pop("cpu", {})})  # type: ignore[dict-item]
    return kind.replace(cpu=cpu, available=3, **changes)


def instance(servers: int = 3) -> ho.Instance:
    models = {name: ho.catalogue.models[name].replace(sla_ms=200.0) for name in ("dlrm-rmc3", "dien")}
    return ho.Instance.model_validate(
        {
            "format": 1,
            "name": "small",
            "servers": {f"s{number}": server(number) for number in range(servers)},
            "models": models,
            "loads": {"qps": {name: [1.0] for name in models}},
        }
    )


@pytest.fixture(scope="module")
def table() -> ho.EfficiencyTable:
    return ho.profile(instance(), check=False)


@pytest.fixture(name="searched")
def _searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The pairs that are searched, as they come."""
    seen: list[tuple[str, str]] = []

    def watched(names: Sequence[tuple[str, str]], *rest: Any) -> Any:
        seen.extend(names)
        return efficiencies(names, *rest)

    monkeypatch.setattr(profile_module, "efficiencies", watched)
    return seen


def test_a_cache_changes_nothing_and_spares_the_second_search(
    table: ho.EfficiencyTable, searched: list[tuple[str, str]], tmp_path: Path
) -> None:
    done: list[tuple[int, int]] = []
    first = ho.profile(instance(), check=False, cache=tmp_path, progress=lambda *at: done.append(at))
    assert first == table
    assert done[-1] == (6, 6)
    assert len(searched) == 6
    assert len(list(tmp_path.iterdir())) == 6
    assert ho.profile(instance(), check=False, cache=tmp_path) == table
    assert len(searched) == 6


def test_one_figure_of_one_server_searches_its_pairs_alone(
    table: ho.EfficiencyTable, searched: list[tuple[str, str]], tmp_path: Path
) -> None:
    whole = instance()
    ho.profile(whole, check=False, cache=tmp_path)
    searched.clear()
    faster = whole.replace(servers={**whole.servers, "s1": server(1, cpu={"clock_ghz": 2.5})})
    changed = ho.profile(faster, check=False, cache=tmp_path)
    assert searched == [("s1", "dlrm-rmc3"), ("s1", "dien")]
    assert changed == ho.profile(faster, check=False)
    for row in table:
        same = changed.get(row.server_type, row.model) == row
        assert same == (row.server_type != "s1")


def test_counts_prices_names_and_sources_search_nothing(
    searched: list[tuple[str, str]], tmp_path: Path
) -> None:
    whole = instance()
    ho.profile(whole, check=False, cache=tmp_path)
    searched.clear()
    plenty = {f"other-{name}": each.replace(available=500) for name, each in whole.servers.items()}
    table = ho.profile(whole.replace(servers=plenty), check=False, cache=tmp_path)
    assert searched == []
    assert [row.server_type for row in table] == [name for name in plenty for _ in whole.models]


@pytest.mark.parametrize(
    "change",
    [
        {"sla_ms": 201.0},
        {"sla_percentile": 96.0},
        {"query_size": QuerySize(distribution="lognormal", mean_items=100, sigma=0.5)},
    ],
)
def test_the_key_tells_models_apart(change: dict[str, Any]) -> None:
    model = instance().models["dien"]
    terms = Terms("gradient", 0, True)
    assert row_key(server(), model, terms) == row_key(server(), model, terms)
    assert row_key(server(), model.replace(**change), terms) != row_key(server(), model, terms)


def test_the_key_tells_terms_and_code_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    model = instance().models["dien"]
    ways = [
        Terms("gradient", 0, True), Terms("gradient", 1, True), Terms("gradient", 0, False),
        Terms("lattice", 0, True),
    ]  # fmt: skip
    keys = {row_key(server(), model, terms) for terms in ways}
    assert len(keys) == 4
    monkeypatch.setattr(row_cache, "code_version", lambda: "another cost model")
    assert row_key(server(), model, ways[0]) not in keys


def test_the_code_s_version_changes_with_any_file_of_the_cost_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    for part in ("hardware", "scheduling"):
        (package / part).mkdir(parents=True)
        (package / part / "formula.py").write_text("x = 1\n")
    monkeypatch.setattr(version_module, "__file__", str(package / "scheduling" / "code_version.py"))
    plain = version_module.code_version.__wrapped__
    before = plain()
    assert plain() == before
    (package / "hardware" / "formula.py").write_text("x = 2\n")
    assert plain() != before


@pytest.mark.parametrize("harm", ["cut", "empty", "other figure", "other key", "not JSON", "a list"])
def test_a_row_that_was_tampered_with_is_searched_again(
    table: ho.EfficiencyTable, searched: list[tuple[str, str]], tmp_path: Path, harm: str
) -> None:
    ho.profile(instance(), check=False, cache=tmp_path)
    searched.clear()
    victim, other = sorted(tmp_path.iterdir())[:2]
    text = victim.read_text()
    kept = json.loads(text)
    kept["row"]["analytic_qps"] = 2.0 * kept["row"]["analytic_qps"]
    harmed = {
        "cut": text[: len(text) // 2], "empty": "", "other figure": json.dumps(kept),
        "other key": other.read_text(), "not JSON": "{]", "a list": "[1, 2]",
    }  # fmt: skip
    victim.write_text(harmed[harm])
    assert ho.profile(instance(), check=False, cache=tmp_path) == table
    assert len(searched) == 1
    assert victim.read_text() == text


def test_half_written_files_of_the_past_are_cleared_away(tmp_path: Path) -> None:
    old, young = tmp_path / ".old.tmp", tmp_path / ".young.tmp"
    for file in (old, young):
        file.write_text("half a ro")
    os.utime(old, (0, 0))
    RowCache(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


def test_a_cache_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ho.InputError, match="cannot be made a folder"):
        ho.profile(instance(), cache=file)


def test_processes_give_the_same_table(table: ho.EfficiencyTable, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    found = ho.profile(
        instance(), check=False, workers=2, cache=tmp_path, progress=lambda *at: done.append(at)
    )
    assert found == table
    assert done[-1] == (6, 6)


def test_a_dask_cluster_gives_the_same_table(table: ho.EfficiencyTable) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "dashboard_address": None, "protocol": "tcp", "host": "127.0.0.1"}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        assert ho.profile(instance(), check=False, workers=cluster.scheduler_address) == table


@pytest.mark.parametrize("workers", [0, -1, True, "", 1.5, "x", "tcp://h", "tcp://h:x"])
def test_bad_workers_are_refused(workers: Any) -> None:
    with pytest.raises(ho.InputError, match="must be a number of processes from 1 on, or the address"):
        ho.profile(instance(), workers=workers)


def test_a_cluster_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ho.InputError, match=r"needs the package 'distributed'.*hercules-opt\[cluster\]"):
        ho.profile(instance(), workers="tcp://127.0.0.1:9")


def test_a_cluster_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("hercules_opt.scheduling.workers._CONNECT_S", 0.5)
    with pytest.raises(ho.InputError, match="no Dask scheduler answers"):
        ho.profile(instance(), workers="tcp://127.0.0.1:9")


def test_a_worker_with_other_code_is_refused() -> None:
    with pytest.raises(ho.InputError, match="a worker has another version of hercules_opt, JAX or NumPy"):
        efficiencies_elsewhere([], [], Terms("gradient", 0, False), "another")


PROGRAM = """\
import sys
from test_profile_cache import instance
import hercules_opt as ho
ho.profile(instance(12), cache=sys.argv[1]).to_json(sys.argv[2])
"""


@pytest.mark.slow
def test_a_profile_that_is_killed_at_any_moment_goes_on(tmp_path: Path) -> None:
    """Killed at 20 random moments, each time with SIGKILL; then the table is that of an undisturbed run."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(ho.__file__).parents[1])]),
        "HERCULES_OPT_CACHE_DIR": os.environ.get("HERCULES_OPT_CACHE_DIR", str(tmp_path / "programs")),
    }

    def start(folder: str, table: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / folder), str(tmp_path / table)]
        return subprocess.Popen(arguments, env=environment, start_new_session=True)

    assert start("warm", "undisturbed.json").wait() == 0
    begin = time.monotonic()
    assert start("timed", "timed.json").wait() == 0
    whole_s = time.monotonic() - begin
    moments, kept, killed = random.Random(0), 0, 0
    folder = tmp_path / "killed"
    for _ in range(20):
        process = start("killed", "resumed.json")
        time.sleep(moments.uniform(0.0, whole_s))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        now = len(list(folder.glob("*.json"))) if folder.is_dir() else 0
        assert now >= kept
        kept = now
        if kept == 24:  # all is done: take some away, so that there is work for the next
            for file in moments.sample(sorted(folder.glob("*.json")), 12):
                file.unlink()
            kept = 12
    assert killed >= 5
    assert start("killed", "resumed.json").wait() == 0
    undisturbed = ho.EfficiencyTable.from_json(tmp_path / "undisturbed.json")
    assert ho.EfficiencyTable.from_json(tmp_path / "resumed.json") == undisturbed
    assert len(undisturbed) == 24
