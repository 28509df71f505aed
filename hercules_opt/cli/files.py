"""The files a command reads and writes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hercules_opt.cli.kinds import kind_of
from hercules_opt.errors import InputError, Words, check_number

if TYPE_CHECKING:
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.provisioning.objectives import Levels
    from hercules_opt.provisioning.plan import Plan
    from hercules_opt.provisioning.problem import ProvisioningProblem
    from hercules_opt.provisioning.requirements import Requirements

Writer = Callable[[Path], None]


def read_table(path: Path) -> EfficiencyTable:
    """Read an efficiency table, CSV or JSON by the file's ending."""
    from hercules_opt.problem.table import EfficiencyTable

    ending = checked_ending(path, (".csv", ".json"))
    with _of_a_kind("an efficiency table", path):
        return EfficiencyTable.from_json(path) if ending == ".json" else EfficiencyTable.from_csv(path)


def read_plan(path: Path, problem: ProvisioningProblem) -> Plan:
    """Read a plan: JSON with all its claims, or CSV with counts, whose figures are then computed."""
    from hercules_opt.provisioning.files.counts_file import load_counts
    from hercules_opt.provisioning.files.plan_files import load_plan

    ending = checked_ending(path, (".csv", ".json"))
    with _of_a_kind("a plan", path):
        return load_plan(path) if ending == ".json" else load_counts(path, problem)


@contextlib.contextmanager
def _of_a_kind(kind: str, path: Path) -> Iterator[None]:
    """If a file is refused since it is a good one of another kind, say that."""
    try:
        yield
    except InputError:
        found = kind_of(path)
        if found in (None, kind):
            raise
        raise InputError(f"must be {kind}", where=path, found=Words(found)) from None


def plan_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each plan: its file's without the ending, or the whole path if two are alike."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def read_problem(
    instance: Instance,
    table: EfficiencyTable | None,
    path: Path | None,
    levels: Levels = ("power",),
    requirements: Requirements | None = None,
    requirements_path: Path | None = None,
) -> ProvisioningProblem:
    """Return the provisioning problem of an instance and a table, with the figures of the given objectives.

    An error names the file it comes from: that of the table, or of the requirements.
    """
    from hercules_opt.provisioning.problem import ProvisioningProblem

    try:
        problem = ProvisioningProblem.from_instance(instance, table)
        narrowed = problem if requirements is None else requirements.narrowed(problem)
        for level in levels:
            narrowed.objective_figures(level)
    except InputError as error:
        file = requirements_path if error.where == "requirements" else path
        raise (error.located(file) if file is not None else error) from None
    return problem


def read_requirements(path: Path | None, power_cap_w: float | None) -> Requirements:
    """Return the requirements of a file, with a cap on power from the command line in place of its own."""
    from hercules_opt.provisioning.requirements import MAX_CAP_W, NO_REQUIREMENTS, Requirements

    if power_cap_w is not None:
        check_number("--power-cap-w", power_cap_w, 0.0, MAX_CAP_W)
    required = NO_REQUIREMENTS if path is None else Requirements.load(path)
    return required if power_cap_w is None else replace(required, power_cap_w=power_cap_w)


def checked_ending(path: Path, allowed: tuple[str, ...]) -> str:
    """Return a file name's ending in lower case; raise ``InputError`` unless it is an allowed one."""
    ending = path.suffix.lower()
    if ending not in allowed:
        rule = f"a file name must end in {' or '.join(allowed)}"
        raise InputError(rule, where=path, found=Words(ending or "none"))
    return ending


def check_output(path: Path | None, allowed: tuple[str, ...]) -> None:
    """Raise ``InputError`` if ``--out`` could not be written, before any work is spent on its content."""
    if path is None:
        return
    checked_ending(path, allowed)
    with _unwritable(path):
        if path.is_dir():
            raise InputError("cannot be written: is a folder", where=path)
        _try_parent(path.resolve())


def check_folder(folder: Path, names: tuple[str, ...]) -> None:
    """Raise ``InputError`` unless a result folder can be made, or holds nothing but an earlier result."""
    with _unwritable(folder):
        if folder.is_dir():
            others = sorted(entry.name for entry in folder.iterdir() if entry.name not in names)
            if others:
                rule = "must be a new folder, an empty one, or one with an earlier result only"
                raise InputError(rule, where=folder, found=others[0])
        elif folder.exists():
            raise InputError("must be a folder", where=folder, found=Words("a file"))
        _try_parent(folder.resolve())


def write_folder(folder: Path, writers: Mapping[str, Writer], replaceable: tuple[str, ...]) -> None:
    """Write a folder of files whole or not at all: beside it first, then renamed into place.

    A folder that holds nothing but ``replaceable`` files is replaced as a whole.
    """
    check_folder(folder, replaceable)
    target = folder.resolve()
    with _unwritable(folder):
        fresh = Path(tempfile.mkdtemp(prefix=".new.", dir=target.parent))
    old = fresh.with_name(fresh.name + ".old")
    try:
        for name, write in writers.items():
            write(fresh / name)
        fresh.chmod(0o755)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=folder) from None
    finally:
        if old.exists() and not target.exists():
            with contextlib.suppress(OSError):
                old.rename(target)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _try_parent(path: Path) -> None:
    """Make a file beside a path, and ask for the path itself: its name may be too long."""
    with tempfile.TemporaryFile(dir=path.parent):
        path.exists()


@contextlib.contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Say of a path that it cannot be written, and why."""
    try:
        yield
    except RuntimeError:
        raise InputError("cannot be written: the links lead in a circle", where=path) from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from None
