"""Stage 1 for a whole instance: the efficiency table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from hercules_opt.errors import InputError, check_seed, check_type, nearest_name
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.scheduling.efficiencies import Names, Terms, efficiencies
from hercules_opt.scheduling.optimize import Method
from hercules_opt.scheduling.row_cache import RowCache, row_key
from hercules_opt.scheduling.workers import run_apart

#: Pairs that are searched side by side where rows are kept or workers share the work.
_TOGETHER = 6

_Pairs = Sequence[tuple[ServerType, Model]]


def profile(
    instance: Instance,
    *,
    method: Method | None = None,
    seed: int = 0,
    check: bool = True,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    cache: str | Path | None = None,
    workers: int | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EfficiencyTable:
    """Return the efficiency table of an instance: for each pair its best schedule, or why there is none.

    Neither the cache nor the workers change the table.

    Parameters
    ----------
    method
        Searches (see ``optimize_schedule``). None: the instance's own measured table where it has one, else
        the gradient search.
    seed
        Of the search, and of the check.
    check
        Simulate each schedule at the rate found, and lower the rate to one that holds the latency target (see
        ``check``); the row says so, and keeps the cost model's rate beside it.
    efficiency
        Constants of the cost model, for example ``load_calibration(name).efficiency``.
    cache
        Folder in which every row is kept as soon as it is found, by all that it depends on (see
        ``row_cache``): a run that was killed goes on where it was, and after a change of one server only its
        pairs are searched again. None: nothing is kept.
    workers
        Processes among which the pairs are shared, or the address of a Dask scheduler,
        ``"tcp://host:8786"``. None: this process.
    progress
        Called with the number of parts of searches done and how many there are, then with that of schedules
        checked;
        with a cache or workers, with the numbers of pairs done and of all.

    Raises
    ------
    InputError
        If a server type has no parts, or a model no architecture, target or query sizes: the message says
        which; if the folder cannot be written, or workers cannot be had.
    """
    check_type("instance", instance, Instance)
    check_type("efficiency", efficiency, Efficiency)
    check_seed(seed)
    if method is not None and method not in get_args(Method):
        raise InputError("unknown method", found=method, hint=nearest_name(str(method), get_args(Method)))
    if method is None and instance.table is not None:
        return instance.table
    names = searchable_pairs(instance)
    pairs = [(instance.servers[server], instance.models[model]) for server, model in names]
    terms = Terms(method or "gradient", seed, check, efficiency)
    if cache is None and workers is None:
        return EfficiencyTable(tuple(efficiencies(names, pairs, terms, progress)))
    rows = _rows(names, pairs, terms, None if cache is None else RowCache(cache), workers, progress)
    return EfficiencyTable(tuple(rows))


def searchable_pairs(instance: Instance) -> list[Names]:
    """Return the names of all pairs; raise ``InputError`` if one cannot be searched."""
    for server in instance.servers:
        _check_server(server, instance.servers[server])
    for model in instance.models:
        _check_model(model, instance.models[model])
    return [(server, model) for server in instance.servers for model in instance.models]


def _rows(
    names: Sequence[Names],
    pairs: _Pairs,
    terms: Terms,
    cache: RowCache | None,
    workers: int | str | None,
    progress: Callable[[int, int], None] | None,
) -> list[PairEfficiency]:
    """Return the row of each pair, from the cache where it has one; the others are kept as they are found."""
    keys = [row_key(*pair, terms) for pair in pairs] if cache is not None else []
    known = [cache.get(*each) for each in zip(keys, names, strict=True)] if cache is not None else []
    rows = {place: row for place, row in enumerate(known) if row is not None}
    missing = [place for place in range(len(pairs)) if place not in rows]
    for places, found in _searched(names, pairs, missing, terms, workers):
        for place, row in zip(places, found, strict=True):
            rows[place] = row
            if cache is not None:
                cache.put(keys[place], row)
        if progress is not None:
            progress(len(rows), len(pairs))
    return [rows[place] for place in range(len(pairs))]


def _searched(
    names: Sequence[Names],
    pairs: _Pairs,
    missing: Sequence[int],
    terms: Terms,
    workers: int | str | None,
) -> Iterator[tuple[Sequence[int], list[PairEfficiency]]]:
    """Yield some of the missing places with their rows, as they are found."""
    parts = [missing[begin : begin + _TOGETHER] for begin in range(0, len(missing), _TOGETHER)]
    jobs = [([names[place] for place in part], [pairs[place] for place in part], terms) for part in parts]
    if workers is None:
        yield from ((part, efficiencies(*job)) for part, job in zip(parts, jobs, strict=True))
    else:
        yield from ((parts[number], found) for number, found in run_apart(jobs, workers))


def _check_server(name: str, server: ServerType) -> None:
    if server.cpu is None:
        hint = "Give the server its parts, or the instance a measured [efficiency] table."
        raise InputError("is required to search for schedules", key=f"servers.{name}.cpu", hint=hint)


def _check_model(name: str, model: Model) -> None:
    for field in ("architecture", "sla_ms", "query_size"):
        if getattr(model, field) is None:
            hint = "Describe the model, or give the instance a measured [efficiency] table."
            raise InputError("is required to search for schedules", key=f"models.{name}.{field}", hint=hint)
