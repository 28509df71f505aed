"""The packages of the ``measure`` extra, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from hercules_opt.errors import InputError


def required(name: str) -> Any:
    """Return a module of the extra; raise ``InputError`` with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        hint = "pip install 'hercules-opt[measure]' installs it."
        raise InputError(f"measuring needs {name}, which is not installed", hint=hint) from None
