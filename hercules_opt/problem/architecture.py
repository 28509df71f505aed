"""The architecture of a recommendation model: tables, layers and how they are joined.

Nothing here is a cost. Operations, bytes, footprint and launches are derived in ``hercules_opt.workloads``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from hercules_opt.errors import Words
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.validation import LEAST, broken

Role = Literal["feature", "behaviour", "candidate", "factor"]

#: What becomes of a table's vectors.
ROLES: dict[Role, str] = {
    "feature": "goes into the interaction",
    "behaviour": "joins the sequence of the user's behaviours that the behaviour unit reads",
    "candidate": "goes into the interaction, and the attention compares the behaviours with it",
    "factor": "is multiplied with the other factors and joined before the last layer (matrix factorization)",
}

Rows = Annotated[int, Field(ge=1, le=10**12)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]
Widths = Annotated[tuple[Width, ...], Strict(strict=False), Field(max_length=64)]
ElementBytes = Annotated[float, Field(ge=LEAST, le=8)]


class Tables(Part):
    """Embedding tables of one kind; one item gathers ``lookups`` rows of each for every vector it yields."""

    name: str | None = Field(default=None, description="What the rows stand for, for example 'user profile'.")
    rows: (
        Rows | Annotated[tuple[Rows, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]
    ) = Field(description="Rows per table: one number for all tables, or a list with one per table.")
    count: int | None = Field(
        default=None, ge=1, le=100_000, description="Tables; by default one, or one per row count."
    )
    dim: Width = Field(description="Elements per row.")
    lookups: float = Field(
        default=1.0, ge=LEAST, le=1e6, description="Rows that are summed into one vector (pooling)."
    )
    sequence: int = Field(
        default=1, ge=1, le=1_000_000, description="Vectors that each table yields per item."
    )
    role: Role = Field(default="feature", description="What becomes of the vectors.")

    @property
    def tables(self) -> int:
        """Number of tables."""
        return self.count or (len(self.rows) if isinstance(self.rows, tuple) else 1)

    @property
    def total_rows(self) -> int:
        """Rows of all tables together."""
        return sum(self.rows) if isinstance(self.rows, tuple) else self.rows * self.tables

    @property
    def vectors(self) -> int:
        """Vectors that one item takes from all of these tables."""
        return self.tables * self.sequence

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if isinstance(self.rows, tuple) and self.count not in (None, len(self.rows)):
            rule = f"must be left out, or {len(self.rows)}: rows lists one number per table"
            raise broken(rule, key=("count",), found=self.count)
        return self


class BehaviourUnit(Part):
    """What turns the sequence of behaviours into one vector.

    ``attention`` (DIN): a small MLP scores [behaviour, candidate, their product]; the scores weight the sum.
    ``gru``: a recurrence over the behaviours; its last state goes on.
    ``gru-augru`` (DIEN): a GRU, attention of its states to the candidate, and a second recurrence over them
    whose update gate the attention scales.
    """

    unit: Literal["attention", "gru", "gru-augru"] = Field(description="How the behaviours are read.")
    attention_hidden: Widths | None = Field(
        default=None, description="Hidden widths of the scoring MLP (attention); its output has width 1."
    )
    hidden: Width | None = Field(default=None, description="Width of the recurrent state (gru, gru-augru).")

    @property
    def attends(self) -> bool:
        """Whether the unit compares behaviours with the candidate."""
        return self.unit != "gru"

    @model_validator(mode="after")
    def _keys_fit_unit(self) -> Self:
        wanted, other = "hidden", "attention_hidden"
        if self.unit == "attention":
            wanted, other = other, wanted
        if getattr(self, wanted) is None:
            raise broken(f"is required for unit {self.unit!r}", key=(wanted,))
        if getattr(self, other) is not None:
            raise broken(f"is not used by unit {self.unit!r}: leave it out", key=(other,))
        return self


class Architecture(Part):
    """Tables, layers and how they are joined.

    The dense features pass the bottom MLP (or go on as they are), the vectors of the tables are gathered and
    pooled, the interaction joins both, and the top MLP scores the item. Several tasks share the top MLP and
    add a small MLP each. The input width of every layer is derived; only output widths are written.
    """

    tables: Annotated[tuple[Tables, ...], Strict(strict=False), Field(min_length=1, max_length=1000)] = Field(
        description="Embedding tables; each entry is one operator."
    )
    dense_features: int = Field(default=0, ge=0, le=1_000_000, description="Width of the dense input.")
    bottom_mlp: Widths = Field(default=(), description="Output widths of the layers on the dense input.")
    interaction: Literal["concat", "dot"] = Field(
        default="concat",
        description="'concat' joins all vectors; 'dot' multiplies each pair, beside the dense vector.",
    )
    top_mlp: Annotated[Widths, Field(min_length=1)] = Field(
        description="Output widths of the layers that score."
    )
    tasks: int = Field(default=1, ge=1, le=10_000, description="Tasks, each with its own task_mlp.")
    task_mlp: Widths = Field(
        default=(), description="Output widths of each task's layers, on top of top_mlp."
    )
    behaviour: BehaviourUnit | None = Field(default=None, description="What reads the behaviour tables.")
    table_element_bytes: ElementBytes = Field(
        default=4.0, description="Bytes per table element (fp32: 4, int8: 1)."
    )
    dense_element_bytes: ElementBytes = Field(
        default=4.0, description="Bytes per element of weights, activations, pooled vectors and dense input."
    )
    id_bytes: ElementBytes = Field(default=4.0, description="Bytes of one row index in a query.")

    def of_role(self, *roles: Role) -> tuple[Tables, ...]:
        """Return the tables of some roles, in order."""
        return tuple(group for group in self.tables if group.role in roles)

    @property
    def behaviours(self) -> int:
        """Length of the behaviour sequence."""
        return sum(group.vectors for group in self.of_role("behaviour"))

    @property
    def dense_width(self) -> int:
        """Width of the dense vector at the interaction; 0 without dense features."""
        return self.bottom_mlp[-1] if self.bottom_mlp else self.dense_features

    @property
    def behaviour_width(self) -> int:
        """Width of the vector that the behaviour unit hands on; 0 without one."""
        if self.behaviour is None:
            return 0
        return self.behaviour.hidden or self.of_role("behaviour")[0].dim

    @property
    def factor_width(self) -> int:
        """Width of the product of the factor tables; 0 without them."""
        factors = self.of_role("factor")
        return factors[0].dim if factors else 0

    @property
    def dot_width(self) -> int:
        """Width of the vectors that a dot interaction multiplies."""
        pooled = self.of_role("feature", "candidate")
        return pooled[0].dim if pooled else self.behaviour_width

    @property
    def dot_vectors(self) -> int:
        """Number of vectors whose pairs a dot interaction multiplies, the dense vector included."""
        pooled = sum(group.vectors for group in self.of_role("feature", "candidate"))
        return pooled + (self.dense_width > 0) + (self.behaviour_width > 0)

    @property
    def interaction_width(self) -> int:
        """Width that the interaction hands to the top MLP."""
        if self.interaction == "dot":
            return self.dense_width + self.dot_vectors * (self.dot_vectors - 1) // 2
        pooled = sum(group.vectors * group.dim for group in self.of_role("feature", "candidate"))
        return self.dense_width + pooled + self.behaviour_width

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        _check_dense(self)
        _check_behaviours(self)
        _check_factors(self)
        if self.interaction == "dot":
            _check_dot(self)
        if self.tasks > 1 and not self.task_mlp:
            raise broken(
                "is required for several tasks: without it they would all be the same", key=("task_mlp",)
            )
        if self.interaction_width == 0:
            raise broken(
                "the top MLP has no input: add dense_features, or tables of another role than 'factor'",
                key=("tables",),
            )
        return self


def _check_dense(architecture: Architecture) -> None:
    if architecture.bottom_mlp and not architecture.dense_features:
        raise broken("is required with a bottom_mlp: it is the width of its input", key=("dense_features",))


def _check_behaviours(architecture: Architecture) -> None:
    groups, unit = architecture.of_role("behaviour"), architecture.behaviour
    if groups and unit is None:
        raise broken("is required: there are tables of role 'behaviour'", key=("behaviour",))
    if unit is None:
        return
    if not groups:
        raise broken("a behaviour unit needs tables of role 'behaviour'", key=("tables",))
    _check_dims(groups, "the behaviours form one sequence")
    candidates = architecture.of_role("candidate")
    count = sum(group.vectors for group in candidates)
    if unit.attends and count != 1:
        raise broken(
            f"unit {unit.unit!r} needs exactly one vector from tables of role 'candidate'",
            key=("tables",),
            found=Words(str(count)),
        )
    if unit.unit == "attention":
        _check_dims((*candidates, *groups), "the candidate and the behaviours are multiplied")


def _check_factors(architecture: Architecture) -> None:
    factors = architecture.of_role("factor")
    _check_dims(factors, "the factors are multiplied")
    if sum(group.vectors for group in factors) == 1:
        raise broken(
            "factors are multiplied: tables of role 'factor' must give at least two vectors",
            key=("tables",),
            found=Words("1"),
        )


def _check_dims(groups: tuple[Tables, ...], why: str) -> None:
    dims = [group.dim for group in groups]
    if len(set(dims)) > 1:
        found = Words(" and ".join(str(dim) for dim in dict.fromkeys(dims)))
        roles = " and ".join(repr(role) for role in dict.fromkeys(group.role for group in groups))
        raise broken(f"{why}: tables of role {roles} must have the same dim", key=("tables",), found=found)


def _check_dot(architecture: Architecture) -> None:
    widths = {group.dim for group in architecture.of_role("feature", "candidate")}
    widths |= {width for width in (architecture.dense_width, architecture.behaviour_width) if width}
    if len(widths) > 1:
        raise broken(
            "'dot' needs vectors of one width: the dim of the tables and the last width of the bottom_mlp",
            key=("interaction",),
            found=Words(" and ".join(str(width) for width in sorted(widths))),
        )
    if architecture.dot_vectors < 2:
        count = Words(str(architecture.dot_vectors))
        raise broken("'dot' needs at least two vectors", key=("interaction",), found=count)
