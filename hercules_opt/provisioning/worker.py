"""A worker process: reads intervals from standard input, writes their answers to standard output.

It is a plain child process, not one of ``multiprocessing``, which would run the user's script again in each
child. It imports the solvers only, and ends at once when its parent does.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import Policy
from hercules_opt.provisioning.programs.exact import ExactInterval

#: What a worker is asked; the answer is an ``IntervalAnswer``.
Request = tuple[Policy, ExactInterval, Effort]


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not end up between the answers
    requests: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    policy: Policy | None = None
    while True:
        wanted, interval, effort = requests.get()
        if policy is None or wanted != policy:  # an equal one may have a solver running
            policy = wanted
        pickle.dump(policy.solve(interval, effort), answers)
        answers.flush()


def _receive(source: BinaryIO, requests: SimpleQueue[Request]) -> None:
    """Queue what is asked; end the process, even inside a solver, when the parent is gone."""
    try:
        while True:
            requests.put(pickle.load(source))
    finally:
        os._exit(0)
