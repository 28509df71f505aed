"""Recommendation models as the user describes them: architecture, service level, query sizes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from hercules_opt.errors import Words
from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.validation import LEAST, broken

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

    distribution: Distribution = Field(default="lognormal", description="Shape of the distribution.")
    mean_items: float | None = Field(
        default=None, ge=LEAST, le=1e6, description="Mean number of items, before the distribution is cut."
    )
    std_items: float | None = Field(
        default=None, ge=LEAST, le=1e6, description="Standard deviation (normal)."
    )
    sigma: float | None = Field(
        default=None, ge=LEAST, le=5, description="Standard deviation of the logarithm (lognormal)."
    )
    min_items: Items = Field(default=1, description="Smallest query.")
    max_items: Items = Field(default=1024, description="Largest query.")
    items: ItemList | None = Field(default=None, description="Query sizes that occur (empirical).")
    weights: Weights | None = Field(default=None, description="How often each of them occurs (empirical).")

    @model_validator(mode="after")
    def _keys_fit_distribution(self) -> Self:
        for key in ("mean_items", "std_items", "sigma", "items", "weights"):
            wanted, given = key in _KEYS[self.distribution], getattr(self, key) is not None
            if wanted and not given:
                raise broken(f"is required for distribution {self.distribution!r}", key=(key,))
            if given and not wanted:
                needs = " and ".join(_KEYS[self.distribution])
                raise broken(
                    f"is not used by distribution {self.distribution!r}: it needs {needs}", key=(key,)
                )
        if self.min_items > self.max_items:
            raise broken(
                f"must be at most max_items ({self.max_items})", key=("min_items",), found=self.min_items
            )
        if self.distribution == "fixed":
            self._check_fixed(self.mean_items or 0.0)
        if self.distribution == "empirical":
            self._check_listed(self.items or (), self.weights or ())
        return self

    def _check_fixed(self, size: float) -> None:
        if size != int(size) or not self.min_items <= size <= self.max_items:
            allowed = f"{self.min_items} to {self.max_items}"
            raise broken(
                f"a fixed size must be a whole number from {allowed}", key=("mean_items",), found=size
            )

    def _check_listed(self, items: tuple[int, ...], weights: tuple[float, ...]) -> None:
        if len(items) != len(weights):
            rule = f"must have one entry per item, {len(items)}"
            raise broken(rule, key=("weights",), found=Words(str(len(weights))))
        seen: set[int] = set()
        for number, size in enumerate(items):
            if size in seen:
                raise broken("each size may appear only once", key=("items", number), found=size)
            if not self.min_items <= size <= self.max_items:
                allowed = f"{self.min_items} to {self.max_items}"
                raise broken(
                    f"must lie from min_items to max_items, {allowed}", key=("items", number), found=size
                )
            seen.add(size)
        if not sum(weights) > 0:
            raise broken("one of the weights must be greater than 0", key=("weights",))


class Model(Part):
    """A recommendation model: what it computes and what it promises."""

    catalogue: str | None = Field(
        default=None, description="Name in the catalogue that this entry starts from."
    )
    title: str | None = Field(default=None, description="Name for people.")
    sla_ms: float | None = Field(default=None, ge=LEAST, le=1e7, description="Tail-latency target.")
    sla_percentile: float = Field(default=95.0, ge=50, lt=100, description="Percentile the target holds at.")
    over_provision: float = Field(
        default=0.0, ge=0, le=100, description="Share of the load that is provisioned on top of it."
    )
    query_size: QuerySize | None = Field(default=None, description="How many items a query ranks.")
    architecture: Architecture | None = Field(default=None, description="What the model computes.")
