"""Faithfulness: does a map show what the model uses? The image is changed where the map says, and the model asked."""
