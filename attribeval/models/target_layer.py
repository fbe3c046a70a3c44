"""Which tensor a class activation map looks at: the last picture that all of the score goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.layout import Axes, Grid, grid_of, has_places
from attribeval.models.layout_ops import layouts
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.ops import WEIGHTED
from attribeval.models.tensor_names import find_tensor, is_tensor_name, passes_on, tensor_name
from attribeval.models.trace import LayerCall, Trace, needed

_PRODUCTS = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
_LEARNING = {*WEIGHTED, *_PRODUCTS, "PartitionedCall", "StatefulPartitionedCall"}
_PASSING_ON = {
    "MaxPool", "AvgPool", "Pad", "PadV2", "MirrorPad", "Slice", "StridedSlice", "Identity", "IdentityN", "StopGradient",
    "EnsureShape", "Cast", "Reshape", "Squeeze", "ExpandDims", "Transpose", "ResizeNearestNeighbor", "ResizeBilinear",
}  # fmt: skip
_PICKING = {"Slice", "StridedSlice", "Split", "SplitV", "Unpack", "GatherV2"}


@dataclass(frozen=True)
class Target:
    """A picture inside a model.

    Attributes:
        path: Its name: the path of the layer that gives it ("backbone/conv5_block3_out"); or, of a tensor that is no
            layer's output, the layer before it and the operation ("backbone/dense_2:AddV2"; the second such one there
            is "backbone/dense_2:AddV2:2").
        output: The symbolic tensor: (batch, h, w, channels), or (batch, tokens, channels).
        grid: Where its cells lie on the image; None: not known.
    """

    path: str
    output: Any
    grid: Grid | None = None

    @property
    def tokens(self) -> tuple[int | None, int | None] | None:
        """Rows and columns of the tokens; None: the output has the shape of a picture."""
        return None if self.grid is None or self.grid.extra is None else (self.grid.rows.size, self.grid.columns.size)

    def picture(self, tensor: Any) -> Any:
        """The picture (B, h, w, channels) in a tensor of the shape of the output."""
        return tensor if self.grid is None else self.grid.picture(tensor)


def _is_spatial(tensor: Any) -> bool:
    """Whether a tensor has the shape of a map (batch, height, width, channels) of more than one row and column."""
    shape = tensor.shape
    return shape.rank == 4 and all(shape[k] is None or shape[k] > 1 for k in (1, 2))


def spatial_calls(trace: Trace) -> list[LayerCall]:
    """The layer calls of a trace whose outputs are maps, in order, containers (sub-models) left out."""
    return [c for c in trace.calls if _is_spatial(c.output) and not isinstance(c.layer, tf.keras.Model)]


def default_target(trace: Trace, scores: Any) -> Target | None:
    """The last picture through which the scores depend on the image, wherever in the model it arises; None: none.

    A tensor is a picture if its axes are rows and columns of the image (or tokens that are such a grid, class tokens
    before them) and channels, in this order, and if its places matter: the tokens behind the last attention do not
    where only the class token is read. What only pools, pads or passes on is left out: `block5_conv3` in VGG16,
    `mixed10` in InceptionV3, `conv5_block3_out` in ResNet50.

    Args:
        trace: A run of the model.
        scores: The symbolic scores to be explained, of the same run.
    """
    try:
        path = Path(trace.input, scores)
    except AttribevalError:  # a model that does not look at its input has no picture either
        return None
    known = layouts(path)
    learnt: set[str] = set()
    seen = False
    for op in path.ops:
        seen = seen or op.type in _LEARNING
        if seen:
            learnt.update(tensor.name for tensor in op.outputs)
    learnt &= _of_model(trace)  # what a function as score makes of the outputs is no layer
    for tensor in reversed([tensor for tensor in path.bottlenecks() if tensor.name in learnt]):
        grid = _grid(tensor, known[tensor.name], trace)
        if grid is not None and (not grid.extra or _places_matter(path, known, tensor)):
            return _without_passing_on(trace, path, known, tensor, grid, learnt)
        if grid is None and _is_unplaced_map(tensor, known[tensor.name], trace):
            return Target(tensor_name(trace, tensor), tensor)
    return None


def _of_model(trace: Trace) -> set[str]:
    """Names of the tensors that the model itself makes."""
    ends = [*tf.nest.flatten(trace.output), *(call.output for call in trace.calls)]
    return {tensor.name for op in needed(ends) for tensor in op.outputs}


def _grid(tensor: Any, axes: Axes, trace: Trace) -> Grid | None:
    return grid_of(axes) if tensor.dtype.is_floating else None


def _is_unplaced_map(tensor: Any, axes: Axes, trace: Trace) -> bool:
    """Whether a layer gives a tensor of a map's shape, of whose layout nothing is known: it is taken at its word."""
    calls = [call for call in spatial_calls(trace) if call.output.name == tensor.name and not passes_on(call.layer)]
    return bool(calls) and axes[1] is None and axes[2] is None


def _without_passing_on(
    trace: Trace, path: Path, known: dict[str, Axes], tensor: Any, grid: Grid, learnt: set[str]
) -> Target:
    """The picture before pooling, padding and the like, or this one."""
    while True:
        named = any(
            call.output.name == tensor.name and not passes_on(call.layer) and not isinstance(call.layer, tf.keras.Model)
            for call in trace.calls
        )
        op = tensor.op
        before = [op.inputs[k] for k in path.dependent(op)]
        if named or op.type not in _PASSING_ON or len(before) != 1 or before[0].name not in learnt:
            return Target(tensor_name(trace, tensor), tensor, grid)
        other = _grid(before[0], known[before[0].name], trace)
        if other is None or (other.extra or 0) != (grid.extra or 0):
            return Target(tensor_name(trace, tensor), tensor, grid)
        tensor, grid = before[0], other


def _places_matter(path: Path, known: dict[str, Axes], tensor: Any) -> bool:
    """Whether the score reads more of the tokens than those before the picture."""
    waiting, seen = [tensor], set()
    while waiting:
        tensor = waiting.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        for op in path.consumers(tensor):
            if op.type in _PRODUCTS and len(path.dependent(op)) > 1:
                return True
            outputs = [output for output in op.outputs if path.consumers(output) or output is path.score]
            for output in outputs:
                axes = known[output.name]
                if any(has_places(axis) for axis in axes) or None in axes:
                    waiting.append(output)
                elif op.type not in _PICKING:
                    return True
    return False


def find_target_layer(trace: Trace, wanted: str | None) -> Target:
    """Find the tensor for Grad-CAM and its family by its name.

    Args:
        trace: A run of the model.
        wanted: A layer's name ("conv5_block3_out") or, where names repeat in nested models, its path
            ("backbone/conv5_block3_out"); or the name of a tensor as `Target.path` says; None: the model has none.

    Returns:
        The target; of a layer that is called several times the last output.

    Raises:
        AttribevalError: If the model has no picture, or `wanted` is not one.
    """
    spatial = spatial_calls(trace)
    if wanted is None:
        raise AttribevalError(
            "This model has no layer with a spatial output (batch, height > 1, width > 1, channels), which class "
            "activation maps need. Use a method that works on the input, such as 'gradient'."
        )
    matches = [c for c in trace.calls if wanted in (c.path, c.name) and tf.is_tensor(c.output)]
    if not matches and is_tensor_name(wanted):
        tensor = find_tensor(trace, wanted)
        if tensor is not None:
            return _checked(trace, wanted, tensor)
    if not matches:
        raise unknown("target layer", wanted, {c.name for c in spatial} | {c.path for c in spatial})
    target = _checked(trace, matches[-1].path, matches[-1].output, wanted)
    if len({c.path for c in matches}) > 1:
        raise AttribevalError(
            f"Several layers are called {wanted!r}: give its path, one of {sorted({c.path for c in matches})}."
        )
    return target


def _checked(trace: Trace, path: str, tensor: Any, wanted: str | None = None) -> Target:
    """The target, if the tensor is a map or tokens that are one."""
    if _is_spatial(tensor):
        return Target(path, tensor)
    grid = grid_of(layouts(Path(trace.input, tensor))[tensor.name]) if tensor.shape.rank == 3 else None
    if grid is None:
        raise AttribevalError(
            f"Expected a target layer with a spatial output (batch, height > 1, width > 1, channels), or tokens whose "
            f"grid can be read off the graph. Received {wanted or path!r}, whose output is {tuple(tensor.shape)}. "
            f"Layers with one: {', '.join(dict.fromkeys(c.name for c in spatial_calls(trace)))}."
        )
    return Target(path, tensor, grid)
