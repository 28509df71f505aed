"""Puts the shared cases on the path for the tests in the folders below."""
