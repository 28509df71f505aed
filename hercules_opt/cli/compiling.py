"""Keep what JAX compiles between processes: stage 1 compiles for seconds, and the programs rarely change."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_LEAST_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def keep_compiled(environment: MutableMapping[str, str]) -> None:
    """Name JAX's cache folder in the environment of this process, unless the user did.

    Nothing is created here, and nothing is named where the user's cache could not be written: JAX would warn.
    """
    if _FOLDER in environment:
        return
    cache = _user_cache(environment)
    if cache is not None:
        environment[_FOLDER] = str(cache / "hercules-opt" / "jax")
        environment.setdefault(_LEAST_SECONDS, "0")


def _user_cache(environment: MutableMapping[str, str]) -> Path | None:
    home = Path(environment.get("HOME") or os.sep)
    named = environment.get("XDG_CACHE_HOME")
    cache = Path(named) if named else home / ".cache"
    owner = next((folder for folder in (cache, cache.parent) if folder.is_dir()), None)
    return cache if owner is not None and owner != Path(os.sep) and os.access(owner, os.W_OK) else None
