"""Nets for tests."""

from __future__ import annotations

import numpy as np


def randomise_batch_norm(model, seed: int = 0):
    """Give every BatchNormalization random statistics, so that a fault in them cannot hide behind 0 and 1."""
    import keras

    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            positive = [variable.name in ("gamma", "moving_variance") for variable in layer.weights]
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, shape) if above_zero else rng.normal(0, 0.2, shape)
                    for shape, above_zero in zip(shapes, positive, strict=True)
                ]
            )
    return model
