"""The catalogue of server types and models that an instance can take by name and override."""

from __future__ import annotations

from functools import cached_property

from hercules_opt.errors import Named
from hercules_opt.problem.library import catalogue_entries
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType


class Catalogue:
    """Server types and models by name, read on first use."""

    @cached_property
    def servers(self) -> dict[str, ServerType]:
        """Server types by name."""
        entries = catalogue_entries("servers")
        return Named({name: ServerType.model_validate(entry) for name, entry in entries.items()})

    @cached_property
    def models(self) -> dict[str, Model]:
        """Recommendation models by name."""
        entries = catalogue_entries("models")
        return Named({name: Model.model_validate(entry) for name, entry in entries.items()})


catalogue = Catalogue()
