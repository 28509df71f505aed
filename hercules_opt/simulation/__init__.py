"""Discrete-event simulation: one server that answers queries, piece by piece."""
