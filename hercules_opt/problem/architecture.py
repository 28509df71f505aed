"""The architecture of a recommendation model."""

from __future__ import annotations

from hercules_opt.problem.provenance import Part


class Architecture(Part):
    """Tables, layers and how they are joined."""
