"""Attention in a model's graph: its weights, on which tokens of the image they are, and which tokens the score reads.

Found by what is computed, a softmax over keys and its product with values, so that it does not matter which layers
compute it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.layout import Axes, Grid, channel_axis, grid_of
from attribeval.models.layout_ops import layouts
from attribeval.models.propagation.graph import Path, replay
from attribeval.models.propagation.ops import PRODUCTS, SAME
from attribeval.models.propagation.refusal import layer_of
from attribeval.models.trace import Trace

_PICKING = {"Slice", "StridedSlice", "Split", "SplitV", "Unpack", "GatherV2"}


@dataclass(frozen=True)
class Attention:
    """The attention of a transformer, in one run of it.

    Attributes:
        path: The operations between the images and the scores.
        weights: Symbolic outputs of the softmaxes, from the first layer to the last: (batch, heads, tokens, tokens) or
            (batch, tokens, tokens), a row for each query.
        grid: Where the tokens lie on the image.
        read: Float32 (tokens,): how the score reads the tokens behind the last layer. Equal shares of 1 for the class
            token, or whatever else is picked out; for all tokens where they are averaged or used otherwise.
    """

    path: Path
    weights: list[Any]
    grid: Grid
    read: Any


def find_attention(trace: Trace, scores: Any, method: str) -> Attention:
    """Find all layers of attention between the images and the scores.

    Args:
        trace: A run of the model, in the graph being built.
        scores: The symbolic scores to be explained.
        method: Who asks, for messages.

    Raises:
        AttribevalError: If there is none, or one of them is not from all tokens of the image to all.
    """
    path = Path(trace.input, scores)
    found = [softmax for op in path.ops if (softmax := _softmax_of(path, op)) is not None]
    if not found:
        raise AttribevalError(
            f"Expected a transformer for {method}, which reads its attention. Received a model without attention "
            "(a softmax over keys, multiplied with values). 'gradcam', 'lrp' or 'integrated_gradients' explain it."
        )
    known = layouts(path)
    first = _grid(found[0], known[found[0].name])
    others = [softmax for softmax in found if _size(_grid(softmax, known[softmax.name])) != _size(first)]
    if first is None or others:
        odd = found[0] if first is None else others[0]
        raise AttribevalError(
            f"Expected a transformer for {method} whose every attention is from all tokens of the image to all of "
            f"them, of which there are as many in every layer. Received weights {tuple(odd.shape)} in layer "
            f"{layer_of(trace, odd.op)!r}: {_why(odd, first)}. 'attnlrp', 'gradcam' or 'integrated_gradients' explain "
            "the model."
        )
    return Attention(path, found, first, _read(path, known, found, method))


def _softmax_of(path: Path, op: Any) -> Any:
    """The softmax that weighs values in a product of two feature maps, summed over its last axis; None: none does."""
    if op.type not in PRODUCTS or len(path.dependent(op)) != 2:
        return None
    for k, tensor in enumerate(op.inputs):
        while tensor.op.type in SAME and tensor.name != path.source.name:
            tensor = tensor.op.inputs[0]
        if tensor.op.type == "Softmax" and _sums_over_last(op, k):
            return tensor
    return None


def _sums_over_last(op: Any, k: int) -> bool:
    """Whether a product sums over the last axis of its input number k."""
    if op.type == "Einsum":
        left, out = op.get_attr("equation").decode().split("->")
        return left.split(",")[k][-1] not in out
    turned = op.get_attr(("transpose_a", "transpose_b")[k] if op.type == "MatMul" else ("adj_x", "adj_y")[k])
    return turned == bool(k)


def _grid(weights: Any, axes: Axes) -> Grid | None:
    """The grid of the queries, if they are tokens of the image and the keys are the same ones."""
    if weights.shape.rank not in (3, 4) or weights.shape[-1] is None or weights.shape[-2] != weights.shape[-1]:
        return None
    if axes[-2] is None or axes[-2] != axes[-1]:
        return None
    return grid_of((axes[0], axes[-2], channel_axis(2)))


def _why(weights: Any, first: Grid | None) -> str:
    """What is wrong with weights of attention; `first` is the grid of the first layer."""
    queries, keys = weights.shape[-2:]
    if keys != queries:
        return f"from {queries} queries to {keys or 'an unknown number of'} keys, where only square matrices multiply"
    if first is not None:
        return "in windows, or on other tokens than those of the first layer"
    return "in windows, or on tokens whose places on the image cannot be read off the graph"


def _size(grid: Grid | None) -> tuple[int | None, ...] | None:
    return None if grid is None else (grid.extra, grid.rows.size, grid.columns.size)


def _read(path: Path, known: dict[str, Axes], weights: list[Any], method: str) -> Any:
    """See `Attention.read`: what picks tokens out, picks their numbers out instead."""
    tokens, size = weights[0].shape[-1], _size(_grid(weights[0], known[weights[0].name]))
    for tensor in reversed(path.bottlenecks()):
        if tensor.shape.rank == 3 and _size(grid_of(known[tensor.name])) == size:
            break
    else:
        raise AttribevalError(
            f"Expected a transformer for {method} whose score is read off its last tokens. Received one without a "
            "tensor of all tokens that all of the score goes through. 'attnlrp', 'gradcam' or 'integrated_gradients' "
            "explain it."
        )
    consumers = path.consumers(tensor)
    if not all(op.type in _PICKING for op in consumers):
        return tf.fill([tokens], tf.constant(1 / tokens))
    numbers = tf.range(tokens, dtype=tf.float32)[:, None] + tf.zeros_like(tensor, tf.float32)
    hits = tf.zeros([tokens])
    for op in consumers:
        picked = replay(op, [numbers if one.name == tensor.name else one for one in op.inputs])
        for own, values in zip(op.outputs, picked, strict=True):
            if own.name == path.score.name or path.consumers(own):
                places = tf.cast(tf.reshape(values, [-1]), tf.int32)
                hits += tf.math.unsorted_segment_sum(tf.ones_like(places, tf.float32), places, tokens)
    hits = tf.cast(hits > 0, tf.float32)
    return hits / tf.reduce_sum(hits)
