"""Symmetry on known functions: two pixels that play the same part must have the same attribution.

Functions with a known symmetry cannot be photographs' nets, so this is a test of methods, not a benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.subject import checked_maps

SIDE = 6  # of the images, in pixels
PAIR = ((1, 1), (4, 3))  # the two pixels

Explain = Callable[[Any, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Known:
    """v · relu(W (a, b) + c), a symmetric function of two pixels a and b above 0."""

    weights: tuple[tuple[float, float], ...]
    offsets: tuple[float, ...]
    outputs: tuple[float, ...]

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        hidden = np.maximum(np.stack([a, b], -1) @ np.array(self.weights).T + np.array(self.offsets), 0)
        return hidden @ np.array(self.outputs)


# max = (a + b + |a − b|) / 2, min = (a + b − |a − b|) / 2, with |t| = relu(t) + relu(−t)
_PARTS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0))
FUNCTIONS: dict[str, _Known] = {
    "sum": _Known(((1.0, 1.0),), (0.0,), (1.0,)),
    "max": _Known(_PARTS, (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "min": _Known(_PARTS, (0.0, 0.0, 0.0), (0.5, -0.5, -0.5)),
    "excess": _Known(((1.0, 1.0),), (-0.5,), (1.0,)),  # relu(a + b − ½): saturated below
}


def known_model(function: str) -> Any:
    """A Keras model of 6 × 6 × 1 images whose class 0 has the function of two pixels as logit, and class 1 minus that.

    The function has a name of `FUNCTIONS`. A flattening and two Dense layers; no other pixel has any effect.
    """
    if function not in FUNCTIONS:
        raise unknown("known function", function, FUNCTIONS)
    known, layers = FUNCTIONS[function], tf.keras.layers
    kernel = np.zeros((SIDE, SIDE, len(known.weights)), np.float32)
    for k, place in enumerate(PAIR):
        kernel[place] = [row[k] for row in known.weights]
    image = tf.keras.Input((SIDE, SIDE, 1))
    hidden = layers.Dense(len(known.weights), activation="relu", name="parts")(layers.Flatten()(image))
    model = tf.keras.Model(image, layers.Dense(2, name="logits")(hidden), name=f"known_{function}")
    model.get_layer("parts").set_weights([kernel.reshape(SIDE**2, -1), np.array(known.offsets, np.float32)])
    outputs = np.array(known.outputs, np.float32)
    model.get_layer("logits").set_weights([np.stack([outputs, -outputs], 1), np.zeros(2, np.float32)])
    return model


def symmetry(explain: Explain, *, images: int = 8, seed: int = 0) -> dict[str, float]:
    """The largest |φ_a − φ_b| / max |φ| on images whose two pixels are equal, by known function.

    A function that does not change when a and b are exchanged, at a point where a = b, gives no reason to prefer one
    (Shapley 1953; Sundararajan et al. 2017, sec. 4). Methods with random numbers differ by them: for those this is the
    size of their noise. Maps of low resolution, which spread pixels over the image, are not asked the right question.

    Args:
        explain: (Keras model, raw images (N, 6, 6, 1) in 0..1, targets (N,)) -> maps (N, 6, 6) or (N, 6, 6, 1).
        images: Random images, 1 or more.
        seed: Of the images.

    Returns:
        Name -> gap, 0 (symmetric) to 2 (opposite); 0 for maps of zeros, NaN never.

    Raises:
        AttribevalError: If maps have another shape or are not finite.
    """
    check_count("images", images, 1)
    check_count("seed", seed, 0)
    raw = np.random.default_rng(seed).uniform(0.3, 1, (images, SIDE, SIDE, 1)).astype(np.float32)
    (first, second), targets = PAIR, np.zeros(images, np.int32)
    raw[:, second[0], second[1]] = raw[:, first[0], first[1]]
    gaps = {}
    for name in FUNCTIONS:
        maps = checked_maps(explain(known_model(name), raw.copy(), targets), raw, channels=True)
        maps = maps if maps.ndim == 3 else maps.sum(-1)
        if len(maps) != images:
            raise AttribevalError(f"Expected {images} maps. Received: {len(maps)}.")
        apart = np.abs(maps[:, first[0], first[1]] - maps[:, second[0], second[1]])
        largest = np.abs(maps).max((1, 2))
        gaps[name] = float(np.divide(apart, largest, out=np.zeros(images), where=largest > 0).max())
    return gaps
