"""Scores of raw images: painted ones, and the images themselves."""

from __future__ import annotations

import numpy as np

from attribeval.methods.batch import Batch


def scores_of(batch: Batch, raw: np.ndarray, owners: np.ndarray, probability: bool = False) -> np.ndarray:
    """Score of the owner's target on raw images.

    Args:
        batch: The images that are explained.
        raw: Raw images (M, H, W, C), as many as fit in memory; the model sees `batch.capacity` at a time.
        owners: Which image of the batch each belongs to, ints (M,).
        probability: The probability instead of the score to be explained, see `Task.probabilities`.

    Returns:
        float32 (M,).
    """
    targets = np.asarray(batch.targets)[owners]
    parts = []
    for start in range(0, len(raw), batch.capacity):
        part = slice(start, start + batch.capacity)
        found, answer = batch.classifier.forward(batch.classifier.prepare(raw[part]))
        found = batch.classifier.task.probabilities(found, answer) if probability else found
        parts.append(found.numpy()[np.arange(len(found)), targets[part]])
    return np.concatenate(parts).astype(np.float32)
