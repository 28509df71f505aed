"""Rows of the efficiency table kept on disk, one file per pair, by all that a row depends on.

The key is a digest of what the cost model and the simulator read of a server and a model (names, counts,
prices and provenance are not among it), of the terms of the search, of the constants in use and of the code
itself. A file is written whole or not at all, and holds a checksum of its content: one that does not agree is
not trusted, and its row is searched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.files import checked_path, read_text, write_text
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import PairEfficiency
from hercules_opt.scheduling.code_version import code_version
from hercules_opt.scheduling.efficiencies import Names, Terms
from hercules_opt.scheduling.programs import flat, layout
from hercules_opt.workloads.operators import workload
from hercules_opt.workloads.query_sizes import size_distribution

#: Age in seconds from which a half-written file is one that a killed process left.
_LEFT_BEHIND_S = 3600.0
_NAMES = ("server_type", "model")


def row_key(server: ServerType, model: Model, terms: Terms) -> str:
    """Return the key of a pair's row."""
    assert model.query_size is not None
    assert model.architecture is not None
    pair, sizes = pack(server, model, terms.efficiency), size_distribution(model.query_size)
    operators = [(op.name, op.kind, op.stage) for op in workload(model.architecture).operators]
    parts = (
        repr((code_version(), terms, layout(pair))).encode(),
        repr((model.sla_ms, model.sla_percentile, operators)).encode(),
        *(np.ascontiguousarray(column).tobytes() for column in (flat(pair), sizes.items, sizes.weight)),
    )
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class RowCache:
    """A folder of rows.

    Raises
    ------
    InputError
        If the folder is not there and cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = checked_path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            rule = f"cannot be made a folder: {error.strerror or error}"
            raise InputError(rule, where=folder) from None
        for file in self._folder.glob(".*.tmp"):
            with contextlib.suppress(OSError):  # another process cleans up, too
                if time.time() - file.stat().st_mtime > _LEFT_BEHIND_S:
                    file.unlink()

    def get(self, key: str, names: Names) -> PairEfficiency | None:
        """Return a row that was kept, under the names given; ``None`` where there is none to be trusted."""
        try:
            kept = json.loads(read_text(self._file(key)))
            if kept != _sealed(key, kept["row"]):
                return None
            return PairEfficiency.model_validate({**dict(zip(_NAMES, names, strict=True)), **kept["row"]})
        except (InputError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def put(self, key: str, row: PairEfficiency) -> None:
        """Keep a row.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        content = row.model_dump(mode="json", exclude_none=True, exclude=set(_NAMES))
        write_text(self._file(key), json.dumps(_sealed(key, content)) + "\n")

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _sealed(key: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds: the row, its key, and a checksum of both."""
    text = json.dumps([key, row], sort_keys=True)
    return {"key": key, "row": row, "checksum": hashlib.sha256(text.encode()).hexdigest()}
