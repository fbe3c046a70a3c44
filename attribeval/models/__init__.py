"""Keras models as classifiers: logits, preprocessing, target layer, compiled derivatives."""
