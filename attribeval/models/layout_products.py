"""Where the cells of matrix products lie: on the axes that are not summed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attribeval.models.layout import Axes, Axis, centred, channel_axis, has_places


def of_dense(op: Any, known: Mapping[str, Axes]) -> Axes | None:
    """What a dense layer gives of tokens: all axes but the last stay; None: this is no such operation.

    TensorFlow writes it as reshape, product, reshape, to computed sizes, so that each by itself hides the axes.

    Args:
        op: The operation: the second reshape.
        known: Axes by tensor name.
    """
    if op.type != "Reshape" or op.inputs[0].op.type != "MatMul" or "Tensordot" not in op.name:
        return None
    product, output = op.inputs[0].op, op.outputs[0]
    flat, kernel = product.inputs
    if flat.op.type != "Reshape" or flat.name not in known or kernel.name in known:
        return None
    before = flat.op.inputs[0]
    axes, rows = known.get(before.name), kernel.shape[0]
    plain = not product.get_attr("transpose_a") and not product.get_attr("transpose_b")
    same = before.shape.rank == output.shape.rank and before.shape[:-1].is_compatible_with(output.shape[:-1])
    if axes is None or axes[-1] is None or not plain or not same or rows is None or rows != before.shape[-1]:
        return None
    return centred((*axes[:-1], channel_axis(output.shape[-1])), axes[-1])


def matmul(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    """A product of matrices: rows of one, columns of the other."""
    names = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
    turned = [op.get_attr(name) for name in names]
    rows = columns = None
    lead: Axes = ()
    lost: Axis = ()
    for k, _, axes in inputs:
        kept = axes[-1] if turned[k] else axes[-2]
        if k == 0:
            rows = kept
        else:
            columns = axes[-2] if turned[k] else axes[-1]
        if len(axes) == output.shape.rank and not lead:
            lead = axes[:-2]
        if len(inputs) == 1:
            lost = ((axes[-2] if turned[k] else axes[-1]) if k == 0 else (axes[-1] if turned[k] else axes[-2])) or ()
    sides = [k for k, *_ in inputs]
    rows = rows if 0 in sides else channel_axis(output.shape[-2])
    columns = columns if 1 in sides else channel_axis(output.shape[-1])
    lead = lead or (None,) * (output.shape.rank - 2)
    return centred((*lead, rows, columns), lost)


def einsum(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    """A sum of products: the axes that its equation keeps."""
    equation = op.get_attr("equation").decode()
    if "." in equation:
        return None
    left, out = equation.split("->")
    terms = left.split(",")
    axes: dict[str, Axis | None] = {}
    for k, _, of_input in inputs:
        for letter, axis in zip(terms[k], of_input, strict=True):
            if letter not in axes or (has_places(axis) and not has_places(axes[letter])):
                axes[letter] = axis
    kept = tuple(axes.get(letter, channel_axis(size)) for letter, size in zip(out, output.shape.as_list(), strict=True))
    if len(inputs) == 1:  # in attention, the places that are summed over are others than those that are kept
        for letter in dict.fromkeys(terms[inputs[0][0]]):
            if letter not in out:
                kept = centred(kept, axes[letter] or ())
    return kept
