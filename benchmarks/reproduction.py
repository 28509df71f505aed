"""The three headline figures of the Hercules paper beside ours, and what they depend on.

    python -m benchmarks.reproduction [--smoke] [--json FILE] [--cache FOLDER]

Of the paper only its abstract's figures are taken; its servers, models and loads are ours to assume
(instances ``hpca22`` and ``hpca22-large``). Throughputs are those of the cost model, before the check by
simulation, on both sides of every ratio. It takes about ten minutes of CPU time; a cache folder keeps the
rows of all tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

import hercules_opt as ho
from benchmarks.harness import Report, Row, main
from benchmarks.search import smoke_instance
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.provisioning.answers.compare import Saving
from hercules_opt.workloads.query_sizes import size_distribution

INSTANCES = ("hpca22", "hpca22-large")
#: What the paper's abstract states.
PAPER = {"throughput": 9.0, "servers": 47.7, "power": 23.7}
#: Schedulers of earlier work, and both their freedoms together.
PRIOR, BOTH_FREEDOMS = ("deeprecsys", "baymax"), "offload"
#: Latency targets and numbers of servers as multiples of the instance's.
TARGETS, COUNTS = (0.5, 2.0, 4.0), (0.75, 1.5, 3.0)
#: Spreads of the query sizes beside the instance's 0.95; the mean stays.
SIGMAS = (0.5, 1.3)
#: Server types of a cluster, from one to ten.
CLUSTERS: Mapping[str, tuple[str, ...]] = {
    "T2 alone": ("T2",),
    "T1, T2": ("T1", "T2"),
    "T1 to T5": ("T1", "T2", "T3", "T4", "T5"),
    "T1 to T7": ("T1", "T2", "T3", "T4", "T5", "T6", "T7"),
}
#: Factors of the numbers of servers that are tried until a cluster of fewer types covers the loads.
GROWTH = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)


@dataclass(frozen=True)
class Tables:
    """Efficiency tables of one instance by method."""

    instance: ho.Instance
    by_method: Mapping[str, ho.EfficiencyTable]

    def qps(self, method: str) -> np.ndarray:
        """Return throughputs, shape (server types, models); 0 where nothing is served."""
        rows = [
            [self.by_method[method].get(server, model) for model in self.instance.models]
            for server in self.instance.servers
        ]
        return np.array([[(row.qps if row is not None else None) or 0.0 for row in line] for line in rows])

    def ratios(self, *methods: str) -> np.ndarray:
        """Return ours over the best of some methods, shape (server types, models); NaN where none serves."""
        best = np.max([self.qps(method) for method in methods], axis=0)
        return np.where(best > 0.0, self.qps("gradient") / np.where(best > 0.0, best, 1.0), np.nan)


def tables(instance: ho.Instance, methods: Sequence[str], cache: Path | None) -> Tables:
    """Search an instance by some methods."""
    return Tables(
        instance,
        {method: ho.profile(instance, method=method, check=False, cache=cache) for method in methods},
    )


@dataclass(frozen=True)
class Day:
    """What plans of least power and of fewest servers save against greedy."""

    intervals: int
    covered: int
    power: Saving
    servers: Saving
    orders: tuple[float | None, float | None]


def day(instance: ho.Instance, table: ho.EfficiencyTable) -> Day:
    """Plan a day by greedy and by both objectives."""
    greedy = ho.provision(instance, table, policy="greedy")
    plans = [ho.provision(instance, table, objective=objective) for objective in ("power", "servers")]
    _, power, servers = ho.compare(instance, table, [greedy, *plans]).plans
    return Day(
        intervals=len(instance.load_qps),
        covered=power.saving.intervals,
        power=power.saving,
        servers=servers.saving,
        orders=(power.orders.saving_min, power.orders.saving_max),
    )


def headline(found: Tables, planned: Day) -> dict[str, float | str | None]:
    """Return our figures for one instance, by what they are."""
    ratios, freest = found.ratios(*PRIOR), found.ratios(BOTH_FREEDOMS)
    return {
        "latency-bounded throughput over the better prior scheduler, up to": largest(ratios),
        "the same, geometric mean": geometric_mean(ratios),
        "over DeepRecSys-like, up to": largest(found.ratios("deeprecsys")),
        "over Baymax-like, up to": largest(found.ratios("baymax")),
        "over a threshold together with co-location, up to": largest(freest),
        "the same, geometric mean ": geometric_mean(freest),
        "servers less than greedy at the peak, %": percent(planned.servers.peak_servers),
        "servers less than greedy, mean of the day, %": percent(planned.servers.mean_servers),
        "power less than greedy at the peak, %": percent(planned.power.peak_power),
        "power less than greedy, mean of the day, %": percent(planned.power.mean_power),
        "the same, over 100 orders of the models, %": span(*planned.orders),
    }


def headlines(ours: Mapping[str, Mapping[str, float | str | None]]) -> list[Row]:
    """Return the figures of all instances beside the paper's."""
    names = list(next(iter(ours.values())))
    paper = {
        names[0]: PAPER["throughput"],
        "servers less than greedy at the peak, %": PAPER["servers"],
        "power less than greedy at the peak, %": PAPER["power"],
    }
    return [
        {
            "figure": name,
            "paper": paper.get(name),
            **{instance: each[name] for instance, each in ours.items()},
        }
        for name in names
    ]


def largest(ratios: np.ndarray) -> float | None:
    """Return the largest ratio; ``None`` where there is none."""
    known = ratios[np.isfinite(ratios)]
    return float(known.max()) if known.size else None


def geometric_mean(ratios: np.ndarray) -> float | None:
    """Return the geometric mean of the ratios above 0."""
    known = ratios[np.isfinite(ratios) & (ratios > 0.0)]
    return float(np.exp(np.log(known).mean())) if known.size else None


def percent(share: float | None) -> float | None:
    """Return a share in percent."""
    return None if share is None else 100.0 * share


def span(low: float | None, high: float | None) -> str | None:
    """Return from which share to which, in percent; ``None`` where they are not known."""
    return None if low is None or high is None else f"{100.0 * low:.1f} to {100.0 * high:.1f}"


def grid(instance: ho.Instance, ratios: np.ndarray) -> list[Row]:
    """Return ratios, server types down and models across."""
    return [
        {"server type": server}
        | {model: f"{ratio:.2f}" for model, ratio in zip(instance.models, line.tolist(), strict=True)}
        for server, line in zip(instance.servers, ratios, strict=True)
    ]


def sensitivity(change: str, planned: Day, found: Tables | None) -> Row:
    """Return one row: ratios where schedules were searched again, and what the plans save."""
    ratios = None if found is None else found.ratios(*PRIOR)
    return {
        "change": change,
        "ratio, up to": None if ratios is None else largest(ratios),
        "ratio, mean": None if ratios is None else geometric_mean(ratios),
        "intervals both cover": f"{planned.covered} of {planned.intervals}",
        "peak servers less, %": percent(planned.servers.peak_servers),
        "mean servers less, %": percent(planned.servers.mean_servers),
        "peak power less, %": percent(planned.power.peak_power),
        "mean power less, %": percent(planned.power.mean_power),
    }


def with_models(instance: ho.Instance, change: Mapping[str, Model]) -> ho.Instance:
    """Return an instance with other models of the same names."""
    return instance.replace(models=dict(change))


def with_targets(instance: ho.Instance, factor: float) -> ho.Instance:
    """Return an instance with latency targets that are multiples of its own."""
    return with_models(
        instance,
        {
            name: model.replace(sla_ms=factor * (model.sla_ms or 0.0))
            for name, model in instance.models.items()
        },
    )


def with_tail(instance: ho.Instance, sigma: float) -> ho.Instance:
    """Return an instance whose query sizes have another spread, and the same mean after they are cut."""

    def spread(model: Model) -> Model:
        assert model.query_size is not None
        wanted = size_distribution(model.query_size).mean_items

        def sizes(mean_items: float) -> QuerySize:
            return QuerySize(distribution="lognormal", mean_items=mean_items, sigma=sigma)

        mean = brentq(lambda items: size_distribution(sizes(items)).mean_items - wanted, 20.0, 2000.0)
        return model.replace(query_size=sizes(float(mean)))

    return with_models(instance, {name: spread(model) for name, model in instance.models.items()})


def with_counts(instance: ho.Instance, factor: float) -> ho.Instance:
    """Return an instance with other numbers of servers, rounded up."""
    servers = {
        name: server.replace(available=int(np.ceil(factor * server.available)))
        for name, server in instance.servers.items()
    }
    return instance.replace(servers=servers)


def with_loads(instance: ho.Instance, load_qps: np.ndarray) -> ho.Instance:
    """Return an instance with other loads, shape (intervals, models)."""
    qps = {name: tuple(load_qps[:, number].tolist()) for number, name in enumerate(instance.models)}
    return instance.replace(loads=instance.loads.replace(qps=qps))


def load_shapes(instance: ho.Instance) -> dict[str, ho.Instance]:
    """Return the instance with other shapes of the day; every model keeps its peak, or its mean."""
    load = instance.load_qps
    peak, mean = load.max(axis=0), load.mean(axis=0)
    common = load[:, 0] / peak[0]
    half = len(load) // 2
    opposite = np.column_stack([np.roll(common, half * (number % 2)) for number in range(load.shape[1])])
    return {
        "flat at each model's mean": with_loads(instance, np.tile(mean, (1, 1))),
        "flat at each model's peak": with_loads(instance, np.tile(peak, (1, 1))),
        "all models peak together": with_loads(instance, common[:, None] * peak),
        "every second model half a day later": with_loads(instance, opposite * peak),
    }


def smaller_clusters(instance: ho.Instance, table: ho.EfficiencyTable) -> Iterator[tuple[str, Day]]:
    """Yield days on clusters of fewer types, with as many times the servers as cover the loads."""
    for name, kinds in CLUSTERS.items():
        some = instance.replace(servers={kind: instance.servers[kind] for kind in kinds})
        rows = ho.EfficiencyTable(tuple(row for row in table if row.server_type in kinds))
        for factor in GROWTH:
            grown = with_counts(some, factor)
            if ho.provision(grown, rows).status != "infeasible":
                yield f"{name}, {factor:g} times the servers", day(grown, rows)
                break


def sensitivities(found: Tables, base: Day, cache: Path | None) -> list[Row]:
    """Change one thing at a time."""
    instance, ours = found.instance, found.by_method["gradient"]
    rows = [sensitivity("none", base, found)]
    searched = {f"latency targets x {factor:g}": with_targets(instance, factor) for factor in TARGETS}
    searched |= {f"query sizes, sigma {sigma:g} for 0.95": with_tail(instance, sigma) for sigma in SIGMAS}
    for change, other in searched.items():
        again = tables(other, ("gradient", *PRIOR), cache)
        rows.append(sensitivity(change, day(other, again.by_method["gradient"]), again))
    planned = {f"numbers of servers x {factor:g}": with_counts(instance, factor) for factor in COUNTS}
    planned |= load_shapes(instance)
    rows += [sensitivity(change, day(other, ours), None) for change, other in planned.items()]
    return rows + [sensitivity(change, each, None) for change, each in smaller_clusters(instance, ours)]


def behind(found: Tables) -> str:
    """Say how often a threshold together with co-location is ahead of our search space."""
    accelerated = np.array([server.accelerator is not None for server in found.instance.servers.values()])
    ratios = found.ratios(BOTH_FREEDOMS)[accelerated]
    ahead = ratios[ratios < 1.0]
    count = f"{ahead.size} of {ratios.size} pairs with an accelerator"
    by = ""
    if ahead.size:
        most, middle = (100.0 * (1.0 / ratio - 1.0) for ratio in (ahead.min(), np.median(ahead)))
        by = f", by up to {most:.0f} %, in the median of those by {middle:.0f} %"
    what = "a threshold together with co-location (offload) is ahead of our search space"
    return f"{found.instance.name}: {what} on {count}{by}."


def measure(smoke: bool, *, cache: Path | None = None) -> Report:
    """Search both instances by all methods, plan their days, and change one thing at a time."""
    if smoke:
        instances = [smoke_instance(ho.load_instance(INSTANCES[0]))]
    else:
        instances = [ho.load_instance(name) for name in INSTANCES]
    found = [tables(instance, ("gradient", *PRIOR, BOTH_FREEDOMS), cache) for instance in instances]
    days = [day(each.instance, each.by_method["gradient"]) for each in found]
    ours = {each.instance.name: headline(each, planned) for each, planned in zip(found, days, strict=True)}
    report: dict[str, Sequence[Row]] = {"The paper's figures and ours": headlines(ours)}
    for each in found:
        for method in (*PRIOR, BOTH_FREEDOMS):
            title = f"Ours over {method}, latency-bounded throughput, {each.instance.name}"
            report[title] = grid(each.instance, each.ratios(method))
    notes = [] if smoke else [behind(each) for each in found]
    if not smoke:
        report[f"One change at a time, {found[0].instance.name}"] = sensitivities(found[0], days[0], cache)
    return Report(report, notes)


if __name__ == "__main__":
    main(
        "reproduction",
        "The paper's headline figures beside ours, and what they depend on.",
        measure,
        {"cache": "folder that keeps the rows of all tables"},
    )
