"""Solvers that fail in every way a process can; each runs in a child, which imports this module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hercules_opt.provisioning.solvers import Capabilities
from hercules_opt.provisioning.solvers.child import FloatChildSolver

#: Names the file into which ``SpawnsAndHangs`` writes the process that it started.
SPAWNED_VARIABLE = "HERCULES_OPT_TEST_SPAWNED"


class Faulty(FloatChildSolver):
    """Loads, and has nothing else."""

    name = "faulty"
    capabilities = Capabilities(
        package="faulty-package",
        child=True,
        time_limit=True,
        node_limit=False,
        bound=True,
        continuous=True,
        whole_coefficients=False,
    )

    @classmethod
    def load(cls) -> None:
        return


class Missing(Faulty):
    @classmethod
    def load(cls) -> None:
        import a_package_that_is_not_there  # noqa: F401


class HangsAtStart(Faulty):
    @classmethod
    def load(cls) -> None:
        time.sleep(1000)


class Hangs(Faulty):
    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(1000)
        raise AssertionError


class SpawnsAndHangs(Faulty):
    """As PuLP does, with CBC in a process of its own."""

    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        path = Path(os.environ[SPAWNED_VARIABLE])
        path.with_suffix(".new").write_text(f"{os.getpid()} {other.pid}")
        path.with_suffix(".new").rename(path)
        other.wait()
        raise AssertionError


class IsKilled(Faulty):
    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Aborts(Faulty):
    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        os.abort()


class Exits(Faulty):
    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        os._exit(3)


class Raises(Faulty):
    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("two\nlines")


class NoData(Faulty):
    """Returns what JSON cannot say."""

    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        return {"verdict": object()}


class Greedy(Faulty):
    """Takes every server there is, which is never out of bounds; prints on the way, as solvers do."""

    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        print("Running Faulty 1.0")
        os.write(1, b'{"verdict": "infeasible"}\n')
        return {"verdict": "time_limit", "values": request["high"], "bound": 0.0}


class Answers(Faulty):
    """Answers what an environment variable says, whatever the program."""

    @classmethod
    def run(cls, request: dict[str, Any]) -> dict[str, Any]:
        import json

        answer: dict[str, Any] = json.loads(os.environ["HERCULES_OPT_TEST_ANSWER"])
        return answer
