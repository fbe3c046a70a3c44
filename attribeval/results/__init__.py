"""Tables, intervals and files: what a benchmark leaves behind."""
