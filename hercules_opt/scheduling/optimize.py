"""The best schedule of each (server type, model) pair, by any method, or why there is none."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from hercules_opt.errors import InputError, check_seed, check_type, nearest_name
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.hardware.stages import PROGRAM
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import PLACEMENTS, Placement, Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator, Evaluation
from hercules_opt.scheduling.exhaustive import exhaustive_search
from hercules_opt.scheduling.gradient import Ends, Found, climb, finish
from hercules_opt.scheduling.lattice import lattice_search
from hercules_opt.scheduling.offload import Offloaded, offload_search
from hercules_opt.scheduling.prior import PRIOR_PLACEMENTS, Prior, WithThreshold, prior_search
from hercules_opt.scheduling.programs import Kind, Layout, layout, prepare
from hercules_opt.scheduling.random_search import random_search
from hercules_opt.scheduling.refusal import no_core, refusal
from hercules_opt.scheduling.space import COLUMN, Floats, Integers, Space, Tasks, placements, search_space

if TYPE_CHECKING:
    from hercules_opt.scheduling.predict import Prediction

Method = Literal[
    "gradient", "lattice", "random", "exhaustive", "deeprecsys", "baymax", "offload", "gradient-offload"
]
#: Methods that climb by gradients, and the freedom of those that also try a threshold of query sizes.
_CLIMBING: Final = ("gradient", "exhaustive", "gradient-offload")
_THRESHOLDS: Final[Mapping[str, WithThreshold]] = {
    "deeprecsys": "deeprecsys",
    "offload": "offload",
    "gradient-offload": "offload",
}
Progress = Callable[[int, int], None]
#: The best that was found for a pair, by placement.
_Best = dict[Placement, tuple[Space, Found]]


@dataclass(frozen=True)
class ScheduleResult:
    """The best schedule of one pair.

    Attributes
    ----------
    schedule, qps, power_w
        The schedule, its latency-bounded throughput, and the power at that load; ``None``, 0 and ``None``
        where nothing is served.
    prediction
        What it does at that load, and what binds it; ``None`` for a schedule with a threshold
        (``offload_above``), which the search space of the other methods does not have.
    placements
        Throughput of the best schedule found with each placement that was searched, 0 where it serves
        nothing; without a threshold.
    evaluations, space_size
        Evaluations that were made (a value with its gradient counts three), and the points of the search
        spaces, whatever the method may choose of them.
    method
        How it was searched.
    reason
        Why nothing is served, and what would help.
    """

    schedule: Schedule | None
    qps: float
    power_w: float | None
    prediction: Prediction | None
    placements: Mapping[Placement, float]
    evaluations: int
    space_size: int
    method: Method
    reason: str | None = None


def optimize_schedule(
    server: ServerType,
    model: Model,
    *,
    method: Method = "gradient",
    seed: int = 0,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
) -> ScheduleResult:
    """Return the schedule with the highest latency-bounded throughput within the power budget.

    Parameters
    ----------
    method
        ``"gradient"``: ascent of a continuous relaxation from many starts, rounded and polished on the
        lattice. ``"lattice"``: steepest ascent on the lattice alone, from one thread on. ``"random"``: the
        best of points drawn evenly. ``"exhaustive"``: the whole lattice, pruned where more load or a
        slower part cannot help; minutes for the largest spaces. ``"deeprecsys"``, ``"baymax"``: the best of
        what prior schedulers can choose from; ``"offload"``: of what they could together (see ``prior``).
        ``"gradient-offload"``: the better of ``"gradient"`` and ``"offload"``, pair by pair.
    seed
        Of starts and random points.

    Raises
    ------
    InputError
        If the server has no parts, the model no architecture, target or query sizes, or the method is
        unknown.
    """
    check_type("server", server, ServerType)
    check_type("model", model, Model)
    check_type("efficiency", efficiency, Efficiency)
    check_seed(seed)
    return optimize_all([(server, model)], method=method, seed=seed, efficiency=efficiency)[0]


def optimize_all(
    pairs: Sequence[tuple[ServerType, Model]],
    *,
    method: Method = "gradient",
    seed: int = 0,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    progress: Progress | None = None,
) -> list[ScheduleResult]:
    """Return the best schedule of many pairs, searched side by side; a pair's result depends on it alone.

    ``progress`` is called with the number of parts of searches done, and how many there are.
    """
    if method not in get_args(Method):
        raise InputError("unknown method", found=method, hint=nearest_name(str(method), get_args(Method)))
    packed = [pack(server, model, efficiency) for server, model in pairs]
    offers = [_offer(pair, method) for pair in packed]
    searches = sum(len(offer) for offer in offers)
    evaluations: Integers = np.zeros(len(packed), dtype=np.int64)
    offered = _placements_of(offers)
    climbs = [_tasks(placement, packed, offers) for placement in offered]
    total = searches * (1 + (method in _CLIMBING) + (method == "exhaustive"))
    done = 0
    # Side by side: compiling and running a program both leave Python's lock.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:

        def each(search: Callable[..., tuple[Any, Integers]], *jobs: Sequence[Any]) -> Iterator[Any]:
            nonlocal done
            for tasks, (outcome, spent) in zip(jobs[0], threads.map(search, *jobs), strict=True):
                np.add(evaluations, spent, out=evaluations)
                done += len(tasks.pair)
                if progress is not None:
                    progress(done, total)
                yield outcome

        for kind, program, one in _compilations(offered, packed):
            threads.submit(prepare, kind, program, one)
        if method in _CLIMBING:
            ends = list(each(partial(_climb, packed, seed), climbs))
            best_qps = _best_qps(len(packed), climbs, ends)
            finished = list(each(partial(_finish, packed, best_qps), climbs, ends))
        else:
            finished = list(each(partial(_search, packed, method, seed), climbs))
        best = _by_pair(len(packed), climbs, finished)
        if method == "exhaustive":
            apart = [one for tasks in climbs for one in tasks.apart()]
            best = _by_pair(len(packed), apart, list(each(partial(_list, packed, best), apart)))
    offloaded = _offloaded(pairs, best, method, efficiency)
    for row, split in offloaded.items():
        evaluations[row] += split.evaluations
    return _results(pairs, packed, best, offloaded, evaluations, method, efficiency)


def _offer(pair: Pair, method: Method) -> tuple[Placement, ...]:
    """Return the placements that are searched."""
    offer = placements(pair)
    if method in get_args(Prior):
        return tuple(placement for placement in offer if placement in PRIOR_PLACEMENTS)
    return offer


def _best_qps(pairs: int, climbs: Sequence[Tasks], ends: Sequence[Ends]) -> Floats:
    """Return the best throughput of each pair over all placements, shape (pairs,)."""
    best = np.zeros(pairs)
    for tasks, found in zip(climbs, ends, strict=True):
        best[tasks.pair] = np.maximum(best[tasks.pair], found.best_qps(len(tasks.pair)))
    return best


def _by_pair(pairs: int, searches: Sequence[Tasks], found: Sequence[Found]) -> list[_Best]:
    """Return what was found for each pair, by placement."""
    best: list[_Best] = [{} for _ in range(pairs)]
    for tasks, schedules in zip(searches, found, strict=True):
        for place, row in enumerate(tasks.pair):
            best[row][tasks.placement] = (tasks.spaces[place], schedules.take(slice(place, place + 1)))
    return best


def _placements_of(offers: Sequence[tuple[Placement, ...]]) -> list[Placement]:
    """Return every placement that is offered, the longest searches first."""
    offered = {placement for offer in offers for placement in offer}
    return [placement for placement in reversed(PLACEMENTS) if placement in offered]


def _compilations(
    offered: Sequence[Placement], packed: Sequence[Pair]
) -> list[tuple[Kind, Placement, Layout]]:
    """Return what a search will need compiled, the longest first."""
    kinds: tuple[Kind, ...] = ("gradient", "value", "detail")
    layouts = dict.fromkeys(layout(pair) for pair in packed)
    programs = dict.fromkeys(PROGRAM[placement] for placement in offered)
    return [(kind, program, each) for kind in kinds for program in programs for each in layouts]


def _tasks(placement: Placement, packed: Sequence[Pair], offers: Sequence[tuple[Placement, ...]]) -> Tasks:
    rows = [row for row, offer in enumerate(offers) if placement in offer]
    spaces = tuple(search_space(placement, packed[row]) for row in rows)
    return Tasks(placement, np.array(rows, dtype=np.int64), spaces)


def _climb(packed: Sequence[Pair], seed: int, tasks: Tasks) -> tuple[Ends, Integers]:
    evaluator = AnalyticalEvaluator(packed)
    return climb(evaluator, tasks, seed=seed), evaluator.evaluations


def _finish(packed: Sequence[Pair], best_qps: Floats, tasks: Tasks, ends: Ends) -> tuple[Found, Integers]:
    evaluator = AnalyticalEvaluator(packed)
    return finish(evaluator, tasks, ends, best_qps[tasks.pair]), evaluator.evaluations


def _search(packed: Sequence[Pair], method: Method, seed: int, tasks: Tasks) -> tuple[Found, Integers]:
    """Return what a search without a gradient finds."""
    evaluator = AnalyticalEvaluator(packed)
    if method == "deeprecsys" or method == "baymax" or method == "offload":
        found = prior_search(evaluator, tasks, method)
    elif method == "lattice":
        found = lattice_search(evaluator, tasks)
    else:
        found = random_search(evaluator, tasks, seed=seed)
    return found, evaluator.evaluations


def _list(packed: Sequence[Pair], climbed: Sequence[_Best], tasks: Tasks) -> tuple[Found, Integers]:
    """Look for something better than what was found for a pair with all placements."""
    evaluator = AnalyticalEvaluator(packed)
    rows = tasks.pair.tolist()
    begun = Found.joined([climbed[row][tasks.placement][1] for row in rows])
    floor = [max(float(one.evaluation.qps[0]) for _, one in climbed[row].values()) for row in rows]
    found = exhaustive_search(evaluator, tasks, begun=begun, floor_qps=np.array(floor))
    return found, evaluator.evaluations


def _offloaded(
    pairs: Sequence[tuple[ServerType, Model]],
    best: Sequence[_Best],
    method: Method,
    efficiency: Efficiency,
) -> dict[int, Offloaded]:
    """Return the best schedule with a threshold of each pair that the method can give one."""
    if method not in _THRESHOLDS:
        return {}
    both = [row for row, found in enumerate(best) if set(PRIOR_PLACEMENTS) <= set(found)]
    batches = [int(best[row]["cpu"][1].points[0, COLUMN["batch_size"]]) for row in both]
    return {
        row: offload_search(*pairs[row], batch, _THRESHOLDS[method], efficiency)
        for row, batch in zip(both, batches, strict=True)
    }


def _results(
    pairs: Sequence[tuple[ServerType, Model]],
    packed: Sequence[Pair],
    best: Sequence[_Best],
    offloaded: Mapping[int, Offloaded],
    evaluations: Integers,
    method: Method,
    efficiency: Efficiency,
) -> list[ScheduleResult]:
    chosen = {row: _chosen(found) for row, found in enumerate(best) if found}
    served = [row for row, schedule in chosen.items() if schedule is not None]
    predictions = _predictions(pairs, packed, [(row, chosen[row]) for row in served], efficiency)
    results = []
    for row, found in enumerate(best):
        prediction, split = predictions.get(row), offloaded.get(row)
        schedule, qps, power_w = None, 0.0, None
        if prediction is not None:
            schedule, qps, power_w = prediction.schedule, prediction.bounded_qps, prediction.power_w
        if split is not None and split.qps > qps:
            prediction, schedule, qps, power_w = None, split.schedule, split.qps, split.power_w
        results.append(
            ScheduleResult(
                schedule=schedule,
                qps=qps,
                power_w=power_w,
                prediction=prediction,
                placements=MappingProxyType(
                    {name: float(one.evaluation.qps[0]) for name, (_, one) in found.items()}
                ),
                evaluations=int(evaluations[row]),
                space_size=sum(space.size for space, _ in found.values()),
                method=method,
                reason=_reason(packed[row], found) if schedule is None else None,
            )
        )
    return results


def _chosen(found: _Best) -> Schedule | None:
    """Return the best schedule over all placements; the first of equals. No rate but a finite one wins."""
    served = [(space, one) for space, one in found.values() if 0.0 < one.evaluation.qps[0] < math.inf]
    if not served:
        return None
    space, one = max(served, key=lambda entry: float(entry[1].evaluation.qps[0]))
    return space.schedule(one.points[0])


def _predictions(
    pairs: Sequence[tuple[ServerType, Model]],
    packed: Sequence[Pair],
    chosen: Sequence[tuple[int, Schedule | None]],
    efficiency: Efficiency,
) -> dict[int, Prediction]:
    from hercules_opt.scheduling.predict import predict_all

    rows = [row for row, _ in chosen]
    schedules = [schedule for _, schedule in chosen if schedule is not None]
    servers, models = [pairs[row][0] for row in rows], [pairs[row][1] for row in rows]
    own = [packed[row] for row in rows]
    found = predict_all(own, models, schedules, [None] * len(rows), efficiency, servers)
    return dict(zip(rows, found, strict=True))


def _reason(pair: Pair, found: _Best) -> str:
    if not found:
        return no_core()
    nearest: Evaluation = max(
        (one.evaluation for _, one in found.values()), key=lambda evaluation: float(evaluation.merit[0])
    )
    return refusal(pair, nearest)
