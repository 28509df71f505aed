"""A model served on this host by worker processes, as a schedule says; queries come when they come.

Workers are processes (see ``worker``) and not threads of this one: what Python does per piece, above all
cutting row numbers for every table, would wait for its lock where there are many. They are bound to cores of
their own where the system allows it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.measurement.extra import required
from hercules_opt.measurement.graphs import Part, graph, table_specs
from hercules_opt.measurement.load_test import Floats, LateLimit
from hercules_opt.measurement.this_host import allowed_cores, usable_cores
from hercules_opt.measurement.timing import process_s
from hercules_opt.measurement.worker import HEADER, RECORD, Hosted, Order, StageOrder, board_columns
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.simulation.stages import Trace

#: Placements that need nothing but a host.
HOST_PLACEMENTS: tuple[Placement, ...] = ("cpu", "cpu-sd")
#: Time before the first query, and after the last one that a server may take to finish (or its target).
_LEAD_S, _PATIENCE_S = 0.05, 5.0
#: How often it is looked whether a run is over, or lost.
_LOOK_S = 0.1
#: Most pieces of a run; room for those that wait, where the system gives so much.
MOST_PIECES, _PIPE_BYTES = 2_000_000, 2**20
#: Most time until the tables are made, or workers are ready; and until all have ended by themselves.
_START_S, _END_S = 300.0, 2.0

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_CODE = "from hercules_opt.measurement.worker import main; main()"


class HostServer:
    """A model on this host: its tables, and the workers of one schedule at a time; a context that ends all.

    Raises
    ------
    InputError
        If the extra is missing, the model cannot be built, or the system has no processes of this kind.
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        assert model.architecture is not None
        if not hasattr(os, "fork"):
            rule = "serving a model needs a system that can fork processes, such as Linux"
            raise InputError(rule, found=sys.platform)
        required("onnxruntime")
        self._architecture, self._seed = model.architecture, seed
        self._graphs: dict[Part, bytes] = {"whole": graph(model.architecture, "whole", seed)}
        self._batch, self._number, self._pids = 1, 0, list[int]()
        self._lines = b""
        with _shared_file() as shared:
            shared.truncate(8 * (HEADER + MOST_PIECES))
            board = shared.fileno()
            self._run, self._done_s = board_columns(mmap.mmap(board, 0))
            source, self._pieces = _pipe()
            try:
                self._process = _start(source, board)
            finally:
                os.close(source)
        specs = tuple(table_specs(model.architecture))
        try:
            self._order(Hosted(specs, model.architecture.dense_features, seed, source, board))
            self._await("tables")
        except BaseException:  # also Ctrl-C: nobody else knows the process yet
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        self._end()

    def _end(self) -> None:
        """End all processes; workers by the first one, so that their processor time counts as ours."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # an order that the process did not live to read
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._pieces)
        self._process.stdout.close()

    def start(self, schedule: Schedule) -> None:
        """Replace the workers by those of a schedule, and wait until all are ready.

        Raises
        ------
        InputError
            If the placement needs an accelerator, or the schedule takes more cores than may be used.
        """
        stages = self._staged(schedule)
        self._batch = schedule.batch_size or 1
        self._run[0] = 0
        self._order(Order(stages, self._batch))
        self._pids = []
        for _ in range(sum(len(stage.cores) for stage in stages)):
            self._pids.append(int(self._await("ready")))

    def _staged(self, schedule: Schedule) -> tuple[StageOrder, ...]:
        """Return the stages of a schedule, with cores for each worker."""
        if schedule.placement not in HOST_PLACEMENTS:
            rule = "must run on the host alone: cpu or cpu-sd"
            raise InputError(rule, where="schedule", key="placement", found=schedule.placement)
        first = (schedule.threads or 1, schedule.cores_per_thread or 1)
        parts: list[tuple[Part, int, int]] = [("whole", *first)]
        if schedule.placement == "cpu-sd":
            dense = (schedule.dense_threads or 1, schedule.dense_cores_per_thread or 1)
            parts = [("sparse", *first), ("dense", *dense)]
        cores, needed = allowed_cores(), sum(count * wide for _, count, wide in parts)
        if needed > usable_cores():
            raise InputError(f"must take at most {usable_cores()} cores", where="schedule", found=needed)
        stages = []
        for part, count, wide in parts:
            if part not in self._graphs:
                self._graphs[part] = graph(self._architecture, part, self._seed)
            taken, cores = cores[: count * wide], cores[count * wide :]
            groups = tuple(tuple(taken[begin : begin + wide]) for begin in range(0, count * wide, wide))
            stages.append(StageOrder(part, self._graphs[part], groups))
        return tuple(stages)

    def cpu_s(self) -> float:
        """Return the processor time that its processes took so far."""
        return sum(process_s(pid) for pid in (self._process.pid, *self._pids))

    def serve(self, trace: Trace, limit: LateLimit) -> tuple[Floats, float]:
        """Send queries when they are due; return their latencies and the largest delay of sending, in ms.

        A latency counts from when the query was due, whatever delayed it; it is infinite for a query that
        is not done in time, or not when ``limit`` ends the run.
        """
        self._number += 1
        run = _Run(trace, self._batch, self._number, self._done_s)
        self._run[0] = self._number
        lateness_s = self._send(run, limit)
        while not run.over(limit):
            self._check()
            time.sleep(_LOOK_S / 10)
        self._run[0] = 0
        self._settle()
        return run.latency_ms(), 1e3 * lateness_s

    def _send(self, run: _Run, limit: LateLimit) -> float:
        """Send every query when it is due, until the limit ends the run; return the largest delay."""
        lateness, look = 0.0, run.due_s[0]
        for query, due in enumerate(run.due_s.tolist()):
            wait = due - time.perf_counter()
            if wait > 0.0:
                time.sleep(wait)
            now = time.perf_counter()
            lateness = max(lateness, now - due)
            if not self._written(run.records(query)):
                run.end()
                break
            if now > look:
                self._check()
                look = now + _LOOK_S
                if run.over(limit):
                    break
        return lateness

    def _written(self, records: memoryview) -> bool:
        """Send pieces; return whether the pipe had room for all of them."""
        try:
            return os.write(self._pieces, records) == len(records)
        except BlockingIOError:
            return False

    def _settle(self) -> None:
        """Wait until workers have thrown away what is still in the pipe."""
        until = time.perf_counter() + _PATIENCE_S
        while _waiting_bytes(self._pieces) and time.perf_counter() < until:
            self._check()
            time.sleep(_LOOK_S / 10)

    def _order(self, order: Hosted | Order) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(order, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._check()
            raise

    def _await(self, word: str) -> str:
        """Return what follows a word in the next line of the processes."""
        until = time.perf_counter() + _START_S
        while time.perf_counter() < until:
            line = self._line(_LOOK_S)
            if line is not None and line.startswith(word):
                return line.removeprefix(word).strip()
        raise RuntimeError(f"processes did not say {word!r} within {_START_S:g} s")

    def _check(self) -> None:
        """Raise what a worker said before it ended."""
        self._line(0.0)

    def _line(self, patience_s: float) -> str | None:
        """Return the next line of the processes, ``None`` where there is none in time.

        Raises
        ------
        RuntimeError
            If it says that a process failed, or there will be none.
        """
        assert self._process.stdout is not None
        if b"\n" not in self._lines and select.select([self._process.stdout], [], [], patience_s)[0]:
            self._lines += os.read(self._process.stdout.fileno(), _PIPE_BYTES) or b"failed all ended\n"
        if b"\n" not in self._lines:
            return None
        line, self._lines = self._lines.split(b"\n", 1)
        text = line.decode()
        if text.startswith("failed"):
            raise RuntimeError(f"a process that serves the model {text}")
        return text


class _Run:
    """Queries of a run, cut into pieces of at most a batch."""

    def __init__(self, trace: Trace, batch: int, number: int, done_s: Floats) -> None:
        pieces = -(-trace.items // batch)
        self._ends = np.cumsum(pieces)
        if self._ends[-1] > MOST_PIECES:
            raise InputError(f"must be at most {MOST_PIECES} pieces in a run", found=int(self._ends[-1]))
        self._first = self._ends - pieces
        self._done_s = done_s[: self._ends[-1]]
        self._done_s[:] = 0.0
        records = np.zeros((len(self._done_s), 4), dtype=np.int32)
        records[:, 0], records[:, 1], records[:, 2] = number, np.arange(len(records)), batch
        records[self._ends - 1, 2] = trace.items - (pieces - 1) * batch
        self._records = memoryview(records.tobytes())
        self._ended = False
        self.due_s = time.perf_counter() + _LEAD_S + trace.times_ms / 1e3

    def records(self, query: int) -> memoryview:
        """Return the pieces of a query as they go into the pipe."""
        return self._records[RECORD.size * self._first[query] : RECORD.size * self._ends[query]]

    def latency_ms(self) -> Floats:
        """Return the latencies so far; infinite for a query that is not done."""
        done_s = np.where(self._done_s > 0.0, self._done_s, np.inf)
        return np.asarray((np.maximum.reduceat(done_s, self._first) - self.due_s) * 1e3)

    def end(self) -> None:
        """Give the run up."""
        self._ended = True

    def over(self, limit: LateLimit) -> bool:
        """Whether all queries are done, or the run is given up."""
        latency, since = self.latency_ms(), (time.perf_counter() - self.due_s) * 1e3
        self._ended |= limit.broken(latency, since) or bool(since[-1] > max(_PATIENCE_S * 1e3, limit.sla_ms))
        return self._ended or bool(np.isfinite(latency).all())


def _start(source: int, board: int) -> subprocess.Popen[bytes]:
    """Start the first process, in a group of its own: Ctrl-C reaches this one only."""
    path = os.pathsep.join([_PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        pass_fds=(source, board),
    )


def _shared_file() -> BinaryIO:
    """Return a file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("board"), "w+b")
    return cast("BinaryIO", tempfile.TemporaryFile())


def _waiting_bytes(pipe: int) -> int:
    """Return what nobody has taken out of a pipe yet."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, as large as the system allows; a full one refuses more."""
    import fcntl

    source, end = os.pipe()
    os.set_blocking(end, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return source, end
