"""Recommendation models as operators, and how their queries arrive."""
