"""Compiled programs kept on disk, so that a later process need not even trace them.

The folder is named by ``HERCULES_OPT_CACHE_DIR``; where it is not, or cannot be used, nothing is kept. Nor is
anything where JAX keeps a cache of its own, which spares the compiler only: what it loads is not whole.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

FOLDER = "HERCULES_OPT_CACHE_DIR"

#: What a program depends on beside its description: the code that it is traced from.
_SOURCES = ("hardware", "scheduling/programs.py")


def kept(description: object, compile_it: Callable[[], Any]) -> Any:
    """Return a compiled program from the cache, or compile it and keep it there."""
    folder = os.environ.get(FOLDER)
    if not folder or getattr(jax.config, "jax_compilation_cache_dir", None):
        return compile_it()
    file = Path(folder) / f"hercules-{_digest(repr(description).encode(), _circumstances())}.bin"
    try:
        return deserialize_and_load(*pickle.loads(file.read_bytes()))
    except Exception:  # whatever state the file is in, it must not stop us
        program = compile_it()
    with suppress(Exception):  # no room, no permission, nothing that JAX can write: compiled again
        _write(file, pickle.dumps(serialize(program)))
    return program


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".hercules-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@cache
def _circumstances() -> bytes:
    """Return a digest of our code, of JAX and of the processor: machine code is for one kind of each."""
    package = Path(__file__).parents[1]
    files = sorted(file for source in _SOURCES for file in _python_files(package / source))
    code = b"".join(file.read_bytes() for file in files)
    versions = repr([version(name) for name in ("jax", "jaxlib", "numpy")] + [platform.platform()])
    return _digest(code, versions.encode(), _processor()).encode()


def _python_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.glob("*.py"))


def _processor() -> bytes:
    """Return what the system says of the first processor; nothing where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor().encode()
    return "\n".join(line for line in lines if line.startswith(("model", "flags", "Features"))).encode()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
