"""From a model's output to its logits, by reading the graph backwards: no layer is rebuilt, no weight is copied."""

from __future__ import annotations

from typing import Any, NamedTuple

# Operations that leave the values, or their order, as they are between the activation and the output.
_TRANSPARENT = {"Identity", "Cast", "Reshape", "Squeeze", "StopGradient", "EnsureShape"}
_LINKS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


class Head(NamedTuple):
    """The last step of a classifier.

    Attributes:
        logits: Symbolic tensor (batch, classes) before the link function.
        link: "softmax", "sigmoid" (multi-label), or None if the model's output is not the result of either.
    """

    logits: Any
    link: str | None


def find_logits(output: Any) -> Head:
    """Find what went into the softmax (or sigmoid) that made `output`.

    The search goes backwards from the output through operations that only rename, cast or reshape, so it finds
    `activation="softmax"`, a `Softmax` layer, `keras.ops.softmax` and the same inside nested or subclassed models.

    Args:
        output: The model's symbolic output (batch, classes).

    Returns:
        The head. If no link function made the output, `logits` is the output itself and `link` is None.
    """
    tensor = output
    while tensor.op.type in _TRANSPARENT and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
    link = _LINKS.get(tensor.op.type)
    if link is None:
        return Head(output, None)
    logits = tensor.op.inputs[0]
    if logits.shape.rank != 2:  # a softmax over some other axis, or over a (batch, 1, 1, classes) map
        from attribeval import _tf as tf

        logits = tf.reshape(logits, tf.shape(output))
    return Head(logits, link)
