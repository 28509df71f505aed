"""Solve intervals at the same time, each in a worker process.

Intervals are independent and a policy holds no state between them, so the answers do not depend on the number
of workers.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import IntervalAnswer, Policy
from hercules_opt.provisioning.processes import end, start_python
from hercules_opt.provisioning.programs.exact import ExactInterval

_COMMAND = "from hercules_opt.provisioning.worker import main; main()"

Answered = tuple[ExactInterval, IntervalAnswer]


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def solve_apart(
    policy: Policy, intervals: Sequence[ExactInterval], effort: Effort, workers: int
) -> Iterator[Answered]:
    """Solve intervals in so many worker processes; yield each with its answer, in the order they end.

    An interval whose worker could not start, or died, is solved here. Closing the iterator ends the workers.
    """
    crew = _Crew(policy, intervals, effort, workers)
    try:
        crew.start()
        for _ in intervals:
            interval, answer = crew.next()
            yield interval, policy.solve(interval, effort) if answer is None else answer
    finally:
        crew.stop()


class _Crew:
    """Worker processes, and a thread for each that hands it one interval after another."""

    def __init__(
        self, policy: Policy, intervals: Sequence[ExactInterval], effort: Effort, workers: int
    ) -> None:
        self._policy = policy
        self._effort = effort
        self._waiting = deque(intervals)
        self._workers = workers
        self._ended: queue.SimpleQueue[tuple[ExactInterval, IntervalAnswer | None]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for _ in range(self._workers):
            try:
                process = _start_process()
            except OSError:
                break
            self._processes.append(process)
            thread = threading.Thread(target=self._serve, args=(process,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def next(self) -> tuple[ExactInterval, IntervalAnswer | None]:
        """Return the next interval that ended; without an answer where no worker is left to solve it."""
        while True:
            alive = any(thread.is_alive() for thread in self._threads)
            try:
                return self._ended.get(timeout=0.1 if alive else 0.0)
            except queue.Empty:
                if not alive and self._waiting:
                    return self._waiting.popleft(), None

    def stop(self) -> None:
        self._waiting.clear()
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            end(process)

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                interval = self._waiting.popleft()
            except IndexError:
                return
            answer = _ask(process, (self._policy, interval, self._share(1 + len(self._waiting))))
            self._ended.put((interval, answer))
            if answer is None:
                return

    def _share(self, left: int) -> Effort:
        """Return this interval's share of the remaining time, as many being solved at the same time."""
        seconds = self._effort.remaining_s
        if seconds is None:
            return self._effort
        return Effort.within(self._effort.gap, min(seconds, seconds * self._workers / left))


def _start_process() -> subprocess.Popen[bytes]:
    """Start a worker; what it says on stderr is lost, but what goes wrong in it goes wrong again here."""
    return start_python(_COMMAND)


def _ask(process: subprocess.Popen[bytes], request: object) -> IntervalAnswer | None:
    """Return a worker's answer, ``None`` if it died."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        answer: IntervalAnswer = pickle.load(process.stdout)
    except Exception:  # whatever it is, the interval is solved again where the user sees what goes wrong
        return None
    return answer
