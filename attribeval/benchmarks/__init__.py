"""Benchmarks: pure metrics on arrays first, then the procedure that needs a model."""
