"""Recompute exactly what a plan claims, without the code that found it: counts, figures, certificates."""
