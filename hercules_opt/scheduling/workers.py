"""Share the search of many pairs among processes or the workers of a Dask cluster, with the same jobs."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from hercules_opt.errors import InputError
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import PairEfficiency
from hercules_opt.scheduling.code_version import code_version
from hercules_opt.scheduling.efficiencies import Names, Terms, efficiencies_elsewhere

#: Seconds in which a Dask scheduler must answer.
_CONNECT_S = 10.0


#: Arguments of ``efficiencies``.
Job = tuple[Sequence[Names], Sequence[tuple[ServerType, Model]], Terms]

_RULE = "must be a number of processes from 1 on, or the address of a Dask scheduler like 'tcp://host:8786'"

_ADDRESS = re.compile(r"[a-z]+://\S+:\d{1,5}/?")


def run_apart(jobs: Sequence[Job], workers: int | str) -> Iterator[tuple[int, list[PairEfficiency]]]:
    """Yield the number of each job with its rows, in the order in which they end.

    Parameters
    ----------
    workers
        A number of processes, or the address of a Dask scheduler.

    Raises
    ------
    InputError
        If workers cannot be had, or end before their work does.
    """
    if isinstance(workers, bool) or not isinstance(workers, (int, str)):
        raise InputError(_RULE, where="workers", found=workers)
    # A client that is given no address complains once more, with a traceback, when it is thrown away.
    if workers < 1 if isinstance(workers, int) else not _ADDRESS.fullmatch(workers):
        raise InputError(_RULE, where="workers", found=workers)
    with _dask(workers) if isinstance(workers, str) else _processes(min(workers, len(jobs))) as executor:
        version = code_version()
        numbers = {
            executor.submit(efficiencies_elsewhere, names, pairs, terms, version): number
            for number, (names, pairs, terms) in enumerate(jobs)
        }
        for future in as_completed(numbers):
            yield numbers[future], future.result()


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Give processes that end with this one, however it ends, and at once where the work is given up."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max(count, 1), mp_context=context, initializer=_attend)
    try:
        yield executor
    except BrokenProcessPool:
        hint = "A script that asks for workers must do so below 'if __name__ == \"__main__\":'."
        raise InputError("a worker process ended before its work did", where="workers", hint=hint) from None
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        executor.shutdown()


def _attend() -> None:
    """Leave Ctrl-C to the parent, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    """Give the workers of a Dask cluster."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        hint = "try 'pip install hercules-opt[cluster]'"
        rule = "a Dask cluster needs the package 'distributed'"
        raise InputError(rule, where="workers", found=address, hint=hint) from None
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        rule = f"no Dask scheduler answers: {str(error).splitlines()[0] if str(error) else 'timeout'}"
        raise InputError(rule, where="workers", found=address) from None
    with client:
        executor = client.get_executor()
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)
