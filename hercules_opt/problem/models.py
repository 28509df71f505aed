"""Recommendation models as the user describes them: architecture, service level, query sizes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.provenance import Part

PositiveFloats = Annotated[tuple[Annotated[float, Field(gt=0, le=1e6)], ...], Strict(strict=False)]
Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1e12)], ...], Strict(strict=False)]


class QuerySize(Part):
    """How many items one query ranks: a distribution cut to ``min_items`` .. ``max_items``.

    ``fixed`` uses ``mean_items``; ``normal`` adds ``std_items``; ``lognormal`` takes ``mean_items`` of the uncut
    distribution and ``sigma`` of the logarithm; ``empirical`` lists ``items`` with ``weights``.
    """

    distribution: Literal["fixed", "normal", "lognormal", "empirical"] = "lognormal"
    mean_items: float | None = Field(default=None, gt=0, le=1e6)
    std_items: float | None = Field(default=None, gt=0, le=1e6)
    sigma: float | None = Field(default=None, gt=0, le=5)
    min_items: int = Field(default=1, ge=1, le=1_000_000)
    max_items: int = Field(default=1024, ge=1, le=1_000_000)
    items: PositiveFloats | None = None
    weights: Weights | None = None


class Model(Part):
    """A recommendation model: what it computes and what it promises."""

    catalogue: str | None = Field(default=None, description="Name in the catalogue that this entry starts from.")
    title: str | None = None
    sla_ms: float | None = Field(default=None, gt=0, le=1e7, description="Tail-latency target.")
    sla_percentile: float = Field(default=95.0, ge=50, lt=100, description="Percentile the target holds at.")
    over_provision: float = Field(
        default=0.0, ge=0, le=100, description="Share of the load that is provisioned on top of it."
    )
    query_size: QuerySize | None = None
    architecture: Architecture | None = None
