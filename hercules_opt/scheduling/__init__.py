"""Stage 1: the best schedule of one server for one model."""
