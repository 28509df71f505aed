"""Recommendation models as the user describes them: architecture, service level, query sizes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.provenance import Part

Items = Annotated[int, Field(ge=1, le=1_000_000)]
ItemList = Annotated[tuple[Items, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Weights = Annotated[tuple[Weight, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]

Distribution = Literal["fixed", "normal", "lognormal", "empirical"]

#: The keys that each distribution is described by.
_KEYS: dict[Distribution, tuple[str, ...]] = {
    "fixed": ("mean_items",),
    "normal": ("mean_items", "std_items"),
    "lognormal": ("mean_items", "sigma"),
    "empirical": ("items", "weights"),
}


class QuerySize(Part):
    """How many items one query ranks: a distribution over integers, cut to ``min_items`` .. ``max_items``.

    ``fixed`` uses ``mean_items``; ``normal`` adds ``std_items``; ``lognormal`` takes ``mean_items`` of the
    uncut distribution and ``sigma`` of the logarithm; ``empirical`` lists ``items`` with ``weights``.
    """

    distribution: Distribution = "lognormal"
    mean_items: float | None = Field(
        default=None, gt=0, le=1e6, description="Mean number of items, before the distribution is cut."
    )
    std_items: float | None = Field(default=None, gt=0, le=1e6, description="Standard deviation (normal).")
    sigma: float | None = Field(
        default=None, gt=0, le=5, description="Standard deviation of the logarithm (lognormal)."
    )
    min_items: Items = Field(default=1, description="Smallest query.")
    max_items: Items = Field(default=1024, description="Largest query.")
    items: ItemList | None = Field(default=None, description="Query sizes that occur (empirical).")
    weights: Weights | None = Field(default=None, description="How often each of them occurs (empirical).")

    @model_validator(mode="after")
    def _keys_fit_distribution(self) -> Self:
        wanted = _KEYS[self.distribution]
        for key in wanted:
            if getattr(self, key) is None:
                raise _broken(
                    f"distribution {self.distribution!r} needs {' and '.join(wanted)}, {key} is missing"
                )
        for key in ("mean_items", "std_items", "sigma", "items", "weights"):
            if key not in wanted and getattr(self, key) is not None:
                raise _broken(
                    f"distribution {self.distribution!r} does not use {key}: it needs {' and '.join(wanted)}"
                )
        if self.min_items > self.max_items:
            raise _broken(f"min_items must not exceed max_items, found {self.min_items} and {self.max_items}")
        if self.distribution == "fixed":
            self._check_fixed()
        if self.distribution == "empirical":
            self._check_listed()
        return self

    def _check_fixed(self) -> None:
        size = self.mean_items or 0.0
        if size != int(size) or not self.min_items <= size <= self.max_items:
            allowed = f"{self.min_items} to {self.max_items}"
            raise _broken(f"a fixed mean_items must be a whole number from {allowed}, found {size:g}")

    def _check_listed(self) -> None:
        items, weights = self.items or (), self.weights or ()
        if len(items) != len(weights):
            raise _broken(f"items and weights must be as many, found {len(items)} and {len(weights)}")
        if len(set(items)) < len(items):
            raise _broken("items must not repeat a size")
        if not self.min_items <= min(items) <= max(items) <= self.max_items:
            raise _broken(
                f"items must lie from min_items to max_items ({self.min_items} to {self.max_items}), "
                f"found {min(items)} to {max(items)}"
            )
        if not sum(weights) > 0:
            raise _broken("one of the weights must be greater than 0")


class Model(Part):
    """A recommendation model: what it computes and what it promises."""

    catalogue: str | None = Field(
        default=None, description="Name in the catalogue that this entry starts from."
    )
    title: str | None = None
    sla_ms: float | None = Field(default=None, gt=0, le=1e7, description="Tail-latency target.")
    sla_percentile: float = Field(default=95.0, ge=50, lt=100, description="Percentile the target holds at.")
    over_provision: float = Field(
        default=0.0, ge=0, le=100, description="Share of the load that is provisioned on top of it."
    )
    query_size: QuerySize | None = None
    architecture: Architecture | None = None


def _broken(rule: str) -> PydanticCustomError:
    return PydanticCustomError("query_size", "{rule}", {"rule": rule})
