"""Compile a kernel with numba, with its on-disk cache where there is a place for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def inlined(function: Kernel) -> Kernel:
    """Paste ``function`` into each kernel that calls it: handing over arrays costs more than the work."""
    return cast(Kernel, numba.njit(inline="always")(function))


def kernel(function: Kernel) -> Kernel:
    """Compile ``function`` on its first call.

    The machine code is cached on disk. Where no cache folder is writable numba refuses to build such a
    function at all; it is then compiled anew in each process instead, which costs seconds and nothing else.
    """
    try:
        return cast(Kernel, numba.njit(cache=True, nogil=True)(function))
    except (RuntimeError, OSError):
        return cast(Kernel, numba.njit(nogil=True)(function))
