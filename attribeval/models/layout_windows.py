"""Where the cells of convolutions, pooling and resizing lie: at the middle of what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from attribeval.models.layout import Axes, Axis, Unit, channel_axis
from attribeval.models.propagation.ops import WEIGHTED

POOLING = {"MaxPool", "AvgPool", "ExtractImagePatches"}


def by_size(axes: Axes, before: list, after: list, known: bool) -> Axes:
    """Rows and columns of an operation of which only the sizes are known; `known`: it keeps the picture's edges."""

    def scaled(axis: Axis | None, old: int | None, new: int | None) -> Axis | None:
        if axis is None or len(axis) != 1 or not axis[0].placed:
            return None
        (unit,) = axis
        if old == new and old is not None:
            return axis
        if old is None or new is None or new == 0:
            return (replace(unit, size=new, start=None),)
        ratio = old / new
        start = unit.start + unit.step * (ratio - 1) / 2 if known and unit.start is not None else None
        return (replace(unit, size=new, step=unit.step * ratio, start=start),)

    places = tuple(scaled(axes[k], before[k], after[k]) for k in (1, 2))
    return (axes[0], *places, channel_axis(after[3]))


def after_windows(op: Any, output: Any, inputs: Sequence[tuple[int, Any, Axes]]) -> Axes | None:
    """Convolution and pooling: a cell lies at the middle of its window."""
    _, tensor, axes = inputs[0]
    if len(inputs) > 1 or tensor.shape.rank != 4:
        return None
    if op.type != "ExtractImagePatches" and op.get_attr("data_format") != b"NHWC":
        return None
    weights = WEIGHTED.get(op.type)
    if weights and inputs[0][0] != weights[0]:
        return None
    kernel = (
        op.inputs[weights[1]].shape.as_list()[:2]
        if weights
        else op.get_attr("ksizes" if op.type == "ExtractImagePatches" else "ksize")[1:3]
    )
    strides = op.get_attr("strides")[1:3]
    wide = {"MaxPool": None, "AvgPool": None, "ExtractImagePatches": "rates"}.get(op.type, "dilations")
    dilations = op.get_attr(wide)[1:3] if wide else [1, 1]
    padding = op.get_attr("padding").decode()
    explicit = list(op.get_attr("explicit_paddings"))[2::2] if padding == "EXPLICIT" else [None, None]
    new: list[Axis | None] = []
    for k in (0, 1):
        axis, size = axes[k + 1], tensor.shape[k + 1]
        if axis is not None and len(axis) == 1 and axis[0].placed:
            reach = (kernel[k] - 1) * dilations[k]
            transposed = op.type == "Conv2DBackpropInput"
            ends = (output.shape[k + 1], size) if transposed else (size, output.shape[k + 1])
            before = {"VALID": 0, "EXPLICIT": explicit[k]}.get(padding, _same_padding(*ends, reach, strides[k]))
            new.append((_moved(axis[0], output.shape[k + 1], before, reach, strides[k], transposed),))
        else:
            new.append(axis if kernel[k] == strides[k] == 1 else None)
    channels = axes[3] if op.type in ("MaxPool", "AvgPool") else channel_axis(output.shape[3])
    return (axes[0], *new, channels)


def _same_padding(size: int | None, cells: int | None, reach: int, stride: int) -> int | None:
    if stride == 1:
        return reach // 2
    return None if size is None or cells is None else max((cells - 1) * stride + reach + 1 - size, 0) // 2


def _moved(unit: Unit, size: int | None, before: int | None, reach: int, stride: int, transposed: bool) -> Unit:
    """The unit after windows of `reach` + 1 entries, `before` of which lie before the first entry."""
    step = unit.step / stride if transposed else unit.step * stride
    if unit.start is None or before is None:
        return replace(unit, size=size, step=step, start=None)
    shift = (before - reach / 2) * step if transposed else (reach / 2 - before) * unit.step
    return replace(unit, size=size, step=step, start=unit.start + shift)
