"""The gradient search against its rivals, what each of its parts is good for, and how far it is from a bound.

    python -m benchmarks.search [--smoke] [--json FILE]

Every rival gets as many evaluations for a pair of ``hpca22`` as the gradient search spent on it, shared
equally among its placements. It takes nine minutes of CPU time, most for TPE, the climbs and the bounds.
``benchmarks.search_large`` has spaces beyond 1e8 points, ``benchmarks.search_oracle`` the optima.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

import hercules_opt as ho
from benchmarks.harness import Report, Row, main
from benchmarks.rivals import POPULATION, RIVALS, TPE_TRIALS, spend
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.scheduling.bound import bounds_qps
from hercules_opt.scheduling.optimize import ScheduleResult, optimize_all
from hercules_opt.scheduling.space import placements, search_space

INSTANCE, OURS = "hpca22", "ours"
#: A method counts as best within this share.
BEST = 1e-3
#: Cores of the server of a smoke run.
SMOKE_CORES = 5


def smoke_instance(instance: ho.Instance) -> ho.Instance:
    """Return the instance with one server type of few cores, and one model."""
    server, model = instance.servers["T1"], "dlrm-rmc3"
    assert server.cpu is not None
    few = server.replace(cpu=server.cpu.replace(cores=SMOKE_CORES))
    loads = instance.loads.replace(qps={model: instance.loads.qps[model]})
    return instance.replace(servers={"T1": few}, models={model: instance.models[model]}, loads=loads)


def at_equal_evaluations(
    names: Sequence[str], packed: Sequence[Pair], ours: Sequence[ScheduleResult]
) -> tuple[list[Row], list[Row]]:
    """Return what each method found for each pair, and how often each is the best."""
    rows: list[dict[str, float | str]] = []
    spent = {OURS: sum(result.evaluations for result in ours), **dict.fromkeys(RIVALS, 0)}
    seconds = dict.fromkeys(RIVALS, 0.0)
    for name, pair, result in zip(names, packed, ours, strict=True):
        offered = placements(pair)
        row: dict[str, float | str] = {"pair": name, OURS: result.qps}
        for rival in RIVALS:
            begin = time.process_time()
            found = [
                spend(rival, pair, search_space(placement, pair), result.evaluations // len(offered))
                for placement in offered
            ]
            seconds[rival] += time.process_time() - begin
            spent[rival] += sum(problem.used for problem in found)
            row[rival] = max(problem.best_qps for problem in found)
        rows.append(row)
    methods = (OURS, *RIVALS)
    qps = np.array([[float(row[method]) for method in methods] for row in rows])
    best = qps.max(axis=1, keepdims=True)
    loss = 100.0 * (1.0 - qps / np.where(best > 0.0, best, 1.0))
    summary = [
        {
            "method": method,
            "best or within 0.1 %": f"{int((lost <= 100.0 * BEST).sum())} of {len(rows)}",
            "median loss, %": float(np.median(lost)),
            "mean loss, %": float(lost.mean()),
            "worst loss, %": float(lost.max()),
            "evaluations": spent[method],
            "CPU seconds": seconds.get(method),
        }
        for method, lost in zip(methods, loss.T, strict=True)
    ]
    return rows, summary


def gap_percent(bound_qps: float, qps: float) -> float | None:
    """Return by how much a bound is above what was found; ``None`` where nothing was."""
    return 100.0 * (bound_qps / qps - 1.0) if qps > 0.0 else None


def gap_rows(instance: ho.Instance, bounds: Mapping[tuple[str, str], float | None]) -> list[Row]:
    """Return gaps, server types down and models across."""
    return [
        {"server type": server, **{model: bounds[server, model] for model in instance.models}}
        for server in instance.servers
    ]


def measure(smoke: bool) -> Report:
    """Search all pairs by every method, or one small pair."""
    instance = ho.load_instance(INSTANCE)
    if smoke:
        instance = smoke_instance(instance)
    keys = [(server, model) for server in instance.servers for model in instance.models]
    pairs = [(instance.servers[server], instance.models[model]) for server, model in keys]
    packed = [pack(*pair) for pair in pairs]
    begin = time.process_time()
    ours = optimize_all(pairs)
    searched = time.process_time()
    bounds = [max(bounds_qps(pair).values(), default=0.0) for pair in packed]
    bounded = time.process_time()
    gaps = [gap_percent(bound, result.qps) for bound, result in zip(bounds, ours, strict=True)]
    rows, summary = at_equal_evaluations([" x ".join(key) for key in keys], packed, ours)
    known = np.array([gap for gap in gaps if gap is not None])
    used, points = (sum(getattr(result, each) for result in ours) for each in ("evaluations", "space_size"))
    return Report(
        {
            "At equal evaluations": summary,
            "Proven gap: the bound above what was found, %": gap_rows(
                instance, dict(zip(keys, gaps, strict=True))
            ),
        },
        [
            f"Evaluations of ours: {used:,} of {points:,} schedules, all {len(keys)} pairs together: one in "
            f"{points / used:,.0f}.",
            f"Differential evolution has {POPULATION} members or a thousandth of its evaluations, and begins "
            f"again where it has converged. TPE gets {TPE_TRIALS} trials per placement at most. Gradient "
            "without polish uses what it needs.",
            f"Bound above ours: median {np.median(known):.1f} %, worst {known.max():.1f} %; at most 5 %: "
            f"{int((known <= 5.0).sum())} pairs, at most 10 %: {int((known <= 10.0).sum())}.",
            f"CPU time: ours {searched - begin:.0f} s, with compiling; bounds {bounded - searched:.0f} s.",
        ],
        {"Pairs": rows},
    )


if __name__ == "__main__":
    main("search", "The gradient search against rivals at equal evaluations, and a bound.", measure)
