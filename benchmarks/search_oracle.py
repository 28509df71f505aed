"""The gradient search against the exhaustive oracle, on every pair of ``hpca22``.

    python -m benchmarks.search_oracle [--smoke] [--json FILE]

The oracle covers the whole lattice of every placement, pruned on the assumption that a larger load or a
slower part never helps the tail (see ``scheduling/exhaustive.py``): no schedule is better than what it
returns by more than 0.01 %. It takes some twenty minutes of CPU time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter

import hercules_opt as ho
from benchmarks.harness import Report, main
from benchmarks.search import smoke_instance
from hercules_opt.scheduling.optimize import ScheduleResult, optimize_all

INSTANCE = "hpca22"


def compare(name: str, gradient: ScheduleResult, oracle: ScheduleResult) -> dict[str, object]:
    """Return what both searches found for one pair, and how much they looked at."""
    placement = None if oracle.schedule is None else oracle.schedule.placement
    return {
        "pair": name,
        "gradient_qps": gradient.qps,
        "oracle_qps": oracle.qps,
        "loss_percent": 100.0 * (1.0 - gradient.qps / oracle.qps) if oracle.qps else 0.0,
        "gradient_evaluations": gradient.evaluations,
        "oracle_evaluations": oracle.evaluations,
        "space": oracle.space_size,
        "placement": placement or "none",
        "binds": "nothing served" if oracle.prediction is None else oracle.prediction.binds,
        "schedule": "" if gradient.schedule is None else gradient.schedule.label(),
    }


def counted(rows: list[dict[str, object]], column: str) -> list[dict[str, object]]:
    """Return how many pairs have each value of a column, most frequent first."""
    return [
        {column: value, "pairs": count} for value, count in Counter(row[column] for row in rows).most_common()
    ]


def measure(smoke: bool) -> Report:
    """Compare all pairs, or one of them."""
    instance = ho.load_instance(INSTANCE)
    if smoke:
        instance = smoke_instance(instance)
    names = [(server, model) for server in instance.servers for model in instance.models]
    pairs = [(instance.servers[server], instance.models[model]) for server, model in names]
    begin = time.process_time()
    gradient = optimize_all(pairs)
    middle = time.process_time()
    oracle = optimize_all(pairs, method="exhaustive", progress=tell)
    end = time.process_time()
    rows = [
        compare(f"{server} x {model}", *found)
        for (server, model), *found in zip(names, gradient, oracle, strict=True)
    ]
    losses = [float(str(row["loss_percent"])) for row in rows]
    looked = [sum(int(str(row[name])) for row in rows) for name in ("gradient_evaluations", "space")]
    return Report(
        {
            "Gradient search against the exhaustive oracle": rows,
            "What the bounded throughput meets": counted(rows, "binds"),
            "The best placement": counted(rows, "placement"),
        },
        [
            f"Loss, {len(rows)} pairs: median {statistics.median(losses):.4f} %, worst {max(losses):.4f} %.",
            f"Evaluations of the gradient search: {looked[0]:,} of {looked[1]:,} schedules.",
            f"CPU time: gradient {middle - begin:.0f} s, compiling included; oracle {end - middle:.0f} s.",
        ],
    )


def tell(done: int, total: int) -> None:
    """Say on stderr how far the oracle is."""
    print(f"\r{done} of {total} searches", end="" if done < total else "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(
        "search_oracle",
        "The gradient search against the exhaustive oracle, on every pair of hpca22.",
        measure,
    )
