"""What all tests share: compiled programs of the cost model."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial

import pytest

FOLDER = "HERCULES_OPT_CACHE_DIR"


def pytest_configure(config: pytest.Config) -> None:
    """Keep programs for all workers of this run and for what they start, unless a folder is named.

    Workers inherit the environment of the process that starts them.
    """
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="hercules-opt-programs-")
        config.add_cleanup(partial(shutil.rmtree, os.environ[FOLDER], ignore_errors=True))
