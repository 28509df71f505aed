"""Stage 2: how many servers of each type serve each model in each interval."""
