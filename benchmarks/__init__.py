"""Benchmarks: python -m benchmarks.NAME [--smoke] [--json FILE]."""
