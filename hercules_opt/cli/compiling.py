"""Keep compiled programs between processes: stage 1 compiles for seconds, and the programs rarely change."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

#: Folder of the programs (read by ``scheduling.program_cache``), and JAX's own cache, which takes its place.
_FOLDER, _JAX_FOLDER = "HERCULES_OPT_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR"


def keep_compiled(environment: MutableMapping[str, str]) -> None:
    """Name the folder of compiled programs in the environment of this process, unless the user did.

    Nothing is created here, and nothing is named where the user's cache could not be written.
    """
    if _FOLDER in environment or _JAX_FOLDER in environment:
        return
    cache = _user_cache(environment)
    if cache is not None:
        environment[_FOLDER] = str(cache / "hercules-opt" / "programs")


def _user_cache(environment: MutableMapping[str, str]) -> Path | None:
    home = Path(environment.get("HOME") or os.sep)
    named = environment.get("XDG_CACHE_HOME")
    cache = Path(named) if named else home / ".cache"
    owner = next((folder for folder in (cache, cache.parent) if folder.is_dir()), None)
    return cache if owner is not None and owner != Path(os.sep) and os.access(owner, os.W_OK) else None
