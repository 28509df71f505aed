"""A corpus of malformed load files and efficiency tables, CSV and JSON, with the message each must give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hercules_opt import EfficiencyTable, InputError, load_instance

INSTANCE = """\
format = 1
name = "good"
[loads]
file = "loads.csv"
[efficiency]
file = "table.csv"
[servers.cpu]
available = 6
[servers.gpu]
available = 2
[models.ranking]
[models.retrieval]
"""
LOADS = "interval,ranking,retrieval\n00:00,100,50\n12:00,400,150.5\n"
TABLE = (
    "server_type,model,qps,power_w,kind,source\ncpu,ranking,100,150,measured,lab\ngpu,retrieval,450,400,,\n"
)

#: Old text, new text, what the message must hold.
LOADS_MUTATIONS: list[tuple[str, str, list[str]]] = [
    (LOADS, "", ["must have a header line, found an empty file"]),
    (LOADS, "\n\n", ["must have a header line"]),
    (LOADS, "interval,ranking,retrieval\n", ["must have at least one interval"]),
    ("interval,", "time,", ["line 1: the first column must be 'interval', found 'time'"]),
    (LOADS, LOADS.replace(",", ";"), ["line 1: fields must be separated by commas, found semicolons"]),
    (",ranking,", ",rankin,", ["line 1: unknown model, found 'rankin'. Did you mean 'ranking'?"]),
    (",ranking,", ",,", ["line 1: every column needs a name"]),
    (",ranking,", ",retrieval,", ["line 1: a column may appear only once, found 'retrieval'"]),
    (",ranking,", ",interval,", ["line 1: a column may appear only once, found 'interval'"]),
    (LOADS, "interval,ranking\n0,1\n", ["line 1: column 'retrieval' is missing: every model needs loads"]),
    ("100,50", "100", ["line 2: must have 3 fields, found 2"]),
    ("100,50", "100,50,7", ["line 2: must have 3 fields, found 4"]),
    ("100,50", "100,", ["line 2, retrieval: must be a number, found ''"]),
    ("100,50", "100,-50", ["line 2, retrieval: must be between 0 and 1e+12, found -50.0"]),
    ("100,50", "100,nan", ["line 2, retrieval: must be a number, found 'nan'"]),
    ("100,50", "100,inf", ["line 2, retrieval: must be a number, found 'inf'"]),
    ("100,50", "100,1e400", ["line 2, retrieval: must be a finite number, found 1e400"]),
    ("100,50", "100,2e12", ["line 2, retrieval: must be between 0 and 1e+12, found 2000000000000.0"]),
    ("100,50", "100,fifty", ["line 2, retrieval: must be a number, found 'fifty'"]),
    ("100,50", "100,0x32", ["line 2, retrieval: must be a number, found '0x32'"]),
    ("100,50", "100,1_000", ["line 2, retrieval: must be a number, found '1_000'"]),
    ("100,50", '100,"1,000"', ["line 2, retrieval: must be a number, found '1,000'"]),
    ("100,50", "100,\u0665\u0660", ["line 2, retrieval: must be a number"]),
    ("100,50", "100,True", ["line 2, retrieval: must be a number, found 'True'"]),
    ("100,50", '100,"50', ["is not a CSV file"]),
    ("100,50", '100,"50"x', ["line 2: is not a CSV file"]),
    ("150.5", "150.5.5", ["line 3, retrieval: must be a number, found '150.5.5'"]),
    ("100,50", "100," + "9" * 200_000, ["is not a CSV file", "field larger than"]),
]  # fmt: skip

TABLE_MUTATIONS: list[tuple[str, str, list[str]]] = [
    (TABLE, "", ["must have a header line, found an empty file"]),
    (TABLE, "server_type,model,qps\n", ["must have at least one pair"]),
    ("server_type,", "server,", ["line 1: unknown column, found 'server'. Did you mean 'server_type'?"]),
    ("qps,", "QPS,", ["line 1: unknown column, found 'QPS'"]),
    (
        TABLE,
        "server_type,model,qps,analytic_qps,checked\ncpu,ranking,100,50,simulated\n",
        ["line 2, qps: must be at most analytic_qps where it was checked by simulation, found 100.0. Leave checked"],
    ),
    ("qps,", "p99_ms,", ["line 1: column 'qps' is missing"]),
    ("power_w,", "qps,", ["line 1: a column may appear only once, found 'qps'"]),
    ("power_w,", ",", ["line 1: every column needs a name"]),
    ("cpu,ranking", "cpuu,ranking", ["line 2, server_type: unknown name in servers, found 'cpuu'", "'cpu'"]),
    ("cpu,ranking", "cpu,rank", ["line 2, model: unknown name in models, found 'rank'", "'ranking'"]),
    ("cpu,ranking", "cpu,", ["line 2, model: is required"]),
    ("cpu,ranking", ",ranking", ["line 2, server_type: is required"]),
    ("cpu,ranking", "cpu,a;b", ["line 2, model: a name has 1 to 64"]),
    ("100,150", "100", ["line 2: must have 6 fields, found 5"]),
    ("100,150", "0,150", ["line 2, qps: must be greater than 0, found 0.0", "cpu x ranking"]),
    ("100,150", "-1,150", ["line 2, qps: must be greater than 0, found -1.0", "cpu x ranking"]),
    ("100,150", "nan,150", ["line 2, qps: must be a number, found 'nan'"]),
    ("100,150", "1e999,150", ["line 2, qps: must be a finite number, found 1e999"]),
    ("100,150", "2e12,150", ["line 2, qps: must be at most 1e+12"]),
    ("100,150", "100 qps,150", ["line 2, qps: must be a number, found '100 qps'"]),
    ("100,150", "100,0", ["line 2, power_w: must be greater than 0, found 0.0", "cpu x ranking"]),
    ("100,150", "100,150W", ["line 2, power_w: must be a number, found '150W'"]),
    ("measured", "mesured", ["line 2, kind: must be 'measured'", "Did you mean 'measured'?"]),
    ("gpu,retrieval", "cpu,ranking", ["line 3: each pair may appear only once, found cpu x ranking in line 2 too"]),
    ("kind,source", "schedule,source", ["line 2, schedule: must be JSON, found 'measured'"]),
    ("measured,lab", 'measured,"lab', ["is not a CSV file"]),
]  # fmt: skip


def _files(folder: Path, loads: str = LOADS, table: str = TABLE) -> Path:
    (folder / "loads.csv").write_text(loads, encoding="utf-8")
    (folder / "table.csv").write_text(table, encoding="utf-8")
    (folder / "good.toml").write_text(INSTANCE)
    return folder / "good.toml"


def _message(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        load_instance(path)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 1000
    return text


def test_the_files_that_are_mutated_are_good(tmp_path: Path) -> None:
    instance = load_instance(_files(tmp_path))
    assert instance.load_qps.tolist() == [[100.0, 50.0], [400.0, 150.5]]
    assert instance.table is not None
    assert instance.table.get("gpu", "retrieval").power_w == 400  # type: ignore[union-attr]


@pytest.mark.parametrize(("old", "new", "fragments"), LOADS_MUTATIONS)
def test_malformed_loads(tmp_path: Path, old: str, new: str, fragments: list[str]) -> None:
    assert old in LOADS
    text = _message(_files(tmp_path, loads=LOADS.replace(old, new, 1)))
    assert text.startswith(str(tmp_path / "loads.csv"))
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(("old", "new", "fragments"), TABLE_MUTATIONS)
def test_malformed_table(tmp_path: Path, old: str, new: str, fragments: list[str]) -> None:
    assert old in TABLE
    text = _message(_files(tmp_path, table=TABLE.replace(old, new, 1)))
    assert text.startswith(str(tmp_path / "table.csv"))
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ('"loads.csv"', '"nowhere.csv"', ["nowhere.csv: no such file"]),
        ('"loads.csv"', '"."', ["must be a file, found a folder"]),
        ('"loads.csv"', '""', ["good.toml, loads.file: must be a file name, found ''"]),
        ('"loads.csv"', "5", ["good.toml, loads.file: must be a file name, found 5"]),
        ('"loads.csv"', '"loads.csv"\nqps = {}', ["good.toml, loads: give either loads.file or loads.qps, not both"]),
        ('"table.csv"', '"nowhere.csv"', ["nowhere.csv: no such file"]),
        ('"table.csv"', '"table.csv"\npairs = []', ["efficiency: give either efficiency.file or efficiency.pairs"]),
        ('file = "table.csv"', "", ["efficiency: give efficiency.file or efficiency.pairs, found neither"]),
        ('file = "table.csv"', "pairs = []", ["efficiency.pairs: must have at least one entry"]),
        ("[models.ranking]\n[models.retrieval]", "models = 5", ["good.toml"]),
        ("[models.ranking]\n[models.retrieval]", "", ["good.toml, models: must be a table with at least one entry"]),
    ],
)  # fmt: skip
def test_malformed_references(tmp_path: Path, old: str, new: str, fragments: list[str]) -> None:
    path = _files(tmp_path)
    assert old in INSTANCE
    path.write_text(INSTANCE.replace(old, new, 1))
    text = _message(path)
    for fragment in fragments:
        assert fragment in text


def test_a_table_that_is_not_text(tmp_path: Path) -> None:
    path = _files(tmp_path)
    (tmp_path / "table.csv").write_bytes(b"server_type,model,qps\n\xff\xfe,a,1\n")
    assert "must be UTF-8 text, found byte 0xff at position 22" in _message(path)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is not valid JSON"),
        ("[", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "must hold a table, found an empty list"),
        ("{}", "schema: must be 1"),
        ('{"schema": 2, "pairs": []}', "schema: must be 1, found 2"),
        ('{"schema": true, "pairs": []}', "schema: must be 1, found true"),
        ('{"schema": 1, "pairs": {}}', "pairs: must be a list, found an empty table"),
        ('{"schema": 1, "pairs": [5]}', "row 1: must be a table, found 5"),
        ('{"schema": 1, "pair": []}', "pair: unknown key. Did you mean 'pairs'?"),
        ('{"schema": 1, "schema": 1, "pairs": []}', "a key may appear only once, found 'schema'"),
        ('{"schema": 1, "pairs": [{"server_type": "a", "model": "b", "qps": NaN}]}', "finite number, found NaN"),
        ('{"schema": 1, "pairs": [{"server_type": "a", "model": "b", "qps": 1e999}]}', "row 1, qps: must be a finite"),
        ('{"schema": 1, "pairs": [{"server_type": "a", "model": "b", "qps": "1"}]}', "row 1, qps: must be a number"),
        ('{"schema": 1, "pairs": [{"server_type": "a", "model": "b", "qps": 0}]}', "This is the pair a x b."),
        ('{"schema": 1, "pairs": [{"server_type": "a"}]}', "row 1, model: is required"),
        ('{"schema": 1, "pairs": [' + '{"server_type": "a", "model": "b"},' * 2 + "0]}", "row 3: must be a table"),
    ],
)  # fmt: skip
def test_malformed_json_tables(tmp_path: Path, text: str, fragment: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        EfficiencyTable.from_json(path)
    assert fragment in str(raised.value)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"qps": [0.0]}, "row 1, qps: must be greater than 0"),
        ({"qps": [np.inf]}, "row 1, qps: must be a finite number"),
        ({"qps": [True]}, "row 1, qps: must be a number, found true"),
        ({"qps": ["x"]}, "row 1, qps: must be a number, found 'x'"),
        ({"qps": [1 + 1j]}, "row 1, qps: must be a number"),
        ({"qps": [10**400]}, "row 1, qps: must be a finite number"),
        ({"model": [None]}, "row 1, model: is required"),
        ({"model": [3]}, "row 1, model: must be a text, found 3"),
        ({"kqps": [3]}, "row 1, kqps: unknown key. Did you mean 'qps'?"),
        ({"schedule": ["{"]}, "row 1, schedule: must be JSON"),
        ({"schedule": ["[" * 100_000]}, "row 1, schedule: must be JSON"),
        ({"schedule": ["5"]}, "row 1, schedule: must be a table, found 5"),
        ({"schedule": ['{"placement": "cpu", "threads": NaN}']}, "row 1, schedule.threads: must be a whole number"),
    ],
)  # fmt: skip
def test_malformed_frames(change: dict[str, Any], fragment: str) -> None:
    frame = pd.DataFrame({"server_type": ["a"], "model": ["b"], "qps": [1.0], **change})
    with pytest.raises(InputError) as raised:
        EfficiencyTable.from_frame(frame)
    assert f"data frame, {fragment}" in str(raised.value)


def test_missing_figures_of_a_frame_are_unknown() -> None:
    frame = pd.DataFrame(
        {"server_type": ["a", "b"], "model": ["m", "m"], "qps": [np.nan, 5.0], "power_w": [pd.NA, None]}
    )
    pairs = EfficiencyTable.from_frame(frame).pairs
    assert [(pair.qps, pair.power_w) for pair in pairs] == [(None, None), (5.0, None)]


def test_quoted_fields_and_blank_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('model,server_type,qps,source\n\n"m","a (1)"," 5e2 ","one, ""two""\nthree"\n')
    (pair,) = EfficiencyTable.from_csv(path).pairs
    assert (pair.server_type, pair.model, pair.qps) == ("a (1)", "m", 500.0)
    assert pair.source == 'one, "two"\nthree'


def test_a_bad_entry_after_a_quoted_line_break_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('model,server_type,qps,source\nm,a,5,"x\ny"\nm,b,-5,z\n')
    with pytest.raises(InputError, match="line 4, qps: must be greater than 0"):
        EfficiencyTable.from_csv(path)


def test_the_corpus_is_large_enough() -> None:
    """At least 150 malformed files together with those of test_malformed_instances."""
    from test_malformed_instances import MUTATIONS

    assert len({json.dumps(case) for case in [*MUTATIONS, *LOADS_MUTATIONS, *TABLE_MUTATIONS]}) >= 200
