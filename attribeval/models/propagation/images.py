"""Which values of a tensor belong to which image: a product of tokens has one row per token, not one per image."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.models.propagation.graph import Path


class Images:
    """Where the images of a batch are in the tensors of a path.

    Args:
        path: The operations; the first axis of its source is the batch.
    """

    def __init__(self, path: Path):
        self._source = path.source
        self._axes: dict[str, int | None] = {path.source.name: 0}
        for op in path.ops:
            before = op.inputs[path.dependent(op)[0]]
            for tensor in op.outputs:
                self._axes[tensor.name] = _axis(op, self._axes[before.name], tensor)

    def rms(self, tensor: Any, values: Any) -> Any:
        """Root mean square of each image's values, in a shape that goes with them.

        Args:
            tensor: A tensor of the path, whose axes the values have.
            values: The values, of any rank.
        """
        axis, squares = self._axes.get(tensor.name), tf.square(values)
        if axis == 0:  # an image's rows, of which there may be several, follow each other
            count = tf.shape(self._source)[0]
            means = tf.reduce_mean(tf.reshape(squares, tf.stack([count, -1])), axis=1)
            means = tf.repeat(means, tf.shape(values)[0] // count)
            return tf.sqrt(tf.reshape(means, [-1] + [1] * (values.shape.rank - 1)))
        own = axis or 0  # None: rows of several images in turn, each of one image
        others = [k for k in range(values.shape.rank) if k != own]
        return tf.sqrt(tf.reduce_mean(squares, axis=others, keepdims=True))


def _axis(op: Any, before: int | None, tensor: Any) -> int | None:
    """The axis of `tensor`, an output of `op`, along which the images lie one after the other; None: they take turns.

    Args:
        op: The operation.
        before: The same of its first input.
        tensor: The output.
    """
    if tensor.shape.rank is None or op.type == "SpaceToBatchND":
        return None
    if op.type == "BatchToSpaceND":
        return 0
    if op.type == "Transpose" and before is not None:
        order = tf.get_static_value(op.inputs[1])
        return None if order is None else list(order).index(before)
    free = [k for k, side in enumerate(tensor.shape) if side is None]
    if before == 0 and 0 in free:
        return 0
    if before is not None and before in free and tensor.shape.rank == op.inputs[0].shape.rank:
        return before
    return free[0] if before is not None and len(free) == 1 else None
