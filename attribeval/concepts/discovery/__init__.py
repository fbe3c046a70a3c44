"""Concepts that nobody named: directions of a layer in which the images of a class differ."""
