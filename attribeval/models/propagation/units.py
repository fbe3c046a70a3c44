"""A convolution or dense layer as rules see it: with its bias and the batch normalisation behind it folded in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.models.propagation.graph import Path, pullback, real, replay
from attribeval.models.propagation.ops import ADDING, PRODUCTS, SCALING, WEIGHTED


@dataclass(frozen=True)
class Unit:
    """y = weights(a) · scale + shift, the scale folded into the weights.

    Attributes:
        op: The weighted operation.
        data: Position of its input a.
        inputs: All its inputs, weights folded, half precision made float32.
        at: Position of the weights.
        shift: What is added behind it, (1, …, channels), or None.
        output: The last tensor of the unit.
    """

    op: Any
    data: int
    inputs: tuple[Any, ...]
    at: int
    shift: Any
    output: Any


def weighted(path: Path, op: Any) -> tuple[int, int] | None:
    """Positions of the data and of the weights of a convolution or product with constant weights; None: it is none."""
    dependent = path.dependent(op)
    if op.type in PRODUCTS and len(op.inputs) == 2 and len(dependent) == 1:
        return dependent[0], 1 - dependent[0]
    return WEIGHTED[op.type] if op.type in WEIGHTED and dependent == [WEIGHTED[op.type][0]] else None


def is_affine(path: Path, op: Any) -> bool:
    """Whether `op` multiplies or adds a constant to one data tensor, value by value, without changing its shape.

    A side that is not known may be 1 and be repeated; who passes something back sums over it.
    """
    dependent = path.dependent(op)
    if op.type not in ADDING | SCALING or len(dependent) != 1:
        return False
    (k,) = dependent
    if op.type == "FusedBatchNormV3":
        return k == 0 and not op.get_attr("is_training")
    if op.type == "RealDiv" and k != 0:
        return False
    before, after = op.inputs[k].shape, op.outputs[0].shape
    if before.rank is None or before.rank != after.rank:
        return False
    return all(side is None or side == other for side, other in zip(before, after, strict=True))


def _is_per_channel(path: Path, op: Any) -> bool:
    """Whether the constants of an affine op are one number, or one per channel."""
    if op.type in ("BiasAdd", "FusedBatchNormV3", "Neg"):
        return True
    (k,) = path.dependent(op)
    shape = op.inputs[1 - k].shape
    return shape.rank is not None and all(side == 1 for side in shape.as_list()[:-1])


def find_unit(path: Path, tensor: Any) -> Unit | None:
    """The unit that ends in `tensor`, or None if `tensor` is not made by a weighted op and constants per channel."""
    chain = []
    op = tensor.op
    while (found := weighted(path, op)) is None:
        folds = op.type in ADDING | SCALING and is_affine(path, op) and _is_per_channel(path, op)
        if not folds:
            return None
        before = op.inputs[path.dependent(op)[0]]
        if before.name == path.source.name or len(path.consumers(before)) != 1:
            return None
        chain.append(op)
        op = before.op
    data, at = found
    inputs = [real(value) for value in op.inputs]
    scaled = any(link.type in SCALING or link.type in ("Sub", "Neg") for link in chain)
    if scaled and op.type in PRODUCTS and (op.type != "MatMul" or data != 0):  # channels are not the weights' last axis
        return None
    shift = None
    if chain:
        channels = op.outputs[0].shape[-1]
        zeros = tf.zeros([1] * (op.outputs[0].shape.rank - 1) + [channels], inputs[at].dtype)
        shift, scale = _through(path, chain[::-1], zeros)
        if scaled:
            inputs[at] = inputs[at] * _like_weights(op, tf.reshape(scale, [-1]), inputs[at])
    return Unit(op, data, tuple(inputs), at, shift, tensor)


def _through(path: Path, chain: list[Any], value: Any) -> tuple[Any, Any]:
    """Shift and scale of a chain of affine ops: its value and its derivative at zero."""
    scale = tf.ones_like(value)
    for op in chain:
        (k,) = path.dependent(op)
        inputs = [value if i == k else real(tensor) for i, tensor in enumerate(op.inputs)]
        outputs = replay(op, inputs)
        cotangents = [scale] + [None] * (len(outputs) - 1)
        (scale,) = pullback(op, inputs, [k], cotangents)  # diagonal: the product of the factors, in any order
        value = outputs[0]
    return value, scale


def _like_weights(op: Any, scale: Any, weights: Any) -> Any:
    """A factor per output channel, (channels,), in the layout of the weights."""
    if op.type == "DepthwiseConv2dNative":  # output channel = input channel · multiplier + its number
        return tf.reshape(scale, tf.shape(weights)[2:])
    if op.type == "Conv2DBackpropInput":
        return scale[:, None]
    if op.type == "MatMul" and op.get_attr("transpose_b"):
        return scale[:, None]
    return scale
