"""A solver in a process of its own, which contains its hangs, its crashes and its prints.

Requests and answers are lines of JSON. Whatever comes back that is no answer, comes too late or not at all is
a failure of the solver with its reason, and the process is killed; the next request starts another.
"""

from __future__ import annotations

import json
import math
import queue
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

from hercules_opt.provisioning.processes import end, start_python
from hercules_opt.provisioning.programs.program import Program
from hercules_opt.provisioning.solvers.base import Capabilities, SolverAnswer, Verdict, whole_values

#: Time limit of a program that was given none, so that every call ends.
DEFAULT_LIMIT_S = 600.0
#: Time for the process to start and load its solver.
START_S = 60.0
#: Time past its limit in which a solver has to answer: a share of the limit, and some seconds.
LATE_SHARE = 0.1
LATE_S = 5.0
#: Bytes of one answer; more is no answer.
_MOST_BYTES = 64_000_000

_COMMAND = "from hercules_opt.provisioning.solvers.child_main import main; main()"
_VERDICTS: tuple[Verdict, ...] = ("optimal", "infeasible", "time_limit", "node_limit")


#: What ``run`` is asked and what it returns, plain data.
Request = dict[str, Any]
Reply = dict[str, Any]


class SolverFailureError(Exception):
    """A solver did not answer as it should; the text says why."""


class ChildSolver:
    """A solver that answers from a child process, which stays for the next request.

    A subclass says how a program becomes a request, here, and does the work in ``load`` and ``run``, in the
    child.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: Child | None = None

    def __reduce__(self) -> tuple[type[ChildSolver], tuple[()]]:
        """Copy without the process."""
        return type(self), ()

    def solve(self, program: Program, gap: float, time_limit_s: float | None) -> SolverAnswer:
        """Return the answer of the process, or its failure."""
        limit_s = DEFAULT_LIMIT_S if time_limit_s is None else max(time_limit_s, 1e-3)
        try:
            request, scale = self._request(program)
            reply = self._ask({**request, "gap": gap, "time_limit_s": limit_s}, limit_s)
            return _answer(program, reply, scale)
        except SolverFailureError as failure:
            self.close()
            return SolverAnswer("solver_failure", reason=str(failure))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child is not None:
            self._child.end()
            self._child = None

    @classmethod
    def load(cls) -> None:
        """Import the solver; raise ``ImportError`` if it is not there."""
        raise NotImplementedError

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve the program of a request, its time limit and its gap; return verdict, values and bound."""
        raise NotImplementedError

    def _request(self, program: Program) -> tuple[Request, Fraction]:
        """Return the program as the child takes it, and what one unit of its cost stands for."""
        raise NotImplementedError

    def _ask(self, request: Mapping[str, object], limit_s: float) -> Mapping[str, Any]:
        if self._child is None:
            self._child = Child(type(self).__module__, type(self).__name__)
            ready = self._child.receive(START_S, "start")
            if "missing" in ready:
                package = self.capabilities.package
                hint = f"try 'pip install {package}'"
                raise SolverFailureError(f"{package} is not installed, {hint} ({ready['missing']})")
        self._child.send(request)
        return self._child.receive(limit_s * (1 + LATE_SHARE) + LATE_S, "answer")


class FloatChildSolver(ChildSolver):
    """A child solver that takes the relaxation in floats."""

    @classmethod
    def load(cls) -> None:
        """Import the solver; raise ``ImportError`` if it is not there."""
        raise NotImplementedError

    @classmethod
    def run(cls, request: Request) -> Reply:
        """Solve the program of a request, its time limit and its gap; return verdict, values and bound."""
        raise NotImplementedError

    def _request(self, program: Program) -> tuple[Request, Fraction]:
        from hercules_opt.provisioning.programs.relaxation import Relaxation

        relaxed = Relaxation.of(program)
        starts, columns, entries = relaxed.rows.indptr, relaxed.rows.indices, relaxed.rows.data
        rows = [
            (
                columns[start:stop].tolist(),
                entries[start:stop].tolist(),
                _none_if_infinite(low),
                _none_if_infinite(high),
            )
            for start, stop, low, high in zip(
                starts[:-1].tolist(),
                starts[1:].tolist(),
                relaxed.row_low.tolist(),
                relaxed.row_high.tolist(),
                strict=True,
            )
        ]
        request: Request = {
            "costs": relaxed.costs.tolist(),
            "low": relaxed.low.tolist(),
            "high": relaxed.high.tolist(),
            "whole": relaxed.whole.tolist(),
            "rows": rows,
        }
        return request, relaxed.cost_scale


class Child:
    """The process: lines in, lines out, each with a deadline."""

    def __init__(self, module: str, solver: str) -> None:
        """Start the process and a thread that reads what it says."""
        try:
            self._process = start_python(_COMMAND, module, solver)
        except OSError as error:
            raise SolverFailureError(f"its process could not be started: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        # The process ends with this object, at the latest with the interpreter.
        self._finalizer = weakref.finalize(self, end, self._process)

    def send(self, request: Mapping[str, object]) -> None:
        """Write a request; a process that does not read cannot hold us up."""
        line = json.dumps(request).encode() + b"\n"
        threading.Thread(target=_write, args=(self._process.stdin, line), daemon=True).start()

    def receive(self, seconds: float, what: str) -> Mapping[str, Any]:
        """Return the next line; raise ``SolverFailureError`` if none comes in time, or it is not JSON."""
        deadline_s = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, min(0.5, deadline_s - time.monotonic())))
                break
            except queue.Empty:
                if time.monotonic() >= deadline_s:
                    raise SolverFailureError(f"hung: no {what} within {seconds:.1f} s, killed") from None
        if not line:
            raise SolverFailureError(f"its process ended {_how(self._process)}")
        try:
            reply = json.loads(line)
        except ValueError:
            raise SolverFailureError("gave an answer that is no JSON") from None
        if not isinstance(reply, dict):
            raise SolverFailureError("gave an answer that is no JSON object")
        if "failure" in reply:
            raise SolverFailureError(f"raised {reply['failure']}")
        return reply

    def end(self) -> None:
        """Kill the process and all that it started."""
        self._finalizer()


def _answer(program: Program, reply: Mapping[str, Any], scale: Fraction) -> SolverAnswer:
    """Return a reply as an answer; raise ``SolverFailureError`` if it is none."""
    verdict, solution, bound = reply.get("verdict"), reply.get("values"), reply.get("bound")
    if verdict not in _VERDICTS:
        raise SolverFailureError(f"gave an unknown verdict, {str(verdict)[:60]!r}")
    if bound is not None and not _is_number(bound):
        raise SolverFailureError("gave a bound that is no number")
    values = None
    if solution is not None:
        if not isinstance(solution, list) or len(solution) != len(program.columns):
            raise SolverFailureError(f"gave an answer that is not a list of {len(program.columns)} values")
        if not all(_is_number(value) for value in solution):
            raise SolverFailureError("gave a value that is no number")
        values = whole_values(program, solution)
        if values is None:
            raise SolverFailureError("gave a value out of its bounds, or not whole")
    return SolverAnswer(verdict, values, None if bound is None else Fraction(bound) * scale)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _none_if_infinite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def _read(source: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    """Queue what the process says, line by line; an empty line when it is over."""
    try:
        while line := source.readline(_MOST_BYTES):
            lines.put(line)
    except (OSError, ValueError):  # closed by us
        pass
    finally:
        lines.put(b"")


def _write(target: BinaryIO, line: bytes) -> None:
    try:
        target.write(line)
        target.flush()
    except (OSError, ValueError):  # the process has ended: whoever waits for its answer is told
        return


def _how(process: subprocess.Popen[bytes]) -> str:
    """Return how a process ended, in words."""
    try:
        code = process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return "its output"
    return f"with exit code {code}" if code >= 0 else f"by signal {-code}"
