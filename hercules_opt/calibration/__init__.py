"""Fit the cost model's constants to measurements, and keep what the fit is worth."""
