"""What each operation does to the layout of its input: which axes keep their places, and by how much they shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from attribeval import _tf as tf
from attribeval.models.layout import Axes, Axis, channel_axis, cut, has_places, image_axes, joined, met, reshaped
from attribeval.models.layout_products import einsum, matmul, of_dense
from attribeval.models.layout_windows import POOLING, after_windows, by_size
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.ops import WEIGHTED

_REDUCING = {"Mean", "Sum", "Max", "Min", "Prod", "All", "Any"}
_RESIZING = {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}
_BROADCASTING = {
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum", "SquaredDifference", "Pow", "SelectV2",
    "BroadcastTo", "Tile",
}  # fmt: skip
_SHUFFLING = {"Roll", "ReverseV2", "GatherV2", "GatherNd", "Cumsum", "Cumprod", "MirrorPad", "Unpack", "SplitV"}


def layouts(path: Path) -> dict[str, Axes]:
    """The axes of every tensor between an image (batch, height, width, channels) and a score, by tensor name."""
    known = {path.source.name: image_axes(path.source.shape.as_list())}
    for op in path.ops:
        inputs = [(k, op.inputs[k], known[op.inputs[k].name]) for k in path.dependent(op) if op.inputs[k].name in known]
        for tensor in op.outputs:
            rank = tensor.shape.rank
            if rank is None:
                continue
            axes = (of_dense(op, known) or _after(op, tensor, inputs)) if inputs else None
            known[tensor.name] = axes if axes is not None and len(axes) == rank else (None,) * rank
    return known


def _after(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    """The axes of an output of `op`, from those of its inputs that depend on the image."""
    _, first, axes = inputs[0]
    rule = _RULES.get(op.type)
    if rule is not None:
        return rule(op, output, inputs)
    if op.type in _SHUFFLING:
        return None
    if any(tensor.shape.rank == output.shape.rank and _shape(tensor) == _shape(output) for _, tensor, _ in inputs):
        return _elementwise(op, output, inputs)
    if op.type in _BROADCASTING:
        return _elementwise(op, output, inputs)
    if first.shape.rank == output.shape.rank == 4:
        return by_size(axes, _shape(first), _shape(output), known=False)
    return None


def _shape(tensor: Any) -> list[int | None]:
    return tensor.shape.as_list() if tensor.shape.rank is not None else []


def _elementwise(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes:
    """Values that meet at the same entries: each axis is that of the operands which have its full size."""
    axes: list[Axis | None] = []
    for back in range(output.shape.rank, 0, -1):
        size = output.shape[-back]
        full = [a[-back] for _, tensor, a in inputs if len(a) >= back and tensor.shape[-back] == size]
        spread = not full  # over what does not depend on the image
        parts = [part for part in full if part is not None]
        axes.append(met(parts) if parts else channel_axis(size) if spread else None)
    return tuple(axes)


def _pad(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    _, tensor, axes = inputs[0]
    amounts = tf.get_static_value(op.inputs[1])
    if amounts is None:
        return None
    new: list[Axis | None] = []
    for k, (axis, (before, after), size) in enumerate(zip(axes, amounts.tolist(), _shape(output), strict=True)):
        if axis is not None and (before or after):
            (unit,) = axis if len(axis) == 1 else (None,)
            if unit is not None and unit.placed:
                start = None if unit.start is None else unit.start - before * unit.step
                axis = (replace(unit, size=size, start=start),)
            elif has_places(axis) and not after:  # a class token, as zeros before the others
                axis = joined([channel_axis(before), axis], [before, tensor.shape[k]])
            else:
                axis = None if has_places(axis) or any(one.of == "batch" for one in axis) else channel_axis(size)
        new.append(axis)
    return tuple(new)


def _transpose(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    order = tf.get_static_value(op.inputs[1])
    return None if order is None else tuple(inputs[0][2][k] for k in order)


def _reshape(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes:
    return reshaped(inputs[0][2], _shape(output))


def _concat(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    where = tf.get_static_value(op.inputs[-1])
    if where is None:
        return None
    where = int(where) % output.shape.rank
    known = {k: axes for k, _, axes in inputs}
    parts = [known[k][where] if k in known else channel_axis(t.shape[where]) for k, t in enumerate(op.inputs[:-1])]
    axes = list(_elementwise_but(where, output, inputs))
    axes[where] = joined(parts, [tensor.shape[where] for tensor in op.inputs[:-1]])
    return tuple(axes)


def _elementwise_but(where: int, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes:
    axes = []
    for k in range(output.shape.rank):
        parts = [axis for _, _, of_input in inputs if (axis := of_input[k]) is not None]
        axes.append(met(parts) if parts and k != where else None)
    return tuple(axes)


def _strided_slice(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    _, tensor, axes = inputs[0]
    begin, _, strides = (tf.get_static_value(one) for one in op.inputs[1:4])
    if begin is None or strides is None:
        return None
    mask = {name: op.get_attr(name) for name in ("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    new: list[Axis | None] = []
    k = 0  # axis of the input
    added = sum(bool(mask["new_axis_mask"] >> i & 1) for i in range(len(begin)))
    for i in range(len(begin)):
        if mask["ellipsis_mask"] >> i & 1:
            skipped = len(axes) - (len(begin) - 1 - added)
            new += axes[k : k + skipped]
            k += skipped
        elif mask["new_axis_mask"] >> i & 1:
            new.append(())
        elif mask["shrink_axis_mask"] >> i & 1:
            k += 1
        else:
            first = 0 if mask["begin_mask"] >> i & 1 else int(begin[i])
            size = output.shape[len(new)]
            whole = tensor.shape[k]
            new.append(cut(axes[k], first + whole if first < 0 else first, int(strides[i]), size, whole))
            k += 1
    return (*new, *axes[k:])


def _slice(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    begin = tf.get_static_value(op.inputs[1])
    if begin is None:
        return None
    before, after = _shape(inputs[0][1]), _shape(output)
    return tuple(cut(*args) for args in zip(inputs[0][2], begin.tolist(), [1] * len(after), after, before, strict=True))


def _split(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    where = tf.get_static_value(op.inputs[0])
    if where is None:
        return None
    _, tensor, axes = inputs[0]
    where, size = int(where) % len(axes), output.shape[int(where)]
    if size is None:
        return None
    part = cut(axes[where], output.value_index * size, 1, size, tensor.shape[where])
    return (*axes[:where], part, *axes[where + 1 :])


def _reduce(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    axes = inputs[0][2]
    over = tf.get_static_value(op.inputs[1])
    if over is None:
        return None
    gone = {int(k) % len(axes) for k in over.ravel()}
    kept = [() if k in gone else axis for k, axis in enumerate(axes) if k not in gone or op.get_attr("keep_dims")]
    return tuple(kept)


def _resize(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    tensor, axes = inputs[0][1:]
    edges = not op.get_attr("align_corners") and (op.get_attr("half_pixel_centers") or "Nearest" in op.type)
    return (*by_size(axes, _shape(tensor), _shape(output), known=bool(edges))[:3], axes[3])


_RULES: dict[str, Callable] = {
    **dict.fromkeys((*WEIGHTED, *POOLING), after_windows),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), matmul),
    **dict.fromkeys(("Pad", "PadV2"), _pad),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), _reshape),
    **dict.fromkeys(_REDUCING, _reduce),
    **dict.fromkeys(_RESIZING, _resize),
    "Einsum": einsum, "Transpose": _transpose, "ConcatV2": _concat, "StridedSlice": _strided_slice, "Slice": _slice,
    "Split": _split,
}  # fmt: skip
