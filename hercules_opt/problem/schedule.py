"""A schedule: how one server runs one model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hercules_opt.problem.provenance import Part

Placement = Literal["cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot"]

#: Every placement, and what runs where. "Host" is the CPU with its memory, near-memory processing included.
PLACEMENTS: dict[Placement, str] = {
    "cpu": "the whole model on the host, one stage",
    "cpu-sd": "S-D pipeline on the host: SparseNet threads feed DenseNet threads",
    "cpu-accelerator": "SparseNet on the host, DenseNet on the accelerator",
    "accelerator": "the whole model on the accelerator, which holds all embeddings",
    "accelerator-hot": "the whole model on the accelerator, hot embeddings too; the host gathers the cold",
}


class Schedule(Part):
    """One point of the search space of a (server type, model) pair.

    Variables that a placement does not use are ``None``.
    """

    placement: Placement = Field(description="What runs where.")
    threads: int | None = Field(default=None, ge=1, description="Co-located threads of the first host stage.")
    cores_per_thread: int | None = Field(default=None, ge=1, description="Cores of each of them.")
    dense_threads: int | None = Field(default=None, ge=1, description="DenseNet threads (cpu-sd).")
    dense_cores_per_thread: int | None = Field(default=None, ge=1, description="Cores of each of them.")
    batch_size: int | None = Field(default=None, ge=1, description="Items per split batch on the host.")
    instances: int | None = Field(
        default=None,
        ge=1,
        description="Co-located instances on all accelerators: a multiple of these, or fewer.",
    )
    fused_items: int | None = Field(
        default=None, ge=1, description="Largest number of items fused into one batch on the accelerator."
    )
    hot_share: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Share of the embedding bytes held by the accelerator."
    )
    offload_above: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Queries of more items go whole to the accelerator (cpu with instances and fused_items; of the "
            "methods deeprecsys and offload)."
        ),
    )

    def label(self) -> str:
        """Return the schedule in one short line, for tables."""
        parts: list[str] = [self.placement]
        if self.threads is not None:
            parts.append(f"{self.threads}x{self.cores_per_thread}c")
        if self.dense_threads is not None:
            parts.append(f"+{self.dense_threads}x{self.dense_cores_per_thread}c")
        if self.batch_size is not None:
            parts.append(f"d{self.batch_size}")
        if self.offload_above is not None:
            parts.append(f">{self.offload_above}:")
        if self.instances is not None:
            parts.append(f"g{self.instances}")
        if self.fused_items is not None:
            parts.append(f"f{self.fused_items}")
        if self.hot_share is not None:
            parts.append(f"hot {self.hot_share:.0%}")
        return " ".join(parts)
