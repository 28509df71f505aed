"""Real inference on this host: microbenchmarks, models built from their architecture, load tests."""
