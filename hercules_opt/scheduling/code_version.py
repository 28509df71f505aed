"""What a result of stage 1 depends on besides its input: our code, JAX and NumPy."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from hercules_opt._version import __version__

#: Parts of the package that the search and the check run.
_PARTS = ("hardware", "problem", "scheduling", "simulation", "workloads")


@cache
def code_version() -> str:
    """Return a digest of the code; a change of the cost model, however small, gives another."""
    package = Path(__file__).parents[1]
    files = sorted(file for part in _PARTS for file in (package / part).rglob("*.py"))
    versions = [__version__, *(version(name) for name in ("jax", "jaxlib", "numpy"))]
    digest = hashlib.sha256(repr(versions).encode())
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
