"""The libraries of the field behind `backend=`: slower, trusted, beside our own engine."""
