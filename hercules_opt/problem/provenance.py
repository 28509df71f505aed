"""Figures and where they come from.

Every number in an instance may be written plainly (``memory_gb_s = 76.8``) or with its provenance
(``memory_gb_s = { value = 76.8, kind = "published", source = "vendor specification" }``). A whole part may carry
``kind`` and ``source`` once, for all its figures. The number itself stays a plain number in Python; what is known
of its origin is kept beside it in ``provenance`` and survives loading and saving.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from hercules_opt.errors import nearest_name

Kind = Literal["measured", "published", "calibrated", "analytic", "assumed"]

#: From best to worst founded; a total is only as good as its worst part.
KINDS: tuple[Kind, ...] = ("measured", "published", "calibrated", "analytic", "assumed")

_PROVENANCE_KEYS = frozenset({"value", "kind", "source"})


class Provenance(BaseModel):
    """Where a figure comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind = "assumed"
    source: str | None = None


class Part(BaseModel):
    """A frozen group of figures that refuses unknown keys and keeps each figure's provenance."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: Kind | None = Field(default=None, description="Where the figures of this part come from.")
    source: str | None = Field(default=None, description="The document or measurement they are taken from.")
    provenance: dict[str, Provenance] = Field(default_factory=dict, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _split_figures(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = set(cls.model_fields)
        plain: dict[str, Any] = {}
        origins: dict[str, Any] = dict(data.get("provenance", {}))
        for key, entry in data.items():
            if key not in known:
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key {key}. {hint}",
                    {"key": key, "hint": nearest_name(str(key), known - {"provenance"})},
                )
            if isinstance(entry, dict) and "value" in entry and set(entry) <= _PROVENANCE_KEYS:
                plain[key] = entry["value"]
                origins[key] = {name: entry[name] for name in ("kind", "source") if name in entry}
            else:
                plain[key] = entry
        plain["provenance"] = origins
        return plain

    @model_serializer(mode="wrap")
    def _join_figures(self, handler: Any) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        for key, origin in self.provenance.items():
            if key in plain:
                plain[key] = {"value": plain[key], **origin.model_dump(exclude_none=True)}
        return plain

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        body = handler.resolve_ref_schema(described)
        properties = body.get("properties", {})
        properties.pop("provenance", None)
        for key, rule in list(properties.items()):
            if _is_number(rule):
                properties[key] = _figure_schema(rule)
        return described

    def origin(self, key: str) -> Provenance:
        """Return where one figure comes from: its own entry, else the part's, else "assumed"."""
        if key not in type(self).model_fields:
            raise KeyError(key)
        if key in self.provenance:
            return self.provenance[key]
        return Provenance(kind=self.kind or "assumed", source=self.source)

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some figures changed; a changed figure loses its old provenance."""
        data = {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}
        data["provenance"] = {key: entry for key, entry in self.provenance.items() if key not in changes}
        return type(self).model_validate({**data, **changes})


def _is_number(rule: dict[str, Any]) -> bool:
    kinds = [rule.get("type")] + [option.get("type") for option in rule.get("anyOf", [])]
    return any(kind in ("number", "integer") for kind in kinds)


def _figure_schema(rule: dict[str, Any]) -> dict[str, Any]:
    shared = {key: rule[key] for key in ("title", "description", "default") if key in rule}
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
