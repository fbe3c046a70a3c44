"""A run directory: records found again by all that determines them, checked when they are read, shared by processes."""
