"""All methods against all benchmarks: maps once, scores once, one table."""
