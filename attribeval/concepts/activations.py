"""Activations of a layer and how a class's logit changes with them, for many images, a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models import fields
from attribeval.models.classifier import Classifier

LOGITS = "logits"  # the name of the last layer of all: the scores themselves
_BATCH = 64


def activations_and_gradients(
    classifier: Classifier, images: np.ndarray, targets: int | np.ndarray, layer: str, pool: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A layer's output for each image, and the derivative of a class's logit with respect to it.

    Args:
        classifier: The model.
        images: Raw images (N, H, W, C).
        targets: Class whose logit is meant, one int or (N,).
        layer: Name or path of a layer with a spatial output, or "logits" for the scores themselves.
        pool: Average activations over places: a concept is then a direction of channels, wherever it shows. The
            derivative is the one along a change that is the same at all places.

    Returns:
        Activations and derivatives, float32 (N, d) each.

    Raises:
        AttribevalError: If there is no such layer, or a target is no class of the model.
    """
    targets = np.broadcast_to(np.asarray(targets, np.int32), (len(images),))
    if len(targets) and not 0 <= targets.min() <= targets.max() < classifier.classes:
        raise AttribevalError(f"Expected targets from 0 to {classifier.classes - 1}. Received: {targets.max()}.")
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(images), _BATCH):
        x = classifier.prepare(np.asarray(images[start : start + _BATCH], np.float32))
        found.append(_of_batch(classifier, x, targets[start : start + _BATCH], layer, pool))
    activations, derivatives = (np.concatenate(part) for part in zip(*found, strict=True))
    return activations, derivatives


def _of_batch(
    classifier: Classifier, x: Any, targets: np.ndarray, layer: str, pool: bool
) -> tuple[np.ndarray, np.ndarray]:
    if layer == LOGITS:
        scores = classifier.forward(x)[0].numpy().astype(np.float32)
        return scores, np.eye(scores.shape[1], dtype=np.float32)[targets]
    parts = fields.activations_and_gradient(classifier, x, tf.constant(targets), layer)
    activations, gradients = (part.numpy().astype(np.float32) for part in parts)
    if pool:
        return activations.mean((1, 2)), gradients.sum((1, 2))
    return activations.reshape(len(x), -1), gradients.reshape(len(x), -1)


def directional_derivatives(gradients: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """S = ∇h(a) · v (Kim et al. 2018, equation 1), float64 (N,): by how much the logit changes along a vector (d,).

    Positive: the concept speaks for the class.
    """
    return gradients.astype(np.float64) @ vector.astype(np.float64)
