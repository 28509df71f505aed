"""Figures and where they come from.

Every number in an instance may be written plainly (``memory_gb_s = 76.8``) or with its provenance
(``memory_gb_s = { value = 76.8, kind = "published", source = "vendor specification" }``). A whole part may
carry ``kind`` and ``source`` once, for all its figures. The number itself stays a plain number in Python;
what is known of its origin is kept beside it in ``provenance`` and survives loading and saving.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from hercules_opt.errors import nearest_name
from hercules_opt.problem.validation import broken, input_error

Kind = Literal["measured", "published", "calibrated", "analytic", "assumed"]

#: From best to worst founded; a total is only as good as its worst part.
KINDS: tuple[Kind, ...] = ("measured", "published", "calibrated", "analytic", "assumed")


class Provenance(BaseModel):
    """Where a figure comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind = "assumed"
    source: str | None = None


class Checked(BaseModel):
    """A frozen group of keys that refuses unknown ones, naming the nearest valid one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, /, **data: Any) -> None:
        """Check every key; raise ``InputError`` if one breaks a rule."""
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise input_error(error, where=type(self).__name__, data=data) from None

    # As pydantic marks its own: parts inside a file are still checked with the whole, which knows their path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise broken("unknown key", key=(str(key),), hint=nearest_name(str(key), cls.model_fields))
        return data

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some keys changed; a changed figure loses its old provenance.

        Raises
        ------
        InputError
            If a change breaks a rule.
        """
        data = {**self._given(), **changes}
        try:
            return type(self).model_validate(data)
        except ValidationError as error:
            raise input_error(error, where=type(self).__name__, data=data) from None

    def _given(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


class Part(Checked):
    """A group of figures that keeps each figure's provenance."""

    kind: Kind | None = Field(default=None, description="Where the figures of this table come from.")
    source: str | None = Field(default=None, description="The document or measurement they are taken from.")

    _origins: dict[str, Provenance] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _split_figures(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, dict):
            return handler(data)
        plain = dict(data)
        origins: dict[str, Mapping[str, Any]] = {}
        for key in figures(cls):
            entry = data.get(key)
            if isinstance(entry, dict):
                plain[key], origins[key] = _figure(key, entry)
        part = handler(plain)
        part._origins = {key: _provenance(origins[key], part.kind) for key in data if key in origins}
        return part

    @model_serializer(mode="wrap")
    def _join_figures(self, handler: Any) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        return {**plain, **self._figures_with_origin(plain)}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for key in figures(cls):
            if key in properties:
                properties[key] = _figure_schema(properties[key])
        return described

    @property
    def provenance(self) -> Mapping[str, Provenance]:
        """Provenance of the figures that carry their own."""
        return MappingProxyType(self._origins)

    def origin(self, key: str) -> Provenance:
        """Return where one figure comes from: its own entry, else the part's, else "assumed"."""
        if key not in type(self).model_fields:
            raise KeyError(key)
        if key in self._origins:
            return self._origins[key]
        return Provenance(kind=self.kind or "assumed", source=self.source)

    def _given(self) -> dict[str, Any]:
        plain = super()._given()
        return {**plain, **self._figures_with_origin(plain)}

    def _figures_with_origin(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {"value": plain[key], **origin.model_dump(exclude_none=True)}
            for key, origin in self._origins.items()
            if key in plain
        }


@cache
def figures(part: type[Part]) -> frozenset[str]:
    """Return the keys of a part that hold a number or a list of numbers, with provenance if wanted."""
    return frozenset(key for key, field in part.model_fields.items() if _is_numeric(field.annotation))


def _is_numeric(annotation: Any) -> bool:
    if annotation is int or annotation is float:
        return True
    if get_origin(annotation) in (dict, Literal):
        return False
    return any(_is_numeric(option) for option in get_args(annotation))


def _figure(key: str, entry: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return value and provenance of a figure that is written as a table; refuse any other table."""
    allowed = ("value", "kind", "source")
    for name in entry:
        if name not in allowed:
            raise broken(
                "unknown key of a figure", key=(key, str(name)), hint=nearest_name(str(name), allowed)
            )
    if "value" not in entry:
        raise broken("is required", key=(key, "value"))
    kind, source = entry.get("kind"), entry.get("source")
    if kind is not None and kind not in KINDS:
        hint = nearest_name(kind, KINDS) if isinstance(kind, str) else None
        raise broken(
            f"must be one of {', '.join(map(repr, KINDS))}", key=(key, "kind"), found=kind, hint=hint
        )
    if source is not None and not isinstance(source, str):
        raise broken("must be a text", key=(key, "source"), found=source)
    return entry["value"], entry


def _provenance(entry: Mapping[str, Any], kind: Kind | None) -> Provenance:
    return Provenance(kind=entry.get("kind") or kind or "assumed", source=entry.get("source"))


def _figure_schema(rule: dict[str, Any]) -> dict[str, Any]:
    shared: dict[str, Any] = {key: rule[key] for key in ("title", "description", "default") if key in rule}
    number = {key: entry for key, entry in rule.items() if key not in shared}
    return {
        **shared,
        "anyOf": [
            number,
            {
                "type": "object",
                "required": ["value"],
                "additionalProperties": False,
                "properties": {"value": number, "kind": {"enum": list(KINDS)}, "source": {"type": "string"}},
            },
        ],
    }
