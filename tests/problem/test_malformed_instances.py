"""A corpus of malformed instance files: each one mutation of a good file, each with the message it must give."""

from __future__ import annotations

from pathlib import Path

import pytest

from hercules_opt import InputError, load_instance

GOOD = """\
format = 1
name = "good"
title = "A good instance"

[day]
interval_h = 6
start_h = 0

[servers.cpu]
available = 6
cost_per_h = 1.5

[servers.cpu.cpu]
cores = 20
clock_ghz = 1.9
flops_per_cycle = 64
llc_mb = 27.5
memory_gb_s = 128
memory_gb = 192
tdp_w = 125
idle_w = 40
memory_idle_w = 10
memory_active_w = 20

[servers.T7]
catalogue = "T7"
available = { value = 2, kind = "assumed", source = "our guess" }

[models.ranking]
sla_ms = 20
over_provision = 0.05

[models.rmc1]
catalogue = "dlrm-rmc1"

[loads]
kind = "measured"

[loads.qps]
ranking = [100, 400, 900, 0]
rmc1 = [50, 150, 300, 20]

[[efficiency.pairs]]
server_type = "cpu"
model = "ranking"
qps = 100
power_w = 150
kind = "measured"

[[efficiency.pairs]]
server_type = "T7"
model = "rmc1"
qps = 450
power_w = 400
schedule = { placement = "cpu", threads = 4, cores_per_thread = 5, batch_size = 64 }
"""

#: Old text, new text, then what the message must hold: key path, rule, what was found, nearest name.
MUTATIONS: list[tuple[str, str, list[str]]] = [
    # The file as a whole
    (GOOD, "", [": is required", "format", "format = 1"]),
    (GOOD, "\n\n", ["format: is required"]),
    (GOOD, "just words", ["is not valid TOML"]),
    (GOOD, "{}", ["is not valid TOML"]),
    (GOOD, GOOD[: GOOD.index("[servers")], ["servers: is required"]),
    (GOOD, GOOD[:70], ["is not valid TOML"]),
    (GOOD, GOOD + "\0", ["is not valid TOML"]),
    (GOOD, GOOD + "a = " + "[" * 5000, ["is not valid TOML: nested too deeply"]),
    (GOOD, "a = " + "{b=" * 5000, ["is not valid TOML: nested too deeply"]),
    ("format = 1", "", ["format: is required", "format = 1"]),
    ("format = 1", "format = 2", ["format: must be 1, found 2"]),
    ("format = 1", "format = 1.0", ["format: must be 1, found 1.0"]),
    ("format = 1", "format = true", ["format: must be 1, found true"]),
    ("format = 1", 'format = "1"', ["format: must be 1, found '1'"]),
    ("format = 1", "format = 1\nformat = 1", ["is not valid TOML", "line 2"]),
    ("format = 1", "Format = 1", ["format: is required"]),
    # The name
    ('name = "good"', "", ["name: is required"]),
    ('name = "good"', 'name = ""', ["name: a name has 1 to 64", "found ''"]),
    ('name = "good"', 'name = " good"', ["name: a name has", "found ' good'"]),
    ('name = "good"', 'name = "good "', ["name: a name has", "found 'good '"]),
    ('name = "good"', 'name = "a/b"', ["name: a name has", "found 'a/b'"]),
    ('name = "good"', 'name = "a\\nb"', ["name: a name has", r"found 'a\nb'"]),
    ('name = "good"', 'name = "' + "x" * 65 + '"', ["name: a name has 1 to 64", "..."]),
    ('name = "good"', "name = 5", ["name: must be a text, found 5"]),
    ('title = "A good instance"', "title = 5", ["title: must be a text, found 5"]),
    ('title = "A good instance"', 'titel = "x"', ["titel: unknown key", "'title'"]),
    ('title = "A good instance"', '"ti\\u001btle" = "x"', ['"ti\\u001btle": unknown key', "'title'"]),
    ('title = "A good instance"', '"" = "x"', ['"": unknown key']),
    ('title = "A good instance"', "x" * 100_000 + " = 1", ["unknown key", "xxx"]),
    # The day
    ("interval_h = 6", "interval_h = 0", ["day.interval_h: must be greater than 0, found 0"]),
    ("interval_h = 6", "interval_h = -0.0", ["day.interval_h: must be greater than 0, found -0.0"]),
    ("interval_h = 6", "interval_h = -6", ["day.interval_h: must be greater than 0, found -6"]),
    ("interval_h = 6", "interval_h = nan", ["day.interval_h: must be a finite number, found nan"]),
    ("interval_h = 6", "interval_h = inf", ["day.interval_h: must be a finite number, found inf"]),
    ("interval_h = 6", "interval_h = 1e400", ["day.interval_h: must be a finite number, found inf"]),
    ("interval_h = 6", "interval_h = 1e9", ["day.interval_h: must be at most 1e+06, found 1000000000.0"]),
    ("interval_h = 6", "interval_h = true", ["day.interval_h: must be a number or a list, found true"]),
    ("interval_h = 6", 'interval_h = "6"', ["day.interval_h: must be a number or a list, found '6'"]),
    ("interval_h = 6", 'interval_h = "6 h"', ["day.interval_h: must be a number or a list, found '6 h'"]),
    ("interval_h = 6", "interval_h = 1979-05-27", ["day.interval_h: must be a number", "1979-05-27"]),
    ("interval_h = 6", "interval_h = 06:00:00", ["day.interval_h: must be a number", "06:00:00"]),
    ("interval_h = 6", "interval_h = []", ["day.interval_h: must have at least one entry"]),
    ("interval_h = 6", "interval_h = [6, 6]", ["day.interval_h: must be one number, or one per interval (4), found 2"]),
    ("interval_h = 6", "interval_h = [6, 6, 6, 0]", ["day.interval_h.3: must be greater than 0, found 0"]),
    ("interval_h = 6", 'interval_h = [6, 6, 6, "6"]', ["day.interval_h.3: must be a number, found '6'"]),
    ("interval_h = 6", "interval_h = [[6]]", ["day.interval_h.0: must be a number, found a list of 1"]),
    ("interval_h = 6", "interval_h = {}", ["day.interval_h.value: is required"]),
    ("interval_h = 6", "interval_h = { valu = 6 }", ["day.interval_h.valu: unknown key", "'value'"]),
    ("interval_h = 6", "interval_h = { value = -6 }", ["day.interval_h: must be greater than 0, found -6"]),
    ("interval_h = 6", "interval = 6", ["day.interval: unknown key", "'interval_h'"]),
    ("interval_h = 6", "interval_min = 30", ["day.interval_min: unknown key", "'interval_h'"]),
    ("start_h = 0", "start_h = 24", ["day.start_h: must be less than 24, found 24"]),
    ("start_h = 0", "start_h = -1", ["day.start_h: must be at least 0, found -1"]),
    ("[day]", "[days]", ["days: unknown key", "'day'"]),
    ("[day]\ninterval_h = 6\nstart_h = 0", "day = 24", ["day: must be a table, found 24"]),
    ("[day]\ninterval_h = 6\nstart_h = 0", "[[day]]", ["day: must be a table, found a list of 1"]),
    # Server types
    ("[servers.cpu]", "[server.cpu]", ["server: unknown key", "'servers'"]),
    ("[servers.cpu]", "[Servers.cpu]", ["Servers: unknown key", "'servers'"]),
    ("[servers.cpu]", '[servers.""]', ['servers."": a name has 1 to 64']),
    ("[servers.cpu]", '[servers."a,b"]', ['servers."a,b": a name has']),
    ("[servers.cpu]", '[servers."a\\nb"]', ['servers."a\\nb": a name has']),
    ("[servers.cpu]", '[servers."\\u00fc"]', ['servers."\\u00fc": a name has']),
    ("[servers.cpu]", "[servers.T7]", ["is not valid TOML"]),
    ("[servers.T7]", "[servers.t7]", ["efficiency.pairs.1.server_type: unknown name, found 'T7'", "t7"]),
    ("available = 6", "available = -6", ["servers.cpu.available: must be at least 0, found -6"]),
    ("available = 6", "available = 6.0", ["servers.cpu.available: must be a whole number, found 6.0"]),
    ("available = 6", 'available = "6"', ["servers.cpu.available: must be a whole number, found '6'"]),
    ("available = 6", "available = false", ["servers.cpu.available: must be a whole number, found false"]),
    ("available = 6", "available = inf", ["servers.cpu.available: must be a whole number, found inf"]),
    ("available = 6", "available = 2_000_000", ["servers.cpu.available: must be at most 1000000, found 2000000"]),
    ("available = 6", "available = 1" + "0" * 400, ["available: must be at most 1000000", "more than 100 digits"]),
    ("available = 6", "available = 1" + "0" * 5000, ["is not valid TOML", "too many digits"]),
    ("available = 6", "available = [6]", ["servers.cpu.available: must be a whole number, found a list of 1"]),
    ("available = 6", "available = 6\navailable = 7", ["is not valid TOML"]),
    ("available = 6", "count = 6", ["servers.cpu.count: unknown key"]),
    ("available = 6", "availble = 6", ["servers.cpu.availble: unknown key", "'available'"]),
    ("available = 6", "provenance = {}", ["servers.cpu.provenance: unknown key"]),
    ("available = 6", "_origins = {}", ["servers.cpu._origins: unknown key"]),
    ("available = 6", "available.value = 6.5", ["servers.cpu.available: must be a whole number, found 6.5"]),
    ("cost_per_h = 1.5", "cost_per_h = -1", ["servers.cpu.cost_per_h: must be at least 0, found -1"]),
    ("cost_per_h = 1.5", 'cost_per_h = "$1.5"', ["servers.cpu.cost_per_h: must be a number, found '$1.5'"]),
    ("cost_per_h = 1.5", "cost_per_h = 1e10", ["servers.cpu.cost_per_h: must be at most 1e+09"]),
    ("cost_per_h = 1.5", "cost = 1.5", ["servers.cpu.cost: unknown key", "'cost_per_h'"]),
    ("cost_per_h = 1.5", "cpu = 5", ["is not valid TOML"]),
    ("[servers.cpu.cpu]", "[servers.cpu.CPU]", ["servers.cpu.CPU: unknown key"]),
    ("[servers.cpu.cpu]", "[servers.cpu.gpu]", ["servers.cpu.gpu: unknown key", "'cpu'"]),
    ("[servers.cpu.cpu]", "[servers.cpu.cpu.cpu]", ["servers.cpu.cpu.cpu: unknown key"]),
    ("cores = 20", "", ["servers.cpu.cpu.cores: is required"]),
    ("cores = 20", "cores = 1.5", ["servers.cpu.cpu.cores: must be a whole number, found 1.5"]),
    ("clock_ghz = 1.9", "clock_ghz = 1900", ["servers.cpu.cpu.clock_ghz: must be at most 10, found 1900"]),
    ("clock_ghz = 1.9", "clock_mhz = 1900", ["servers.cpu.cpu.clock_mhz: unknown key", "'clock_ghz'"]),
    ("memory_gb_s = 128", "memory_gb_s = -76.8", ["servers.cpu.cpu.memory_gb_s: must be at least 1e-06, found -76.8"]),
    ("memory_gb_s = 128", "memory_gb_s = 0", ["servers.cpu.cpu.memory_gb_s: must be at least 1e-06, found 0"]),
    ("memory_gb_s = 128", 'memory_gb_s = "128 GB/s"', ["cpu.memory_gb_s: must be a number, found '128 GB/s'"]),
    ("idle_w = 40\n", "idle_w = nan\n", ["servers.cpu.cpu.idle_w: must be a finite number, found nan"]),
    ("clock_ghz = 1.9", "clock_ghz = 1e-160", ["servers.cpu.cpu.clock_ghz: must be at least 1e-06, found 1e-160"]),
    ("clock_ghz = 1.9", "clock_ghz = 1e300", ["servers.cpu.cpu.clock_ghz: must be at most 10, found 1e+300"]),
    ("memory_gb_s = 128", "memory_gb_s = 0", ["servers.cpu.cpu.memory_gb_s: must be at least 1e-06, found 0"]),
    ("sla_ms = 20", "sla_ms = 1e-300", ["models.ranking.sla_ms: must be at least 1e-06, found 1e-300"]),
    ("idle_w = 40\n", "idle_w = 126\n", ["servers.cpu.cpu.idle_w: must be at most tdp_w (125 W), found 126"]),
    ("available = { value = 2", "accelerator = { catalogue = 'v100-pcie', tdp_w = 30 }\navailable = { value = 2", ["servers.T7.accelerator.idle_w: must be at most tdp_w (30 W), found 35"]),
    ("cost_per_h = 1.5", "idle_w = 60\npeak_w = 50", ["servers.cpu.idle_w: must be at most peak_w (50 W), found 60"]),
    ("cost_per_h = 1.5", "idle_w = 200", ["servers.cpu.idle_w: must be at most its parts at their thermal design power (155 W), found 200"]),
    ("cost_per_h = 1.5", "peak_w = 49", ["servers.cpu.peak_w: must be at least the idle power of its parts (50 W), found 49"]),
    ("cost_per_h = 1.5", "idle_w = 151", ["efficiency.pairs.0.power_w: must be at least idle_w of the server type (151 W), found 150"]),
    ("cost_per_h = 1.5", "peak_w = 149", ["efficiency.pairs.0.power_w: must be at most peak_w of the server type (149 W), found 150"]),
    ("tdp_w = 125", "tdp_kw = 0.125", ["servers.cpu.cpu.tdp_kw: unknown key", "'tdp_w'"]),
    ('catalogue = "T7"', 'catalogue = "T77"', ["servers.T7.catalogue: unknown name", "found 'T77'", "'T7'"]),
    ('catalogue = "T7"', 'catalogue = ""', ["servers.T7.catalogue: unknown name", "found ''"]),
    ('catalogue = "T7"', "catalogue = 7", ["servers.T7.catalogue: must be a text, found 7"]),
    ('catalogue = "T7"', 'catalogue = "dlrm-rmc1"', ["servers.T7.catalogue: unknown name"]),
    ('catalogue = "T7"', 'catalog = "T7"', ["servers.T7.catalog: unknown key", "'catalogue'"]),
    ('catalogue = "T7"', 'cpu = "xeon"', ["servers.T7.cpu: unknown name in the catalogue of cpu, found 'xeon'"]),
    ('catalogue = "T7"', "cpu = 5", ["servers.T7.cpu: must be a table, found 5"]),
    ('catalogue = "T7"', "cpu = []", ["servers.T7.cpu: must be a table, found an empty list"]),
    ('catalogue = "T7"', 'catalogue = "T7"\ncpu.cores = -1', ["servers.T7.cpu.cores: must be at least 0, found -1"]),
    ('catalogue = "T7"', 'catalogue = "T7"\ncpu.core = 1', ["servers.T7.cpu.core: unknown key", "'cores'"]),
    ("value = 2,", "value = -2,", ["servers.T7.available: must be at least 0, found -2"]),
    ("value = 2,", "", ["servers.T7.available.value: is required"]),
    ("value = 2,", "value = 2, unit = 'servers',", ["servers.T7.available.unit: unknown key of a figure"]),
    ('kind = "assumed", source', 'kind = "guessed", source', ["servers.T7.available.kind: must be one of", "'guessed'"]),
    ('kind = "assumed", source', 'kind = "Assumed", source', ["servers.T7.available.kind", "Did you mean 'assumed'?"]),
    ('kind = "assumed", source', "kind = 1, source", ["servers.T7.available.kind: must be one of", "found 1"]),
    ('kind = "assumed", source', "kind = [], source", ["servers.T7.available.kind: must be one of"]),
    ('source = "our guess"', "source = 7", ["servers.T7.available.source: must be a text, found 7"]),
    # Models
    ("[models.ranking]", "[model.ranking]", ["model: unknown key", "'models'"]),
    ("[models.ranking]", "[models.Ranking]", ["loads.qps.ranking: unknown model", "'Ranking'"]),
    ("[models.ranking]", '[models."-"]', ['models.-: a name has']),
    ("sla_ms = 20", "sla_ms = 0", ["models.ranking.sla_ms: must be at least 1e-06, found 0"]),
    ("sla_ms = 20", "sla_ms = -5", ["models.ranking.sla_ms: must be at least 1e-06, found -5"]),
    ("sla_ms = 20", 'sla_ms = "20ms"', ["models.ranking.sla_ms: must be a number, found '20ms'"]),
    ("sla_ms = 20", "sla_s = 0.02", ["models.ranking.sla_s: unknown key", "'sla_ms'"]),
    ("sla_ms = 20", "sla_percentile = 100", ["models.ranking.sla_percentile: must be less than 100, found 100"]),
    ("sla_ms = 20", "sla_percentile = 0.99", ["models.ranking.sla_percentile: must be at least 50, found 0.99"]),
    ("sla_ms = 20", "query_size = 165", ["models.ranking.query_size: must be a table, found 165"]),
    ("sla_ms = 20", 'query_size = { distribution = "zipf" }', ["models.ranking.query_size.distribution", "'zipf'"]),
    ("sla_ms = 20", "architecture = {}", ["models.ranking.architecture.", "is required"]),
    ("sla_ms = 20", 'architecture = "dlrm"', ["models.ranking.architecture: must be a table, found 'dlrm'"]),
    ("over_provision = 0.05", "over_provision = -0.1", ["models.ranking.over_provision: must be at least 0"]),
    ("over_provision = 0.05", 'over_provision = "5%"', ["models.ranking.over_provision: must be a number, found '5%'"]),
    ("over_provision = 0.05", "over_provision = 101", ["models.ranking.over_provision: must be at most 100"]),
    ('"dlrm-rmc1"', '"dlrm-rmc4"', ["models.rmc1.catalogue: unknown name", "Did you mean 'dlrm-rmc"]),
    ('"dlrm-rmc1"', '"T7"', ["models.rmc1.catalogue: unknown name", "found 'T7'"]),
    # Loads
    ("[loads.qps]", "[load.qps]", ["loads: give loads.file or loads.qps, found neither"]),
    ("[loads.qps]", "[loads.QPS]", ["loads: give loads.file or loads.qps, found neither"]),
    ("[loads.qps]", '[loads]\nfile = "x.csv"\n[loads.qps]', ["is not valid TOML"]),
    ('[loads]\nkind = "measured"', '[loads]\nfile = "x.csv"', ["loads: give either loads.file or loads.qps, not both"]),
    ('[loads]\nkind = "measured"', '[loads]\nkind = "measurd"', ["loads.kind: must be", "Did you mean 'measured'?"]),
    ('[loads]\nkind = "measured"', "[loads]\nunit = 1", ["loads.unit: unknown key"]),
    ("ranking = [100, 400, 900, 0]", "", ["loads.qps.ranking: is required: every model needs loads"]),
    ("ranking = [100, 400, 900, 0]", "ranking = []", ["loads.qps.ranking: must have at least one entry"]),
    ("ranking = [100, 400, 900, 0]", "ranking = 100", ["loads.qps.ranking: must be a list, found 100"]),
    ("ranking = [100, 400, 900, 0]", "ranking = [100]", ["loads.qps.rmc1: must have one load per interval, 1", "found 4"]),
    ("ranking = [100, 400, 900, 0]", "rankings = [1, 2, 3, 4]", ["loads.qps.rankings: unknown model", "'ranking'"]),
    ("ranking = [100, 400, 900, 0]", "ranking = { a = 1 }", ["loads.qps.ranking: must be a list, found a table"]),
    ("[100, 400, 900, 0]", "[100, -400, 900, 0]", ["loads.qps.ranking.1: must be at least 0, found -400"]),
    ("[100, 400, 900, 0]", "[100, nan, 900, 0]", ["loads.qps.ranking.1: must be a finite number, found nan"]),
    ("[100, 400, 900, 0]", "[100, 1e13, 900, 0]", ["loads.qps.ranking.1: must be at most 1e+12"]),
    ("[100, 400, 900, 0]", '[100, "400", 900, 0]', ["loads.qps.ranking.1: must be a number, found '400'"]),
    ("[100, 400, 900, 0]", "[100, [400], 900, 0]", ["loads.qps.ranking.1: must be a number, found a list of 1"]),
    ("[100, 400, 900, 0]", "[100, true, 900, 0]", ["loads.qps.ranking.1: must be a number, found true"]),
    ("[100, 400, 900, 0]", "[1" + "0" * 400 + ", 1, 1, 1]", ["loads.qps.ranking.0: must be", "more than 100 digits"]),
    ("[100, 400, 900, 0]", "[nan, nan, nan, nan]", ["loads.qps.ranking.0", "(3 more problems in this input)"]),
    # The efficiency table
    ("[[efficiency.pairs]]", "[[efficiency.pair]]", ["efficiency.pair: unknown key", "'pairs'"]),
    ("[[efficiency.pairs]]", "[efficiency.pairs]", ["is not valid TOML"]),
    ('server_type = "cpu"', 'server_type = "cpus"', ["efficiency.pairs.0.server_type: unknown name", "'cpu'"]),
    ('server_type = "cpu"', "", ["efficiency.pairs.0.server_type: is required"]),
    ('server_type = "cpu"', 'server_type = ""', ["efficiency.pairs.0.server_type: a name has"]),
    ('server_type = "cpu"', "server_type = 1", ["efficiency.pairs.0.server_type: must be a text, found 1"]),
    ('server_type = "cpu"', 'server = "cpu"', ["efficiency.pairs.0.server: unknown key", "'server_type'"]),
    ('model = "ranking"', 'model = "rankin"', ["efficiency.pairs.0.model: unknown name", "'ranking'"]),
    ('model = "ranking"', 'model = ["ranking"]', ["efficiency.pairs.0.model: must be a text, found a list of 1"]),
    ("qps = 100", "qps = 0", ["efficiency.pairs.0.qps: must be greater than 0, found 0", "cpu x ranking"]),
    ("qps = 100", "qps = -1", ["efficiency.pairs.0.qps: must be greater than 0, found -1", "cpu x ranking"]),
    ("qps = 100", "qps = nan", ["efficiency.pairs.0.qps: must be a finite number, found nan", "cpu x ranking"]),
    ("qps = 100", "qps = 2e12", ["efficiency.pairs.0.qps: must be at most 1e+12", "cpu x ranking"]),
    ("qps = 100", 'qps = "fast"', ["efficiency.pairs.0.qps: must be a number, found 'fast'", "cpu x ranking"]),
    ("qps = 100", "kqps = 0.1", ["efficiency.pairs.0.kqps: unknown key", "'qps'"]),
    ("qps = 100", 'qps = { value = 0, kind = "measured" }', ["efficiency.pairs.0.qps: must be greater than 0"]),
    ("power_w = 150", "power_w = 0", ["efficiency.pairs.0.power_w: must be greater than 0, found 0"]),
    ("power_w = 150", "power_w = inf", ["efficiency.pairs.0.power_w: must be a finite number, found inf"]),
    ("power_w = 150", "power_kw = 0.15", ["efficiency.pairs.0.power_kw: unknown key", "'power_w'"]),
    ("power_w = 150", "p99_ms = -1", ["efficiency.pairs.0.p99_ms: must be at least 0, found -1"]),
    ('power_w = 150\nkind = "measured"', 'kind = "rumour"', ["efficiency.pairs.0.kind: must be 'measured'", "'rumour'"]),
    ('server_type = "T7"\nmodel = "rmc1"', 'server_type = "cpu"\nmodel = "ranking"', ["efficiency.pairs.1: each pair may"]),
    ('placement = "cpu"', 'placement = "gpu"', ["efficiency.pairs.1.schedule.placement: must be", "'gpu'", "T7 x rmc1"]),
    ("threads = 4", "threads = 0", ["efficiency.pairs.1.schedule.threads: must be at least 1, found 0"]),
    ("threads = 4", "thread = 4", ["efficiency.pairs.1.schedule.thread: unknown key", "'threads'"]),
    ("batch_size = 64", "batch_size = 64.5", ["efficiency.pairs.1.schedule.batch_size: must be a whole number"]),
]  # fmt: skip

#: What never belongs in a message to a user.
LEAKS = (
    "Traceback",
    "pydantic",
    "Error(",
    "<class",
    "constrained",
    "function-",
    "tuple[",
    "nullable",
    "provenance.",
)


def check_message(error: InputError, file: Path, fragments: list[str]) -> None:
    """Assert that a message names the file first, holds every fragment, and is one line without leaks."""
    text = str(error)
    assert text.startswith(str(file))
    for fragment in fragments:
        assert fragment in text
    assert "\n" not in text
    assert len(text) < 1000
    for leak in LEAKS:
        assert leak not in text.replace("provenance: unknown", "")


def test_the_file_that_is_mutated_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    assert list(load_instance(path).servers) == ["cpu", "T7"]


@pytest.mark.parametrize(("old", "new", "fragments"), MUTATIONS, ids=[f"m{n}" for n in range(len(MUTATIONS))])
def test_malformed_instance(tmp_path: Path, old: str, new: str, fragments: list[str]) -> None:
    """One clear message, and nothing is written."""
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as raised:
        load_instance(path)
    check_message(raised.value, path, fragments)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("raw", "fragments"),
    [
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), ["must be UTF-8 text", "byte 0xff at position 0"]),
        (GOOD.replace("A good", "Une b\xe9lle").encode("latin-1"), ["must be UTF-8 text", "byte 0xe9"]),
        (b"\x00" * 64, ["is not valid TOML"]),
        (b"\x89PNG\r\n\x1a\n", ["must be UTF-8 text", "byte 0x89 at position 0"]),
        (GOOD.replace("\n", "\r").encode(), ["is not valid TOML"]),
    ],
)
def test_bytes_that_are_no_instance(tmp_path: Path, raw: bytes, fragments: list[str]) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(raw)
    with pytest.raises(InputError) as raised:
        load_instance(path)
    check_message(raised.value, path, fragments)


@pytest.mark.parametrize(
    "raw",
    [GOOD.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + GOOD.encode()],
    ids=["CRLF", "byte order mark"],
)
def test_windows_files_are_read(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "good.toml"
    path.write_bytes(raw)
    assert load_instance(path).name == "good"


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("nowhere.toml", "no such file"),
        ("folder", "must be a file, found a folder"),
        ("folder.toml", "must be a file, found a folder"),
        ("folder/x/y.toml", "no such file"),
        ("file/y.toml", "cannot be read: Not a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read"),
    ],
)
def test_paths_that_are_no_file(tmp_path: Path, name: str, fragment: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as raised:
        load_instance(tmp_path / name)
    assert fragment in str(raised.value)
    assert "\0" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("tinny", ["tinny: no such file, and no instance of this name", "'tiny'"]),
        ("", ["must be the name of an instance, or a path, found ''"]),
        (".", ["must be a file, found a folder"]),
        ("tiny.toml", ["tiny.toml: no such file", "leave out '.toml'"]),
        ("x" * 300, ["no instance of this name in the library"]),
        ("\x1b[31m", [r"\x1b[31m: no such file"]),
    ],
)
def test_names_that_are_not_in_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fragments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        load_instance(name)
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_a_folder_of_the_same_name_does_not_hide_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_instance("tiny").name == "tiny"


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    """A sparse file of 300 MiB gives a message, not a full memory."""
    path = tmp_path / "large.toml"
    with path.open("wb") as stream:
        stream.truncate(300 * 2**20)
    with pytest.raises(InputError, match="must be at most 64 MiB, found a larger file"):
        load_instance(path)
