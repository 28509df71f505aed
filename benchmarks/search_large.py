"""The gradient search on spaces beyond 1e8 points, against rivals with a hundred times its evaluations.

    python -m benchmarks.search_large [--smoke] [--json FILE]

All variables at once, many cores, scarce memory: where the oracle cannot go. Ten minutes of CPU time.
"""

from __future__ import annotations

import numpy as np

import hercules_opt as ho
from benchmarks.harness import Report, main
from benchmarks.rivals import spend
from benchmarks.search import INSTANCE, OURS, gap_percent, smoke_instance
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.bound import bounds_qps
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.gradient import gradient_search
from hercules_opt.scheduling.space import Tasks, search_space

#: Methods that go on as long as they may, and how much more of it they get, also in a smoke run.
PATIENT, MORE, SMOKE_MORE = ("random", "differential evolution", "polish from random starts"), 100, 2


def widened(server: ServerType, *, sockets: int, cores: int, accelerators: int = 1) -> ServerType:
    """Return a server with so many sockets of so many cores, and accelerators where it has one."""
    assert server.cpu is not None
    more: dict[str, object] = {"cpu": server.cpu.replace(sockets=sockets, cores=cores)}
    if server.accelerator is not None:
        more["accelerator"] = server.accelerator.replace(count=accelerators)
    return server.replace(**more)


def large_cases(instance: ho.Instance) -> dict[str, tuple[ServerType, Model, Placement]]:
    """Return pairs with spaces beyond 1e8 points: all variables at once, many cores, scarce memory."""
    kinds, models = instance.servers, instance.models
    small_memory = kinds["T7"].accelerator
    assert small_memory is not None
    scarce = kinds["T7"].replace(accelerator=small_memory.replace(memory_gb=5.0))
    many = {"sockets": 2, "cores": 32}
    return {
        "T2, 128 cores x din": (widened(kinds["T2"], sockets=2, cores=64), models["din"], "cpu-sd"),
        "T7, 5 GB accelerator x din": (scarce, models["din"], "accelerator-hot"),
        "T7, 64 cores x dlrm-rmc1": (widened(kinds["T7"], **many), models["dlrm-rmc1"], "accelerator-hot"),
        "T10, 64 cores, 2 accelerators x dlrm-rmc2": (
            widened(kinds["T10"], **many, accelerators=2), models["dlrm-rmc2"], "accelerator-hot",
        ),
    }  # fmt: skip


def on_large_space(
    name: str, server: ServerType, model: Model, placement: Placement, more: int
) -> dict[str, object]:
    """Search one space by all methods, the rivals with a multiple of the evaluations of ours."""
    pair = pack(server, model)
    space = search_space(placement, pair)
    evaluator = AnalyticalEvaluator([pair])
    found = gradient_search(evaluator, Tasks(placement, np.zeros(1, dtype=np.int64), (space,)))
    ours, used = float(found.evaluation.qps[0]), int(evaluator.evaluations[0])
    rivals = {rival: spend(rival, pair, space, more * used).best_qps for rival in PATIENT}
    best = max(ours, *rivals.values())
    return {
        "server and model": name,
        "placement": placement,
        "points": space.size,
        "evaluations of ours": used,
        "ours, QPS": ours,
        **{f"{rival}, loss %": 100.0 * (1.0 - qps / best) for rival, qps in {OURS: ours, **rivals}.items()},
        "bound, %": gap_percent(bounds_qps(pair)[placement], ours),
    }


def measure(smoke: bool) -> Report:
    """Search the large spaces, or one small one."""
    instance = ho.load_instance(INSTANCE)
    cases = large_cases(instance)
    if smoke:
        few = smoke_instance(instance)
        cases = {"T1, few cores x dlrm-rmc3": (few.servers["T1"], few.models["dlrm-rmc3"], "cpu-sd")}
    more = SMOKE_MORE if smoke else MORE
    beyond = [on_large_space(name, *case, more) for name, case in cases.items()]
    return Report({f"Spaces beyond 1e8 points, rivals with {more} times the evaluations": beyond})


if __name__ == "__main__":
    main("search_large", "The gradient search on spaces beyond 1e8 points, against patient rivals.", measure)
