"""``hercules-opt instances``: the library, one instance, or the format's JSON Schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.options import JsonOption
from hercules_opt.cli.output import hint, show, show_json, write_stdout
from hercules_opt.errors import InputError


def instances(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A name of the library or a TOML file: show it.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of an instance file.")
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """List the instances of the library, or show one."""
    if schema:
        _print_schema(name)
    elif name is None:
        _list(as_json)
    else:
        _show(name, as_json)
    return ExitCode.DONE


def _print_schema(name: str | None) -> None:
    from hercules_opt.problem.json_schema import json_schema

    if name is not None:
        raise InputError(
            "the schema is the same for all instances: give no name", where="--schema", found=name
        )
    write_stdout(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n")


def _list(as_json: bool) -> None:
    from hercules_opt.problem.library import library_names, library_path
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.reporting.instances import instance_document, library_list

    library = [load_instance(name) for name in library_names()]
    if as_json:
        documents = [{"file": str(library_path(entry.name)), **instance_document(entry)} for entry in library]
        show_json("instances", {"instances": documents})
        return
    show(library_list(library))
    hint("\nNext: hercules-opt instances NAME, or hercules-opt run NAME")


def _show(name: str, as_json: bool) -> None:
    from hercules_opt.problem.loading import instance_path, load_instance
    from hercules_opt.reporting.instances import instance_document, instance_page

    instance = load_instance(name)
    path = instance_path(name)
    if as_json:
        show_json("instances", {"instances": [{"file": str(path), **instance_document(instance)}]})
        return
    show(*instance_page(instance, path))
    hint(f"\nNext: hercules-opt run {name}; to make it your own, copy the file")
