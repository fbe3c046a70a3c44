"""Backward passes of our own through a model's operations: DeepLIFT's multipliers and LRP's relevance."""
