"""Plans as files and back, and programs as files for other solvers."""
