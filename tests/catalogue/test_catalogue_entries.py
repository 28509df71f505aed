"""The catalogue: what is in it, where each figure comes from, and how an instance takes and overrides it."""

from __future__ import annotations

import pytest

import hercules_opt as ho
from hercules_opt.problem.library import catalogue_entries, overridden
from hercules_opt.problem.loading import parse_instance
from hercules_opt.problem.models import Model
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.servers import ServerType

MODELS = ["dlrm-rmc1", "dlrm-rmc2", "dlrm-rmc3", "ncf", "wnd", "mt-wnd", "din", "dien", "mlperf-dlrm"]
CPU_A, CPU_B = "Intel Xeon D-2191", "Intel Xeon Gold 6138"
P100, V100 = "NVIDIA P100 PCIe 16 GB (fp32)", "NVIDIA V100 PCIe 16 GB (fp32)"


def parts_of(part: Part):
    """Yield a part and all parts inside it."""
    yield part
    for key in type(part).model_fields:
        value = getattr(part, key)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Part):
                yield from parts_of(inner)


def figures_of(part: Part, without: set[str]) -> dict:
    """Return the values of a part, without some keys and without where they come from."""
    return {key: getattr(part, key) for key in type(part).model_fields if key not in without}


def test_models_by_name():
    assert list(ho.catalogue.models) == MODELS


def test_server_types_are_those_of_the_evaluation():
    """Ten types: two CPUs, near-memory processing of 2, 4 and 8 ranks, and two accelerators."""
    found = {
        name: (
            server.cpu.name,
            server.nmp.ranks_per_channel if server.nmp else None,
            server.accelerator.name if server.accelerator else None,
        )
        for name, server in ho.catalogue.servers.items()
    }
    assert found == {
        "T1": (CPU_A, None, None),
        "T2": (CPU_B, None, None),
        "T3": (CPU_B, 2, None),
        "T4": (CPU_B, 4, None),
        "T5": (CPU_B, 8, None),
        "T6": (CPU_A, None, P100),
        "T7": (CPU_B, None, V100),
        "T8": (CPU_B, 2, V100),
        "T9": (CPU_B, 4, V100),
        "T10": (CPU_B, 8, V100),
    }


def test_rated_figures_of_the_parts():
    """Figures from the vendors' pages: bandwidth from channels, peak from units and clock, board power."""
    a, b = ho.catalogue.servers["T6"], ho.catalogue.servers["T7"]
    assert a.cpu.memory_gb_s == pytest.approx(4 * 2.4 * 8)
    assert b.cpu.memory_gb_s == pytest.approx(6 * 2.6667 * 8, rel=1e-4)
    assert (a.cpu.cores, b.cpu.cores) == (18, 20)
    assert (a.cpu.tdp_w, b.cpu.tdp_w) == (86, 125)
    assert (a.accelerator.peak_tflop_s, b.accelerator.peak_tflop_s) == (9.3, 14)
    assert (a.accelerator.memory_gb_s, b.accelerator.memory_gb_s) == (732, 900)


def test_more_ranks_bring_more_memory_and_no_other_cpu():
    """NMP x2, x4, x8 are 1, 2, 4 modules per channel of the same CPU."""
    t3, t4, t5 = (ho.catalogue.servers[name].cpu for name in ("T3", "T4", "T5"))
    assert (t4.memory_gb, t5.memory_gb) == (2 * t3.memory_gb, 4 * t3.memory_gb)
    assert (t4.memory_idle_w, t5.memory_idle_w) == (2 * t3.memory_idle_w, 4 * t3.memory_idle_w)
    own = {"memory_gb", "memory_idle_w", "kind", "source"}
    assert figures_of(t3, own) == figures_of(t4, own) == figures_of(t5, own)


@pytest.mark.parametrize("group", ["cpu", "nmp", "accelerator"])
def test_every_part_is_valid_and_plausible(group):
    """Each part alone makes a valid server type; idle power stays below the rated one."""
    cpu = catalogue_entries("cpu")["xeon-gold-6138"]
    for entry in catalogue_entries(group).values():
        server = ServerType.model_validate({"cpu": cpu, group: entry})
        for part in (server.cpu, server.accelerator):
            assert part is None or 0 < part.idle_w < part.tdp_w
        if server.accelerator is not None and server.accelerator.uncapped_w is not None:
            assert server.accelerator.uncapped_w > server.accelerator.tdp_w


@pytest.mark.parametrize("name", [*MODELS, *(f"T{number}" for number in range(1, 11))])
def test_every_figure_has_an_origin(name):
    """Every figure of the catalogue says where it comes from, if only why it was assumed."""
    entry = ho.catalogue.models[name] if name in MODELS else ho.catalogue.servers[name]
    for part in parts_of(entry):
        for key in part.model_fields_set - {"kind", "source", "catalogue", "title", "name", "provenance"}:
            value = getattr(part, key)
            if isinstance(value, int | float) or (
                isinstance(value, tuple) and not isinstance(value[0], Part)
            ):
                assert part.origin(key).source, f"{type(part).__name__}.{key}"


def test_targets():
    """Loose p95 targets for the DeepRecSys models, the published p99 of MLPerf."""
    targets = {name: (model.sla_ms, model.sla_percentile) for name, model in ho.catalogue.models.items()}
    assert targets.pop("mlperf-dlrm") == (30, 99)
    assert ho.catalogue.models["mlperf-dlrm"].origin("sla_ms").kind == "published"
    loose = (100, 400, 100, 5, 25, 25, 100, 35)
    assert targets == {name: (sla, 95) for name, sla in zip(MODELS, loose, strict=False)}


HEAD = 'format = 1\nname = "t"\n[loads.qps]\nm = [1]\n'


def loaded(text: str):
    return parse_instance(HEAD + text, where="here.toml")


def test_a_server_type_of_named_parts():
    """Parts by name, one of them with a change; the change has its own origin."""
    server = loaded(
        """
        [models.m]
        [servers.mine]
        cpu = "xeon-gold-6138"
        nmp = { catalogue = "recnmp-x4", idle_w = 3 }
        accelerator = "a30"
        """
    ).servers["mine"]
    assert server.cpu == ho.catalogue.servers["T2"].cpu
    assert (server.nmp.idle_w, server.nmp.active_w) == (3, 4.8)
    assert server.nmp.origin("idle_w").source is None
    assert server.nmp.origin("energy_saving").kind == "published"
    assert server.accelerator.memory_gb == 24


def test_a_part_by_name_inherits_nothing_of_the_one_it_replaces():
    """The T4 card has a figure that the A30 entry does not have: it must not remain."""
    instance = loaded(
        """
        [models.m]
        [servers.t]
        catalogue = "T7"
        accelerator = { catalogue = "a30", count = 2 }
        """
    )
    found, entry = instance.servers["t"].accelerator, catalogue_entries("accelerator")["a30"]
    expected = ServerType.model_validate({"accelerator": entry}).accelerator
    assert found.count == 2
    assert figures_of(found, {"count", "kind", "source"}) == figures_of(expected, {"count", "kind", "source"})
    merged = overridden(
        {"accelerator": catalogue_entries("accelerator")["t4"]}, {"accelerator": {"catalogue": "a30"}}
    )
    assert merged == {"accelerator": {"catalogue": "a30"}}


def test_an_override_does_not_borrow_the_origin_of_the_catalogue():
    """A changed figure is not "published" as the catalogue's was, nor are the others "measured" with it."""
    cpu = (
        loaded(
            """
        [models.m]
        [servers.t]
        catalogue = "T2"
        [servers.t.cpu]
        kind = "measured"
        memory_gb_s = 105
        """
        )
        .servers["t"]
        .cpu
    )
    assert (cpu.memory_gb_s, cpu.origin("memory_gb_s").kind) == (105, "measured")
    assert (cpu.cores, cpu.origin("cores").kind) == (20, "published")


def test_another_distribution_replaces_the_whole():
    """A model of the catalogue takes another query-size distribution, or another figure of the same."""
    text = '[servers.s]\n[models.m]\ncatalogue = "wnd"\n[models.m.query_size]\n'
    public = loaded(text + 'distribution = "normal"\nmean_items = 165\nstd_items = 16').models["m"].query_size
    assert (public.distribution, public.sigma, public.std_items) == ("normal", None, 16)
    wider = loaded(text + "sigma = 1.2").models["m"].query_size
    assert (wider.distribution, wider.mean_items, wider.sigma) == ("lognormal", 179, 1.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'cpu = "xeon-gold-6183"',
            "here.toml, servers.t.cpu: unknown name in the catalogue of cpu.*'xeon-gold-6138'",
        ),
        (
            'accelerator = { catalogue = "h100" }',
            "servers.t.accelerator: unknown name in the catalogue of acc",
        ),
        ('catalogue = "T11"', "servers.t.catalogue: unknown name in the catalogue of servers, found 'T11'"),
        ("catalogue = 7", "servers.t.catalogue: must be a text, found 7"),
        ("cpu = 7", "servers.t.cpu"),
        ("cpu = { catalogue = 7 }", "servers.t.cpu"),
    ],
)
def test_unknown_names(text, message):
    with pytest.raises(ho.InputError, match=message):
        loaded(f"[models.m]\n[servers.t]\n{text}\n")


def test_catalogue_entries_survive_saving(tmp_path):
    """An instance of catalogue entries loads again as it was."""
    servers = "".join(
        f'[servers.{name}]\ncatalogue = "{name}"\navailable = 1\n' for name in ho.catalogue.servers
    )
    instance = loaded(servers + '[models.m]\ncatalogue = "dien"\nsla_ms = 10\n')
    ho.save_instance(instance, tmp_path / "saved.toml")
    again = ho.load_instance(tmp_path / "saved.toml")
    assert again == instance
    assert isinstance(again.models["m"], Model)
    assert again.models["m"].origin("sla_ms").source is None
    assert again.servers["T3"].cpu.origin("cores") == ho.catalogue.servers["T3"].cpu.origin("cores")
