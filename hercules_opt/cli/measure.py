"""``hercules-opt measure``: this host as a server type, and how well its models are predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import check_folder, write_folder
from hercules_opt.cli.options import CacheOption, JsonOption, PointsOption
from hercules_opt.cli.output import hint, show, show_json, tell
from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from hercules_opt.measurement.measure import Measurement

#: Models that are timed unless others are named, and the files of a result.
DEFAULT_MODELS = "dlrm-rmc1,dlrm-rmc2,dlrm-rmc3,wnd,din"
FILES = ("host.toml", "calibration.toml", "measurement.json")


def measure(
    models: Annotated[
        str,
        typer.Option(
            "--models", metavar="NAMES", help="Models of the catalogue to time, with commas; none: '-'."
        ),
    ] = DEFAULT_MODELS,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Write the host as a server type, its calibration, and all times."
        ),
    ] = None,
    load: Annotated[
        bool,
        typer.Option(
            "--load",
            help="Also serve each model under load, some minutes each, and search for a better schedule.",
        ),
    ] = False,
    points: PointsOption = None,
    cache: CacheOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds, to see that it works.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Measure this host, and predict its service times from microbenchmarks alone."""
    from hercules_opt.measurement.measure import measure as run
    from hercules_opt.measurement.measured_search import DEFAULT_POINTS
    from hercules_opt.problem.catalogue import catalogue
    from hercules_opt.reporting.measurement import measurement_document, measurement_page

    for option, value in {"--points": points, "--cache": cache}.items():
        if value is not None and not load:
            raise InputError("has no meaning without --load", where=option, found=value)
    if out is not None:
        check_folder(out, FILES)
    names = [] if models.strip() == "-" else [name.strip() for name in models.split(",")]
    try:
        chosen = {name: catalogue.models[name] for name in names}
    except InputError as error:
        raise error.located("--models") from None
    try:
        found = run(
            chosen,
            load=load,
            points=points or DEFAULT_POINTS,
            folder=cache,
            quick=quick,
            progress=tell,
        )
    except KeyboardInterrupt:
        kept = f"schedules that were measured are kept in {cache}" if cache else "nothing is kept"
        tell(f"interrupted: {kept}")
        return ExitCode.INTERRUPTED
    if out is not None:
        _write(out, found)
    if as_json:
        show_json("measure", measurement_document(found))
    else:
        show(*measurement_page(found))
    if out is not None:
        tell(f"wrote {out}")
        entry, constants = out / FILES[0], out / FILES[1]
        hint(f"\nNext: put {entry} into an instance, and profile it with --calibration {constants}")
    return ExitCode.DONE


def _write(out: Path, found: Measurement) -> None:
    import json

    import tomli_w

    from hercules_opt.problem.files import write_text
    from hercules_opt.reporting.measurement import measurement_document

    server = found.measured.server.model_dump(mode="json", exclude_none=True)
    entry = tomli_w.dumps({"servers": {"this-host": server}})
    whole = json.dumps(measurement_document(found), indent=1) + "\n"
    write_folder(
        out,
        {
            FILES[0]: lambda path: write_text(path, entry),
            FILES[1]: found.measured.calibration.save,
            FILES[2]: lambda path: write_text(path, whole),
        },
        FILES,
    )
