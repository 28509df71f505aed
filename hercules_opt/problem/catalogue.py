"""The catalogue of server types and models that an instance can take by name and override."""

from __future__ import annotations

from functools import cached_property

from hercules_opt.problem.library import catalogue_entries
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType


class Catalogue:
    """Server types and models by name, read on first use."""

    @cached_property
    def servers(self) -> dict[str, ServerType]:
        """Server types by name."""
        return {
            name: ServerType.model_validate(entry) for name, entry in catalogue_entries("servers").items()
        }

    @cached_property
    def models(self) -> dict[str, Model]:
        """Recommendation models by name."""
        return {name: Model.model_validate(entry) for name, entry in catalogue_entries("models").items()}


catalogue = Catalogue()
