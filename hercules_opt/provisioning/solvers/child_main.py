"""What runs in a solver's process: one solver is loaded, then asked until standard input ends."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO, TextIO


def main() -> None:
    """Load the solver named on the command line, its module and its class, and answer requests."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a solver prints must not end up in the answers
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    solver = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    try:
        solver.load()
    except ImportError as error:
        _send(answers, json.dumps({"missing": " ".join(str(error).split())[:300]}))
    else:
        _send(answers, json.dumps({"ready": True}))
    while True:
        request = json.loads(requests.get())
        try:
            line = json.dumps(solver.run(request))
        except Exception as error:  # whatever it is, the parent tells it as the solver's failure
            line = json.dumps({"failure": " ".join(f"{type(error).__name__}: {error}".split())[:300]})
        _send(answers, line)


def _send(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()


def _receive(source: BinaryIO, requests: SimpleQueue[bytes]) -> None:
    """Queue what is asked; when the parent is gone, end at once, with all that a solver started."""
    try:
        while line := source.readline():
            requests.put(line)
    finally:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            with contextlib.suppress(OSError):
                os.killpg(0, signal.SIGKILL)
        os._exit(0)
