"""Names for tensors of a traced model that are the same in every run: by layers, where a layer gives them."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.models.trace import LayerCall, Trace, needed

_FIRST = "input"


def passes_on(layer: Any) -> bool:
    """Pooling loses resolution and the others change nothing: the tensor before such a layer is the better choice."""
    layers = tf.keras.layers
    passive = (
        layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout,
        layers.GaussianNoise, layers.ZeroPadding2D, layers.Cropping2D, layers.Identity, layers.Reshape,
        layers.UpSampling2D, layers.Rescaling,
    )  # fmt: skip
    return isinstance(layer, passive)


def is_tensor_name(name: str) -> bool:
    """Whether a name is one of a tensor that is no layer's output, "layer:Operation" or "layer:Operation:2"."""
    return ":" in name


def tensor_name(trace: Trace, tensor: Any) -> str:
    """The name of a tensor: the path of its layer; else the layer before it, the operation, and which one from 2 on."""
    calls = [c for c in trace.calls if not isinstance(c.layer, tf.keras.Model) and not passes_on(c.layer)]
    given = [c for c in calls if c.output.name == tensor.name]
    if given and [c for c in trace.calls if c.path == given[-1].path][-1].output.name == tensor.name:
        return given[-1].path
    return next(name for name, op in _named_operations(trace) if op is tensor.op)


def find_tensor(trace: Trace, name: str) -> Any | None:
    """The tensor of a name with a ":", or None."""
    return next((op.outputs[0] for known, op in _named_operations(trace) if known == name), None)


def _named_operations(trace: Trace) -> list[tuple[str, Any]]:
    """The operations of a trace with the names of their first outputs."""
    ends: dict[str, LayerCall] = {}
    for call in trace.calls:
        ends.setdefault(call.output.op.name, call)
    counts: dict[str, int] = {}
    before, named = _FIRST, []
    for op in needed([*tf.nest.flatten(trace.output), *(call.output for call in trace.calls)]):
        key = f"{before}:{op.type}"
        counts[key] = counts.get(key, 0) + 1
        named.append((key if counts[key] == 1 else f"{key}:{counts[key]}", op))
        if op.name in ends:
            before = ends[op.name].path
    return named
