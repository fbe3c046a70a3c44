"""From a model's output to its logits, by reading the graph backwards: no layer is rebuilt, no weight is copied."""

from __future__ import annotations

from typing import Any, NamedTuple

# Operations that leave the values, or their order, as they are between the activation and the output.
_TRANSPARENT = {"Identity", "Cast", "Reshape", "Squeeze", "StopGradient", "EnsureShape"}
_LINKS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
# What no logit goes through last.
ACTIVATIONS = frozenset(
    {"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign", "Tanh", "Exp", "Abs", "Square", "Atan"}
)


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
    op = last_operation(output)
    link = _LINKS.get(op.type)
    if link is None:
        return Head(output, None)
    logits = op.inputs[0]
    if not logits.shape.is_compatible_with(output.shape):  # a softmax over a (batch, 1, 1, classes) map, say
        from attribeval import _tf as tf

        logits = tf.reshape(logits, tf.shape(output))
        logits.set_shape(output.shape)
    return Head(logits, link)


def last_operation(output: Any) -> Any:
    """The operation that made the values of a symbolic tensor, behind those that rename, cast or reshape."""
    tensor = output
    while tensor.op.type in _TRANSPARENT and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
    return tensor.op


def is_linear(output: Any) -> bool:
    """Whether a symbolic output is made by a dense layer or a convolution, without an activation behind it."""
    op = last_operation(output)
    if op.type == "BiasAdd" or (op.type == "AddV2" and op.inputs[1].shape.rank in (0, 1)):
        op = last_operation(op.inputs[0])
    return op.type in ("MatMul", "Conv2D", "Einsum")
