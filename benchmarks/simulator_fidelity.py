"""The queueing half of the cost model against the simulator, on every pair of ``hpca22``.

    python -m benchmarks.simulator_fidelity [--smoke] [--table FILE] [--json FILE]

The schedules are those that the gradient search picks; ``--table`` takes those of a table that ``profile``
wrote. Both sides have the same service times, so that what differs is queueing alone. An error is
model / simulator - 1: of p95 and p99 at shares of the saturation that the model states, and of the
latency-bounded throughput at multiples of the p95 that the simulator finds without load.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hercules_opt as ho
from benchmarks.harness import Report, Row, main
from benchmarks.search import smoke_instance
from hercules_opt.hardware.packing import Pair, Terms, pack
from hercules_opt.problem.models import Model
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.predict import predict_all
from hercules_opt.scheduling.schedules import located
from hercules_opt.scheduling.simulated import SimulatedServer, simulated_servers
from hercules_opt.simulation.intervals import Interval
from hercules_opt.simulation.largest_load import unloaded_percentile
from hercules_opt.simulation.server import poisson_trace

INSTANCE = "hpca22"
PERCENTILES = (95, 99)
#: Shares of saturation, and the queries that are simulated there: the interval of p99 is then far narrower
#: than the errors looked for.
QUERIES = {0.3: 150_000, 0.6: 300_000, 0.8: 1_000_000, 0.9: 2_000_000}
#: Latency targets as multiples of the p95 without load, and the queries per simulated load.
FACTORS, BOUND_QUERIES = (1.5, 3.0, 10.0), 150_000
#: Queries at the rate that the table claims.
CLAIM_QUERIES = 400_000
#: Queries of many pieces cost more and are spared: at most this many pieces per run, and never fewer than
#: the share below of the queries.
MOST_PIECES, LEAST_SHARE = 16_000_000, 0.25
#: Relative, on a simulated throughput.
TOLERANCE = 2e-3
#: A power budget that never binds.
NO_BUDGET_W = 1e9
#: A smoke run: this share of the queries, and the small instance of ``benchmarks.search``.
SMOKE_SHARE = 0.1
SEED = 1


@dataclass(frozen=True)
class Case:
    """One pair with its schedule, as the model and as the simulator see it."""

    name: str
    row: ho.PairEfficiency
    schedule: ho.Schedule
    model: Model
    pair: Pair
    server: SimulatedServer

    @property
    def label(self) -> str:
        """Return pair and schedule in one line."""
        return f"{self.name} {self.schedule.label()}"

    def queries(self, wanted: int) -> int:
        """Return how many queries a run takes."""
        if self.server.batch_items is None:
            return wanted
        pieces = 1.0 + self.pair.sizes.mean / self.server.batch_items
        return int(max(min(wanted, MOST_PIECES / pieces), LEAST_SHARE * wanted))


@dataclass(frozen=True)
class Simulated:
    """What the simulator says of a case: p95 and p99 by share, throughput by target, p95 as claimed."""

    percentiles: dict[tuple[int, float], Interval]
    targets_ms: dict[float, float]
    bounds: dict[float, ho.LargestLoad]
    claimed: Interval


@dataclass(frozen=True)
class Comparison:
    """One figure of a case by both, with its interval by the simulator."""

    case: Case
    quantity: str
    at: float
    model: float
    simulated: Interval

    @property
    def error(self) -> float:
        """The relative error of the model."""
        return self.model / self.simulated.value - 1.0


def cases_of(table: ho.EfficiencyTable, instance: ho.Instance) -> list[Case]:
    """Return every pair of a table that serves, with its schedule."""
    rows = [row for row in table if row.schedule is not None]
    models = [instance.models[row.model] for row in rows]
    pairs = [pack(instance.servers[row.server_type], model) for row, model in zip(rows, models, strict=True)]
    schedules = [row.schedule for row in rows if row.schedule is not None]
    servers = simulated_servers(pairs, models, schedules)
    names = [f"{row.server_type} x {row.model}" for row in rows]
    return [Case(*each) for each in zip(names, rows, schedules, models, pairs, servers, strict=True)]


def saturations(cases: Sequence[Case]) -> list[float]:
    """Return the saturation of each case by the model."""
    return by_model(cases, [case.pair for case in cases])[1]


def by_model(cases: Sequence[Case], pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
    """Return bounded throughput and saturation by the model; ``pairs`` replace those of the cases."""
    evaluator = AnalyticalEvaluator(pairs)
    bounded, saturation = np.zeros(len(cases)), np.zeros(len(cases))
    for placement in dict.fromkeys(case.schedule.placement for case in cases):
        rows = np.flatnonzero([case.schedule.placement == placement for case in cases])
        points = np.stack([located(cases[row].pair, cases[row].schedule)[1] for row in rows])
        found = evaluator.evaluate(placement, rows, points)
        bounded[rows], saturation[rows] = found.qps, found.saturation_qps
    return bounded.tolist(), saturation.tolist()


def simulate(case: Case, saturation_qps: float, scale: float) -> Simulated:
    """Simulate a case at all shares and for all targets; ``scale`` shortens the runs."""
    server = case.server

    def run(load_qps: float, queries: int) -> ho.ServerRun:
        return ho.simulate_server(
            server.stages,
            load_qps=load_qps,
            sizes=server.sizes,
            batch_items=server.batch_items,
            queries=case.queries(int(scale * queries)),
            seed=SEED,
        )

    percentiles = {}
    for share, queries in QUERIES.items():
        at_share = run(share * saturation_qps, queries)
        percentiles.update({(percent, share): at_share.percentile_ms(percent) for percent in PERCENTILES})
    queries = case.queries(int(scale * BOUND_QUERIES))
    alone = poisson_trace(1.0, server.sizes, queries, SEED)
    unloaded = unloaded_percentile(server.stages, alone, server.batch_items, 95.0, SEED)
    targets = {factor: factor * unloaded.value for factor in FACTORS}
    bounds = {
        factor: ho.largest_load(
            server.stages,
            sla_ms=target,
            sizes=server.sizes,
            percentile=95.0,
            batch_items=server.batch_items,
            queries=queries,
            tolerance=TOLERANCE,
            seed=SEED,
        )
        for factor, target in targets.items()
    }
    assert case.row.qps is not None
    claimed = run(case.row.qps, CLAIM_QUERIES).percentile_ms(case.model.sla_percentile)
    return Simulated(percentiles, targets, bounds, claimed)


def compare_percentiles(cases: Sequence[Case], simulated: Sequence[Simulated]) -> list[Comparison]:
    """Compare p95 and p99 at all shares of saturation."""
    loads = saturations(cases)
    asked = [(number, share) for number in range(len(cases)) for share in QUERIES]
    predictions = predict_all(
        [cases[number].pair for number, _ in asked],
        [cases[number].model for number, _ in asked],
        [cases[number].schedule for number, _ in asked],
        [share * loads[number] for number, share in asked],
    )
    return [
        Comparison(
            cases[number],
            f"p{percent}",
            share,
            prediction.percentiles_ms[float(percent)],
            simulated[number].percentiles[percent, share],
        )
        for (number, share), prediction in zip(asked, predictions, strict=True)
        for percent in PERCENTILES
    ]


def compare_throughputs(cases: Sequence[Case], simulated: Sequence[Simulated]) -> list[Comparison]:
    """Compare the throughput at all targets; there is no power budget."""
    found = []
    for factor in FACTORS:
        terms = [(0.05, each.targets_ms[factor] / 1e3) for each in simulated]
        pairs = [
            case.pair._replace(terms=Terms(sla_s=sla_s, tail=tail, budget_w=NO_BUDGET_W))
            for case, (tail, sla_s) in zip(cases, terms, strict=True)
        ]
        for case, model, each in zip(cases, by_model(cases, pairs)[0], simulated, strict=True):
            bound = each.bounds[factor]
            interval = Interval(bound.value_qps, bound.lower_qps, bound.upper_qps)
            found.append(Comparison(case, "bounded QPS", factor, model, interval))
    return found


def summary(comparisons: Sequence[Comparison], groups: Callable[[Comparison], str], title: str) -> list[Row]:
    """Return the errors of each group, and of all, in per cent; ``half_width`` is the simulator's own."""
    names = list(dict.fromkeys(map(groups, comparisons)))
    members = {name: [each for each in comparisons if groups(each) == name] for name in names}
    return [_summary_row(title, *entry) for entry in [("all", list(comparisons)), *members.items()]]


def _summary_row(title: str, name: str, group: Sequence[Comparison]) -> Row:
    errors = 100.0 * np.array([each.error for each in group])
    widths = 100.0 * np.array([each.simulated.relative_half_width for each in group])
    worst = group[int(np.argmax(np.abs(errors)))]
    return {
        title: name,
        "figures": len(group),
        "median": float(np.median(np.abs(errors))),
        "p90": float(np.quantile(np.abs(errors), 0.9)),
        "worst": float(np.abs(errors).max()),
        "bias": float(np.median(errors)),
        "half_width": finite(float(np.median(widths))),
        "widest": finite(float(widths.max())),
        "worst_is": f"{worst.case.label}, {worst.quantity} at {worst.at:g}: {100 * worst.error:+.1f} %",
    }


def finite(number: float) -> float | None:
    """Return a number, or ``None`` for an end that a short run cannot bound."""
    return number if np.isfinite(number) else None


def failing(cases: Sequence[Case], simulated: Sequence[Simulated]) -> list[Row]:
    """Return the schedules whose claimed rate surely misses the target, the worst first."""
    rows = []
    for case, each in zip(cases, simulated, strict=True):
        assert case.model.sla_ms is not None
        if each.claimed.lower > case.model.sla_ms:
            rows.append(
                {
                    "pair": case.name,
                    "schedule": case.schedule.label(),
                    "qps": case.row.qps,
                    "target_ms": case.model.sla_ms,
                    "simulated_ms": each.claimed.value,
                    "lower_ms": each.claimed.lower,
                    "over_percent": 100.0 * (each.claimed.value / case.model.sla_ms - 1.0),
                }
            )
    return sorted(rows, key=lambda row: -float(row["over_percent"]))


def detail(comparisons: Sequence[Comparison]) -> list[Row]:
    """Return every comparison as a row."""
    return [
        {
            "pair": each.case.name,
            "schedule": each.case.schedule.label(),
            "quantity": each.quantity,
            "at": each.at,
            "model": each.model,
            "simulated": each.simulated.value,
            "lower": finite(each.simulated.lower),
            "upper": finite(each.simulated.upper),
            "error_percent": 100.0 * each.error,
        }
        for each in comparisons
    ]


def side_by_side(
    work: Callable[[Case, float, float], Simulated], cases: Sequence[Case], scale: float
) -> list[Simulated]:
    """Simulate all cases on all cores (kernels leave Python's lock); tell on stderr what is done."""
    done = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for case, found in zip(
            cases, threads.map(work, cases, saturations(cases), [scale] * len(cases)), strict=True
        ):
            done.append(found)
            print(f"{len(done)}/{len(cases)} {case.label}", file=sys.stderr, flush=True)
    return done


def measure(smoke: bool, table: Path | None = None) -> Report:
    """Compare all pairs, or two of them with short runs."""
    instance = ho.load_instance(INSTANCE)
    if smoke:
        instance = smoke_instance(instance)
    profiled = ho.profile(instance) if table is None else ho.EfficiencyTable.from_csv(table)
    cases = cases_of(profiled, instance)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    simulated = side_by_side(simulate, cases, SMOKE_SHARE if smoke else 1.0)
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - begin_cpu
    percentiles = compare_percentiles(cases, simulated)
    throughputs = compare_throughputs(cases, simulated)
    missed = failing(cases, simulated)
    unsettled = sum(
        each.claimed.lower <= (case.model.sla_ms or 0.0) < each.claimed.upper
        for case, each in zip(cases, simulated, strict=True)
    )
    return Report(
        {
            "p95 and p99 at 30, 60, 80, 90 % of saturation, errors in % by placement": summary(
                percentiles, lambda each: each.case.schedule.placement, "placement"
            ),
            "The same by percentile and load": summary(
                percentiles, lambda each: f"{each.quantity} at {each.at:.0%}", "figure"
            )[1:],
            "Bounded throughput at 1.5, 3, 10 times the p95 without load, errors in % by placement": summary(
                throughputs, lambda each: each.case.schedule.placement, "placement"
            ),
            "The same by target": summary(throughputs, lambda each: f"{each.at:g} times", "target")[1:],
            "Schedules that the model passes and the simulator fails, at the model's rate and target": missed,
        },
        [
            f"{len(missed)} of {len(cases)} claimed rates surely miss their target (the whole 95 % interval "
            f"does), {unsettled} cannot be told from it.",
            "half_width and widest: half the simulator's 95 % interval over its value, in %, median and "
            f"widest. Runs have {min(QUERIES.values()):,} to {max(QUERIES.values()):,} queries, those for "
            f"throughput {BOUND_QUERIES:,} per load; down to a quarter where queries have many pieces.",
            f"Simulated in {wall_s:.0f} s on {os.cpu_count()} cores, {cpu_s:.0f} CPU s; seed {SEED}.",
        ],
        {"percentiles": detail(percentiles), "throughputs": detail(throughputs)},
    )


if __name__ == "__main__":
    main(
        "simulator_fidelity",
        "The tail of the cost model against the simulator, on every pair of hpca22.",
        measure,
        {"table": "take the schedules of this table (CSV) instead of searching for them"},
    )
