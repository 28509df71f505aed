"""``hercules-opt calibrate``: fit the cost model's constants to measured rates; say what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import check_output, read_table
from hercules_opt.cli.options import JsonOption
from hercules_opt.cli.output import hint, show, show_json, tell
from hercules_opt.errors import InputError, nearest_name

if TYPE_CHECKING:
    from hercules_opt.calibration.record import Calibration
    from hercules_opt.hardware.efficiency import DeviceClass

_SUBJECTS = ("accelerator", "host")


def calibrate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="INSTANCE",
            help="An instance that describes what was measured; or a calibration to show, its name or file.",
            show_default=False,
        ),
    ],
    measurements: Annotated[
        Path | None,
        typer.Argument(
            metavar="TABLE",
            help="Measured rates: an efficiency table, CSV or JSON, with schedules where they are known.",
            show_default=False,
        ),
    ] = None,
    subject: Annotated[
        str, typer.Option("--subject", metavar="NAME", help="Whose constants: accelerator or host.")
    ] = "host",
    constants: Annotated[
        str | None,
        typer.Option(
            "--constants",
            metavar="NAMES",
            help="At most three, with commas; by default those that matter most.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the calibration: .toml. 'profile --calibration' takes it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Fit constants of the cost model to measured rates."""
    from hercules_opt.reporting.calibrations import calibration_document, calibration_page

    check_output(out, (".toml",))
    found = _stored(what) if measurements is None else _fitted(what, measurements, subject, constants)
    if out is not None:
        found.save(out)
    if as_json:
        show_json("calibrate", calibration_document(found))
    else:
        show(*calibration_page(found))
    if out is not None:
        tell(f"wrote {out}")
        hint(f"\nNext: hercules-opt profile INSTANCE --calibration {out}")
    return ExitCode.DONE


def _stored(name: str) -> Calibration:
    from hercules_opt.calibration.record import load_calibration

    try:
        return load_calibration(name)
    except InputError as error:
        rule = f"{error.rule}; to fit one, give measured rates after the instance"
        raise InputError(rule, where=error.where, key=error.key, found=error.found, hint=error.hint) from None


def _fitted(name: str, path: Path, subject: str, constants: str | None) -> Calibration:
    if subject not in _SUBJECTS:
        hint = nearest_name(subject, _SUBJECTS)
        raise InputError("unknown subject", where="--subject", found=subject, hint=hint)
    from hercules_opt.calibration.from_table import table_observations
    from hercules_opt.calibration.rates import calibrate_rates
    from hercules_opt.problem.loading import load_instance

    kind = cast("DeviceClass", subject)
    instance = load_instance(name)
    try:
        observations = table_observations(instance, read_table(path), kind)
        names = None if constants is None else [part.strip() for part in constants.split(",")]
        return calibrate_rates(
            observations,
            device_class=kind,
            title=f"{subject} of {instance.name}",
            data=str(path.name),
            constants=names,
            progress=tell,
        ).calibration
    except InputError as error:
        if error.where == "constants":
            raise error.located("--constants") from None
        raise (error.located(path) if error.where == "measurements" else error) from None
