"""What a calibration leaves behind: constants, the data they come from, and how far they are off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import tomli_w
from pydantic import Field, Strict, ValidationError, model_validator

from hercules_opt.calibration.wall_power import WallPower
from hercules_opt.errors import InputError, nearest_name
from hercules_opt.hardware.efficiency import (
    MOST_RELATIVE_ERROR,
    AcceleratorEfficiency,
    DeviceClass,
    Efficiency,
    HostEfficiency,
    Range,
)
from hercules_opt.problem.files import parse_toml, read_text, write_text
from hercules_opt.problem.library import catalogue_folder
from hercules_opt.problem.provenance import Checked, Part
from hercules_opt.problem.validation import broken, input_error

#: Constants that one calibration may fit: more would fit the noise of a few devices.
MOST_CONSTANTS = 3

#: What can be calibrated: a device class, or power at the wall.
Subject = DeviceClass | Literal["wall"]

CLASSES: Mapping[Subject, type[HostEfficiency | AcceleratorEfficiency | WallPower]] = {
    "accelerator": AcceleratorEfficiency,
    "host": HostEfficiency,
    "wall": WallPower,
}


class Residual(Checked):
    """One measurement, and what the cost model says of it."""

    label: str = Field(description="What was measured.")
    group: str = Field(description="Server type, device or system: what was left out together with it.")
    model: str = Field(description="What ran.")
    measured: float = Field(gt=0, description="The rate in QPS, or the power in watts.")
    fitted: float = Field(ge=0, description="By the constants of all measurements.")
    left_out: float = Field(ge=0, description="By the constants of the other groups' measurements.")

    @property
    def error(self) -> float:
        """Relative error of the fit."""
        return self.fitted / self.measured - 1.0

    @property
    def left_out_error(self) -> float:
        """Relative error of the prediction without the group."""
        return self.left_out / self.measured - 1.0


class Calibration(Part):
    """Constants of one device class, or of power at the wall, fitted to measurements."""

    title: str = Field(description="What is calibrated, for people.")
    data: str = Field(description="Name of the measurements.")
    subject: Subject = Field(description="accelerator, host, or wall: power at the wall.")
    constants: dict[str, float] = Field(description="The fitted constants by name.")
    fixed: dict[str, float] = Field(
        default={}, description="Further constants of the class that were measured apart."
    )
    relative_error: float = Field(
        ge=0, le=MOST_RELATIVE_ERROR, description="Half width of the interval: 0.2 is from / 1.2 to x 1.2."
    )
    confidence: float = Field(gt=0, lt=1, description="Share of what was held back that the interval holds.")
    coverage: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share that intervals held, each made without the measurement's group; none: one group.",
    )
    ranges: dict[str, Range] = Field(default={}, description="What the measurements cover.")
    residuals: Annotated[tuple[Residual, ...], Strict(strict=False)] = Field(description="Every measurement.")

    @model_validator(mode="after")
    def _constants_fit_the_class(self) -> Self:
        if len(self.constants) > MOST_CONSTANTS:
            rule = f"at most {MOST_CONSTANTS} constants are fitted"
            raise broken(rule, key=("constants",), found=len(self.constants))
        known = CLASSES[self.subject]
        for key in ("constants", "fixed"):
            for name, value in getattr(self, key).items():
                if name not in known.model_fields:
                    hint = nearest_name(name, known.model_fields)
                    raise broken("unknown constant", key=(key,), found=name, hint=hint)
                try:
                    known.model_validate({name: value})
                except ValidationError as error:
                    rule = input_error(error, where=None).rule
                    raise broken(rule, key=(key, name), found=value) from None
        return self

    @property
    def efficiency(self) -> Efficiency:
        """All constants of the cost model: those of this calibration, and the defaults of the others."""
        if self.subject == "wall":
            raise InputError("is of power at the wall, not of rates", where=f"calibration {self.title!r}")
        return Efficiency.model_validate(
            {
                self.subject: CLASSES[self.subject].model_validate(self._values),
                "relative_error": self.relative_error,
                "confidence": self.confidence,
                "calibrated": self.subject,
                "ranges": self.ranges,
                "kind": "calibrated",
                "source": f"{self.title} ({self.data})",
            }
        )

    @property
    def wall_power(self) -> WallPower:
        """The constants of power at the wall."""
        if self.subject != "wall":
            raise InputError("is of rates, not of power at the wall", where=f"calibration {self.title!r}")
        return WallPower.model_validate(self._values)

    @property
    def _values(self) -> dict[str, float]:
        return {**self.fixed, **self.constants}

    def save(self, path: str | Path) -> None:
        """Write the calibration as TOML; ``load_calibration`` reads it."""
        write_text(path, self.to_toml())

    def to_toml(self) -> str:
        """Return the calibration as a TOML text, a line per measurement."""
        entries = self.model_dump(mode="json", exclude_none=True)
        rows = entries.pop("residuals")
        plain = {key: entry for key, entry in entries.items() if not isinstance(entry, dict)}
        tables = {key: entry for key, entry in entries.items() if isinstance(entry, dict) and entry}
        lines = [", ".join(tomli_w.dumps(row).splitlines()) for row in rows]
        listed = "".join(f"    {{ {line} }},\n" for line in lines)
        return f"{tomli_w.dumps(plain)}residuals = [\n{listed}]\n\n{tomli_w.dumps(tables)}"


def _catalogue_files() -> dict[str, Path]:
    return {path.stem: path for path in sorted((catalogue_folder() / "calibrations").glob("*.toml"))}


def calibration_names() -> list[str]:
    """Return the names of the calibrations in the catalogue."""
    return list(_catalogue_files())


def load_calibration(name: str | Path) -> Calibration:
    """Return a calibration of the catalogue by its name, or one of a TOML file.

    Raises
    ------
    InputError
        If there is no such name or file, or the file breaks a rule.
    """
    files = _catalogue_files()
    if str(name) in files:
        return _read(files[str(name)], name)
    if not str(name).endswith(".toml"):
        rule = "no calibration of this name in the catalogue, and no .toml file"
        raise InputError(rule, where=name, hint=nearest_name(str(name), files))
    return _read(Path(name), name)


def _read(path: Path, where: str | Path) -> Calibration:
    entry = parse_toml(read_text(path), where=where)
    try:
        found = Calibration.model_validate(entry)
    except ValidationError as error:
        raise input_error(error, where=where, data=entry) from None
    return found


def relative(half_width: float) -> float:
    """Return the half width of an interval in log space as a relative error, at most the largest stated."""
    return math.expm1(min(half_width, math.log1p(MOST_RELATIVE_ERROR)))
