"""Our own solver of one interval: branch and price with a proof; the least shortfall where nothing covers."""
