"""The gradient search against the exhaustive oracle, on every pair of ``hpca22``.

    python -m benchmarks.search [--smoke] [--json FILE]

The oracle covers the whole lattice of every placement, pruned on the assumption that a larger load or a
slower part never helps the tail (see ``scheduling/exhaustive.py``); it takes up to a minute per pair, so
that the full run takes about an hour on one core. Each pair is told on stderr as it is done.
"""

from __future__ import annotations

import statistics
import sys
import time

import hercules_opt as ho
from benchmarks.harness import Report, main

INSTANCE = "hpca22"
#: Cores of the server of a smoke run.
SMOKE_CORES = 5


def smoke_instance(instance: ho.Instance) -> ho.Instance:
    """Return the instance with one server type of few cores, and one model."""
    server, model = instance.servers["T1"], "dlrm-rmc3"
    assert server.cpu is not None
    few = server.replace(cpu=server.cpu.replace(cores=SMOKE_CORES))
    loads = instance.loads.replace(qps={model: instance.loads.qps[model]})
    return instance.replace(servers={"T1": few}, models={model: instance.models[model]}, loads=loads)


def compare(server: str, model: str, instance: ho.Instance) -> dict[str, object]:
    """Search one pair both ways; return what each found and what it took."""
    entry = (instance.servers[server], instance.models[model])
    begin = time.process_time()
    gradient = ho.optimize_schedule(*entry, method="gradient")
    middle = time.process_time()
    oracle = ho.optimize_schedule(*entry, method="exhaustive")
    end = time.process_time()
    loss = 1.0 - gradient.qps / oracle.qps if oracle.qps else 0.0
    print(
        f"{server} x {model}: loses {loss:.3%}, oracle {end - middle:.0f} CPU s", file=sys.stderr, flush=True
    )
    return {
        "pair": f"{server} x {model}",
        "gradient_qps": gradient.qps,
        "oracle_qps": oracle.qps,
        "loss_percent": 100.0 * loss,
        "gradient_evaluations": gradient.evaluations,
        "oracle_evaluations": oracle.evaluations,
        "space": oracle.space_size,
        "schedule": "" if gradient.schedule is None else gradient.schedule.label(),
        "gradient_cpu_s": middle - begin,
        "oracle_cpu_s": end - middle,
    }


def measure(smoke: bool) -> Report:
    """Compare all pairs, or one of them."""
    instance = ho.load_instance(INSTANCE)
    if smoke:
        instance = smoke_instance(instance)
    rows = [compare(server, model, instance) for server in instance.servers for model in instance.models]
    losses = [float(str(row["loss_percent"])) for row in rows]
    return Report(
        {"Gradient search against the exhaustive oracle": rows},
        [f"Loss: median {statistics.median(losses):.4f} %, worst {max(losses):.4f} % of {len(rows)} pairs."],
    )


if __name__ == "__main__":
    main("search", "The gradient search against the exhaustive oracle, on every pair of hpca22.", measure)
