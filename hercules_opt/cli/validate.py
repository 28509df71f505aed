"""``hercules-opt validate``: check files, and say what is inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.kinds import LOADS, PLAN, TABLE, csv_kind, json_kind
from hercules_opt.cli.options import JsonOption
from hercules_opt.cli.output import show_json, tell, write_stdout
from hercules_opt.errors import InputError, Words


def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Instances (TOML, or a library name), tables, loads, plans.",
            show_default=False,
        ),
    ],
    as_json: JsonOption = False,
) -> ExitCode:
    """Check files and say what is inside."""
    from hercules_opt.reporting.text import printable

    found: list[dict[str, Any]] = []
    for file in files:
        try:
            kind, inside = describe(file)
        except InputError as error:
            tell(f"error: {error}")
            found.append({"file": file, "valid": False, "error": str(error)})
        else:
            found.append({"file": file, "valid": True, "kind": kind, "inside": inside})
    good = all(entry["valid"] for entry in found)
    if as_json:
        show_json("validate", {"files": found})
    else:
        lines = [f"{entry['file']}: {entry['kind']}, {entry['inside']}" for entry in found if entry["valid"]]
        write_stdout("".join(f"{printable(line)}\n" for line in lines))
    return ExitCode.DONE if good else ExitCode.BAD_INPUT


def describe(file: str) -> tuple[str, str]:
    """Return what kind of file it is and what is inside; raise ``InputError`` if it breaks a rule."""
    ending = Path(file).suffix.lower()
    if ending == ".csv":
        return _describe_csv(Path(file))
    if ending == ".json":
        return _describe_json(Path(file))
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.reporting.instances import size_line

    instance = load_instance(file)
    return "instance", f"{instance.name}: {size_line(instance)}"


def _describe_csv(path: Path) -> tuple[str, str]:
    from hercules_opt.problem.csv_files import read_csv
    from hercules_opt.problem.loads_file import read_loads
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.provisioning.files.counts_file import read_counts
    from hercules_opt.reporting.text import plural

    file = read_csv(path)
    kind = csv_kind(file.header)
    if kind == PLAN:
        counts = read_counts(path)
        return "plan", f"{plural(len(counts), 'count')}; 'hercules-opt verify INSTANCE {path}' checks them"
    if kind == LOADS:
        loads = read_loads(path, file.header[1:])
        intervals = len(next(iter(loads.values()), []))
        return "loads", f"{plural(len(loads), 'model')} x {plural(intervals, 'interval')}"
    return "efficiency table", _table_line(EfficiencyTable.from_csv(path))


def _describe_json(path: Path) -> tuple[str, str]:
    from hercules_opt.problem.files import read_json
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.provisioning.files.plan_files import PLAN_SCHEMA, load_plan
    from hercules_opt.reporting.text import plural

    raw = read_json(path)
    kind = json_kind(raw)
    if kind == TABLE:
        return "efficiency table", _table_line(EfficiencyTable.from_json(path))
    if kind == PLAN:
        plan = load_plan(path)
        sizes = f"{plural(len(plan.interval_status), 'interval')}, {plan.policy}, {plan.status}"
        return "plan", f"{sizes}; 'hercules-opt verify INSTANCE {path}' checks its claims"
    rule = f'must be a plan ("schema": "{PLAN_SCHEMA}") or an efficiency table ("pairs")'
    raise InputError(rule, where=path, found=raw if isinstance(raw, list) else Words("another JSON document"))


def _table_line(table: Any) -> str:
    from hercules_opt.reporting.text import plural

    unserved = sum(pair.qps is None for pair in table)
    types = len({pair.server_type for pair in table})
    models = len({pair.model for pair in table})
    sizes = f"{plural(len(table), 'pair')} of {plural(types, 'server type')} and {plural(models, 'model')}"
    return sizes + (f", {unserved} of them cannot serve" if unserved else "")
