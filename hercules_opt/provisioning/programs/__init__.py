"""One interval as an integer program in exact numbers, and its true relaxations for solvers that round."""
