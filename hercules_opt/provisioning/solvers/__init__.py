"""Solvers of integer programs, one module each, and what each can do as data."""
