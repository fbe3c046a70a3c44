"""One evaluation: what a model makes of every image of a data set, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.models.logits import find_logits
from attribeval.models.outputs import select_output


@dataclass(frozen=True)
class Score:
    """How a model does on test images.

    Attributes:
        accuracy: Share of images whose label has the highest score.
        loss: Mean cross-entropy, in nats, without label smoothing.
        per_class_accuracy: By class; NaN for a class without test images.
        images: How many images were scored: all of them, the last partial batch too.
    """

    accuracy: float
    loss: float
    per_class_accuracy: list[float]
    images: int


def logits_of(model: Any, x: Any, training: bool) -> Any:
    """The model's logits, float32 (B, classes), whether it ends in a softmax or not; only inside a `tf.function`.

    One unit with the logit z is two classes with −z/2 and z/2, of which the softmax is 1 − sigmoid(z) and sigmoid(z).
    """
    output = select_output(model, model(x, training=training), None)
    logits = tf.cast(find_logits(output).logits, tf.float32)
    return tf.concat([-logits / 2, logits / 2], 1) if logits.shape[-1] == 1 else logits


def evaluate(model: Any, batches: Any, classes: int) -> Score:
    """Score a model, as `train` takes it, on one pass of (model inputs, labels); the last batch may be smaller."""

    def answers(x, y):
        logits = logits_of(model, x, training=False)
        return tf.argmax(logits, 1, tf.int32), tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)

    spec = [tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in batches.element_spec]
    # The concrete function: the last, smaller batch traces nothing anew.
    answer = tf.function(answers, input_signature=spec, autograph=False).get_concrete_function()
    found = [[part.numpy() for part in (*answer(x, y), y)] for x, y in batches]
    predicted, losses, labels = map(np.concatenate, zip(*found, strict=True))
    return score(predicted, losses, labels, classes)


def score(predicted: np.ndarray, losses: np.ndarray, labels: np.ndarray, classes: int) -> Score:
    """Sum up predictions (N,), losses (N,) and labels (N,)."""
    right = (predicted == labels).astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    by_class = np.bincount(labels, weights=right, minlength=classes)
    per_class = np.divide(by_class, counts, out=np.full(classes, np.nan), where=counts > 0)
    return Score(float(right.mean()), float(losses.mean(dtype=np.float64)), per_class.tolist(), len(labels))
