"""Whether a map says what the model relies on: metrics that remove, add or draw pixels and ask the model again."""
