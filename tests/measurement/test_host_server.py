"""Worker processes of this host: every query is answered, none is lost, and what fails is told."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from typing import Any

import numpy as np
import pytest
from fake_server import small

import hercules_opt as ho
from hercules_opt.measurement import host_server
from hercules_opt.measurement.graphs import TableSpec
from hercules_opt.measurement.host_server import HostServer
from hercules_opt.measurement.load_test import LateLimit
from hercules_opt.measurement.this_host import usable_cores
from hercules_opt.measurement.timing import process_s
from hercules_opt.measurement.worker import Hosted, _Worker
from hercules_opt.simulation.stages import Trace

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NO_LIMIT = LateLimit(1e9, 10**9)
ONE = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=4)
SPLIT = ho.Schedule(
    placement="cpu-sd", threads=1, cores_per_thread=1, dense_threads=1, dense_cores_per_thread=1, batch_size=4
)


def trace(times_ms: list[float], items: int = 10) -> Trace:
    return Trace(np.array(times_ms), np.full(len(times_ms), items))


def test_queries_are_cut_into_pieces_and_done_with_the_last_of_them() -> None:
    done_s = np.full(20, 7.0)
    run = host_server._Run(Trace(np.array([0.0, 5.0, 5.0]), np.array([10, 3, 8])), 4, 9, done_s)
    pieces = [list(struct.iter_unpack("4i", run.records(query))) for query in range(3)]
    assert [[(number, piece, items) for number, piece, items, _ in each] for each in pieces] == [
        [(9, 0, 4), (9, 1, 4), (9, 2, 2)], [(9, 3, 3)], [(9, 4, 4), (9, 5, 4)],
    ]  # fmt: skip
    assert np.isinf(run.latency_ms()).all()
    done_s[[0, 1, 3, 4, 5]] = run.due_s[0] + np.array([0.5, 0.1, 0.010, 0.2, 0.1])
    np.testing.assert_allclose(run.latency_ms(), [np.inf, 5.0, 195.0], rtol=1e-6)
    assert not run.over(NO_LIMIT)
    done_s[2] = run.due_s[0] + 0.3
    assert run.latency_ms()[0] == pytest.approx(500.0)
    assert run.over(NO_LIMIT)


def test_a_server_may_take_as_long_as_the_target_allows() -> None:
    """A target of 20 s: six seconds after the last query the run is still open, after 21 it is over."""
    limit = LateLimit(20_000.0, 1)
    run = host_server._Run(Trace(np.array([0.0]), np.array([1])), 1, 1, np.zeros(4))
    run.due_s = np.array([time.perf_counter() - 6.0])
    assert not run.over(limit)
    run.due_s = run.due_s - 15.0
    assert run.over(limit)


def test_a_piece_of_a_run_that_ended_meanwhile_is_not_noted() -> None:
    """Its number may be another piece's in the next run, which would then be done before it was due."""

    class Runtime:
        """Computes nothing; the parent ends the run meanwhile."""

        next_run = 3

        def run(self, outputs: None, inputs: dict[str, Any]) -> None:
            worker._run[0] = self.next_run

    with host_server._shared_file() as shared:
        shared.truncate(8 * 3)
        hosted = Hosted((), 0, 0, 0, shared.fileno())
        worker = _Worker(hosted, {}, None, Runtime(), None)  # type: ignore[arg-type]
        board = mmap.mmap(shared.fileno(), 0)
    worker._run[0] = 3
    worker._whole(3, 1, 4, 0)
    assert struct.unpack("2d", board[8:])[1] > 0.0
    Runtime.next_run = 4
    worker._done_s[:] = 0.0
    worker._whole(3, 1, 4, 0)
    assert struct.unpack("2d", board[8:]) == (0.0, 0.0)


def test_the_processor_time_of_workers_counts_as_ours_once_they_ended() -> None:
    """Else what they did would be taken for others', who disturb the measurement."""
    before = sum(os.times()[2:4])
    with HostServer(small()) as server:
        server.start(ONE)
        server.serve(trace([0.0] * 300, items=400), NO_LIMIT)
        worker_s = process_s(server._pids[0])
        first_s = process_s(server._process.pid)
    assert worker_s > 0.1
    assert sum(os.times()[2:4]) - before > first_s + 0.9 * worker_s


def test_an_interrupt_while_tables_are_made_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupted(server: HostServer, word: str) -> str:
        started.append(server._process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(HostServer, "_await", interrupted)
    with pytest.raises(KeyboardInterrupt):
        HostServer(small())
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_pipe_that_is_full_ends_the_run() -> None:
    """More pieces at once than may wait: none is answered twice, and the next run is served."""
    with HostServer(small()) as server:
        server.start(ONE.replace(batch_size=1))
        latency, _ = server.serve(trace([0.0] * 500, items=1000), NO_LIMIT)
        assert np.isinf(latency).any()
        again, _ = server.serve(trace([0.0, 10.0]), NO_LIMIT)
    assert np.isfinite(again).all()


def test_one_server_runs_schedule_after_schedule() -> None:
    """Every query is answered once all its pieces are; a run that was given up does not reach the next."""
    with HostServer(small()) as server:
        server.start(ONE)
        latency, lateness = server.serve(trace([0.0, 1.0, 5.0, 5.0]), NO_LIMIT)
        assert latency.shape == (4,)
        assert np.isfinite(latency).all()
        assert (latency > 0.0).all()
        assert 0.0 <= lateness < 1e3
        lost, _ = server.serve(trace([0.0] * 300, items=4000), LateLimit(1.0, 10))
        assert np.isinf(lost).any()
        begin = time.perf_counter()
        again, _ = server.serve(trace([0.0, 10.0]), NO_LIMIT)
        assert np.isfinite(again).all()
        assert time.perf_counter() - begin < 20.0
        assert server.cpu_s() > 0.0
        if usable_cores() >= 2:
            server.start(SPLIT)
            latency, _ = server.serve(trace([0.0] * 20 + [2.0] * 40, items=50), NO_LIMIT)
            assert np.isfinite(latency).all()


def test_all_at_once_wait_for_each_other() -> None:
    """Latency counts from the intended arrival: the last of 300 queries waits for those before it."""
    with HostServer(small()) as server:
        server.start(ONE)
        latency, _ = server.serve(trace([0.0] * 300, items=400), NO_LIMIT)
    assert latency[-1] > 20.0 * np.min(latency)


def test_a_worker_that_dies_is_told_and_nothing_is_left_over() -> None:
    with HostServer(small()) as server:
        server.start(ONE)
        first, (worker,) = server._process.pid, server._pids
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="a process that serves the model failed"):
            server.serve(trace([0.0] * 2000, items=4), NO_LIMIT)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_tables_that_no_memory_holds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = [TableSpec("0_0", 0, 10**12, 10**6, 1, 1)]
    monkeypatch.setattr(host_server, "table_specs", lambda architecture: endless)
    with pytest.raises(RuntimeError, match="serves the model failed MemoryError: Unable to allocate"):
        HostServer(small())


def test_schedules_that_this_host_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerated = ho.Schedule(placement="accelerator", instances=1, fused_items=1024)
    monkeypatch.setattr(host_server, "usable_cores", lambda: 1)
    with HostServer(small()) as server:
        with pytest.raises(ho.InputError, match="placement: must run on the host alone: cpu or cpu-sd"):
            server.start(accelerated)
        with pytest.raises(ho.InputError, match="schedule: must take at most 1 cores, found 2"):
            server.start(SPLIT)


def test_a_system_without_fork_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ho.InputError, match="needs a system that can fork processes, such as Linux"):
        HostServer(small())


def test_the_time_of_a_process_is_read_where_the_system_says() -> None:
    assert process_s(2**30) == 0.0
