"""Read a plan that is only counts: CSV with interval, server_type, model, count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hercules_opt.errors import InputError, Words, nearest_name
from hercules_opt.problem.csv_files import CsvFile, read_csv
from hercules_opt.provisioning.assembly import Terms, assemble
from hercules_opt.provisioning.files.plan_files import GIVEN, PLAN_SCHEMA_VERSION
from hercules_opt.provisioning.objectives import Levels, objective_text
from hercules_opt.provisioning.plan import IntArray, Plan
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.problem import ProvisioningProblem
from hercules_opt.provisioning.programs.exact import ExactProblem

#: Columns of the file; ``schema_version`` may follow.
COUNT_COLUMNS = ("interval", "server_type", "model", "count")

#: Largest count and largest interval number of a line, so that sums stay exact.
MAX_WHOLE = 10**9

_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class CountLine:
    """One line of the file."""

    line: int
    interval: int
    server_type: str
    model: str
    count: int


def read_counts(path: str | Path) -> list[CountLine]:
    """Read the lines of a counts file; raise ``InputError`` with file and line on the first bad one."""
    file = read_csv(path)
    _check_header(file)
    read: list[CountLine] = []
    seen: dict[tuple[int, str, str], int] = {}
    for line, fields in file.records:
        record = dict(zip(file.header, fields, strict=True))
        version = record.get("schema_version", str(PLAN_SCHEMA_VERSION))
        if version.strip() != str(PLAN_SCHEMA_VERSION):
            key = f"line {line}, schema_version"
            raise InputError(f"must be {PLAN_SCHEMA_VERSION}", where=path, key=key, found=version)
        interval = _whole(record["interval"], path, f"line {line}, interval")
        count = _whole(record["count"], path, f"line {line}, count")
        entry = CountLine(line, interval, record["server_type"], record["model"], count)
        earlier = seen.setdefault((interval, entry.server_type, entry.model), line)
        if earlier != line:
            found = Words(f"interval {interval}, {entry.server_type} x {entry.model} in line {earlier} too")
            raise InputError("each count may appear only once", where=path, key=f"line {line}", found=found)
        read.append(entry)
    return read


def load_counts(path: str | Path, problem: ProvisioningProblem) -> Plan:
    """Read counts, by hand or by ``save_plan_csv``, and compute all other figures of the plan.

    Lines with a count of zero may be left out. The plan has no bound, so it is never called optimal. Whether
    the counts are available and can serve is for ``verify`` to check.

    Raises
    ------
    InputError
        With file and line, if the file is malformed or names what the problem does not have.
    """
    intervals, types, models = problem.shape
    counts: IntArray = np.zeros((intervals, types, models), dtype=np.int64)
    for entry in read_counts(path):
        place = f"line {entry.line}"
        if entry.interval >= intervals:
            rule = f"must be an interval of the problem, 0 to {intervals - 1}"
            raise InputError(rule, where=path, key=f"{place}, interval", found=entry.interval)
        h = _position(entry.server_type, problem.server_types, path, f"{place}, server_type")
        m = _position(entry.model, problem.models, path, f"{place}, model")
        counts[entry.interval, h, m] = entry.count
    return _given(problem, counts)


def _check_header(file: CsvFile) -> None:
    allowed = (*COUNT_COLUMNS, "schema_version")
    for column in file.header:
        if column not in allowed:
            hint = nearest_name(column, allowed)
            raise InputError("unknown column", where=file.path, key="line 1", found=column, hint=hint)
    for column in COUNT_COLUMNS:
        if column not in file.header:
            raise InputError(f"column {column!r} is missing", where=file.path, key="line 1")


def _whole(text: str, path: str | Path, key: str) -> int:
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped) or int(stripped) > MAX_WHOLE:
        raise InputError(f"must be a whole number from 0 to {MAX_WHOLE}", where=path, key=key, found=text)
    return int(stripped)


def _position(name: str, names: Sequence[str], path: str | Path, key: str) -> int:
    if name not in names:
        raise InputError("unknown name", where=path, key=key, found=name, hint=nearest_name(name, names))
    return names.index(name)


def _given(problem: ProvisioningProblem, counts: IntArray) -> Plan:
    rows = [tuple(tuple(int(n) for n in column) for column in interval.T) for interval in counts]
    levels: Levels = ("power",) if problem.power_known else ("servers",)
    terms = Terms(
        policy=GIVEN, solver="none", objective_name=objective_text(levels), requested_gap=0.0,
        time_limit_s=None, runtime_s=0.0, interrupted=False,
    )  # fmt: skip
    return assemble(problem, ExactProblem.of(problem, levels), [IntervalAnswer(row) for row in rows], terms)
