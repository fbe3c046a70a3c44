"""Compiled: what the tokens that a score reads owe to the tokens of the image, through all layers of attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attribeval import _tf as tf
from attribeval.models.attention import Attention, find_attention
from attribeval.models.classifier import Classifier
from attribeval.models.propagation.graph import real
from attribeval.models.propagation.inline import inlined
from attribeval.models.propagation.refusal import refusing

Matrices = Callable[[Attention, Any], list[Any]]


def attended(classifier: Classifier, x: Any, targets: Any, method: str, matrices: Matrices) -> Any:
    """The product of a matrix for each layer, read where the score reads its tokens.

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        targets: Class indices, int32 (B,); None: the matrices depend on no class.
        method: Name of the method, for messages; what is compiled is kept under it.
        matrices: From the attention of a run and 1 at each image's target, (B, classes) or None, to tensors (B, tokens,
            tokens), the first layer first: row i says what token i has from each token before that layer.

    Returns:
        Float32 (B, rows, columns, 1), the part of the tokens that are a picture.

    Raises:
        AttribevalError: As `find_attention` does.
    """

    def build(x: Any, *targets: Any) -> Any:
        trace, scores = inlined(*classifier.trace(x))
        attention = find_attention(trace, scores, method)
        start = tf.one_hot(targets[0], classifier.classes, dtype=scores.dtype) if targets else None
        with refusing(method, trace):
            of_layers = matrices(attention, start)
        row = attention.read[None, None]
        for matrix in reversed(of_layers):  # a row by a matrix each time: no product of two matrices is needed
            row = tf.matmul(row, matrix)
        tokens = tf.transpose(row, (0, 2, 1))
        grid = attention.grid
        return tf.reshape(tokens[:, grid.extra or 0 :], [-1, grid.rows.size, grid.columns.size, 1])

    specs = [classifier.input_spec] + ([] if targets is None else [tf.TensorSpec([None], tf.int32)])
    return classifier.compiled(("attended", method), build, *specs)(x, *([] if targets is None else [targets]))


def by_head(tensor: Any) -> Any:
    """(batch, heads, tokens, tokens) in float32, also of a layer with one head, (batch, tokens, tokens)."""
    tensor = real(tensor)
    return tensor if tensor.shape.rank == 4 else tensor[:, None]


def positive(attention: Attention, start: Any, weights: list[Any]) -> list[Any]:
    """Of each layer I + the mean over heads of what is positive of weights × gradient, (B, tokens, tokens)."""
    found = []
    for one, gradient in zip(weights, gradients(attention, start), strict=True):
        relevant = tf.reduce_mean(tf.nn.relu(gradient * by_head(one)), axis=1)
        found.append(relevant + tf.eye(relevant.shape[-1]))
    return found


def gradients(attention: Attention, start: Any) -> list[Any]:
    """d score[target] / d weights of every layer, as `by_head` gives them."""
    found = tf.gradients(attention.path.score, attention.weights, start)
    return [by_head(tf.convert_to_tensor(one)) for one in found]
