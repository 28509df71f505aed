"""``hercules-opt what-if``: the same day with other loads, servers or over-provision rates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import read_problem, read_requirements
from hercules_opt.cli.options import (
    DEFAULT_GAP,
    GapOption,
    InstanceArgument,
    JsonOption,
    PowerCapOption,
    RequirementsOption,
    TableOption,
    TimeLimitOption,
)
from hercules_opt.cli.outcome import tell_ending
from hercules_opt.cli.output import show, show_json
from hercules_opt.cli.progress import labelled_bar
from hercules_opt.cli.tables import given_table
from hercules_opt.errors import InputError, nearest_name

_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,3})?|[0-9]+\.")


def what_if(
    instance: InstanceArgument,
    table: TableOption = None,
    load: Annotated[
        list[str] | None,
        typer.Option(metavar="[MODEL=]FACTOR", help="Loads times a factor: all, or one model's. Repeatable."),
    ] = None,
    lose: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE[=N]", help="Lose all servers of a type, or N of them. Repeatable."),
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="TYPE=N", help="Add N servers of a type. Repeatable.")
    ] = None,
    over_provision: Annotated[
        list[str] | None,
        typer.Option(metavar="[MODEL=]RATE", help="Another over-provision rate: all, or one's. Repeatable."),
    ] = None,
    requirements: RequirementsOption = None,
    power_cap_w: PowerCapOption = None,
    values: Annotated[
        bool, typer.Option("--values/--no-values", help="What one more server of each type would save.")
    ] = True,
    gap: GapOption = DEFAULT_GAP,
    time_limit_s: TimeLimitOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show a day before and after a change of loads, servers or over-provision rates.

    Least power, servers by type, and why the changed day cannot be covered where it cannot; without a change,
    what one more server of each type is worth.
    """
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.provisioning.answers.what_if import MAX_FACTOR
    from hercules_opt.provisioning.answers.what_if import what_if as solve
    from hercules_opt.provisioning.problem import MAX_OVER_PROVISION
    from hercules_opt.reporting.what_if import what_if_document, what_if_page

    day = load_instance(instance)
    required = read_requirements(requirements, power_cap_w)
    problem = read_problem(
        day, given_table(day, table), table, requirements=required, requirements_path=requirements
    )
    models, types = list(day.models), {name: server.available for name, server in day.servers.items()}
    factors = _by_model("--load", load or (), models, MAX_FACTOR)
    rates = _by_model("--over-provision", over_provision or (), models, MAX_OVER_PROVISION)
    more = _servers(lose or (), add or (), types)
    with labelled_bar() as progress:
        found = solve(
            problem, load={**dict.fromkeys(models, 1.0), **factors}, servers=more, over_provision=rates,
            requirements=required, values=values, gap=gap, time_limit_s=time_limit_s, progress=progress,
        )  # fmt: skip
    if as_json:
        changes = {
            "load": factors, "servers": more, "over_provision": rates, "requirements": required.to_json(),
        }  # fmt: skip
        show_json("what-if", what_if_document(changes, found))
    else:
        show(*what_if_page(day, _in_words(load, lose, add, over_provision), found))
    return tell_ending(found.plans[1])


def _by_model(option: str, given: Sequence[str], models: Sequence[str], most: float) -> dict[str, float]:
    """Return the figure of every model that is named, or of all."""
    figures: dict[str, float] = {}
    for text in given:
        name, named, figure = text.rpartition("=")
        if not _NUMBER.fullmatch(figure.strip()) or float(figure) > most:
            rule = f"must be a number from 0 to {most:g}, or MODEL=NUMBER"
            raise InputError(rule, where=option, found=text)
        if named and name not in models:
            raise InputError("unknown model", where=option, found=name, hint=nearest_name(name, models))
        for model in [name] if named else models:
            if model in figures:
                raise InputError("each model may get one figure only", where=option, key=model, found=text)
            figures[model] = float(figure)
    return figures


def _servers(lose: Sequence[str], add: Sequence[str], types: dict[str, int]) -> dict[str, int]:
    """Return how many servers more (below 0: fewer) each named type has."""
    from hercules_opt.provisioning.problem import MAX_AVAILABLE

    more: dict[str, int] = {}
    for option, given in (("--lose", lose), ("--add", add)):
        for text in given:
            name, count = _counted(option, text, types)
            if name in more:
                rule = "each server type may be lost or added only once"
                raise InputError(rule, where=option, found=text)
            more[name] = -count if option == "--lose" else count
            if -more[name] > types[name]:
                rule = f"takes away more than the {types[name]:,} that are there"
                raise InputError(rule, where=option, found=text)
            if types[name] + more[name] > MAX_AVAILABLE:
                raise InputError(f"must leave at most {MAX_AVAILABLE:,} servers", where=option, found=text)
    return more


def _counted(option: str, text: str, types: dict[str, int]) -> tuple[str, int]:
    if option == "--lose" and text in types:
        return text, types[text]
    name, named, count = text.rpartition("=")
    if not named:
        if option == "--add" and text in types:
            raise InputError("must be TYPE=N", where=option, found=text)
        raise InputError("unknown server type", where=option, found=text, hint=nearest_name(text, types))
    if name not in types:
        raise InputError("unknown server type", where=option, found=name, hint=nearest_name(name, types))
    if not _WHOLE.fullmatch(count):
        raise InputError("must be a whole number of servers", where=option, key=name, found=count)
    return name, int(count)


def _in_words(
    load: Any, lose: Sequence[str] | None, add: Sequence[str] | None, over_provision: Sequence[str] | None
) -> str:
    """Return the changes in one line."""
    words = [f"load of {_of(text)}" for text in load or ()]
    words += [f"{_servers_of(text)} lost" for text in lose or ()]
    words += [f"{_servers_of(text)} more" for text in add or ()]
    words += [f"over-provision rate of {_of(text, '')}" for text in over_provision or ()]
    return "; ".join(words) or "nothing changes"


def _of(text: str, sign: str = "x ") -> str:
    name, _, figure = text.rpartition("=")
    return f"{name or 'all models'} {sign}{figure.strip()}"


def _servers_of(text: str) -> str:
    name, named, count = text.rpartition("=")
    return f"{count} {name}" if named else f"every {text}"
