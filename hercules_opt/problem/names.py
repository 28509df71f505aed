"""Names of instances, server types and models."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from hercules_opt.problem.validation import broken

#: What a name may be, so that tables, files and solvers can hold it.
NAME_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9 ._+()-]{0,62}[A-Za-z0-9._+()-])?"
NAME_RULE = "a name has 1 to 64 of the letters a to z, digits, spaces and ._+()-, a letter or digit first"


def check_name(name: str) -> str:
    """Return a name; raise a violation unless it is one that tables, files and solvers can hold."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise broken(NAME_RULE, found=name)
    return name


Name = Annotated[
    str, AfterValidator(check_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})
]
