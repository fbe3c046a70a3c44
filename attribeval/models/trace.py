"""One symbolic run of a model: its output, and what every layer gave on the way.

Works on any Keras model (functional, sequential, nested, subclassed) because it listens to the layers while they are
called inside a graph, instead of taking the model apart. The model itself is never touched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from attribeval import _tf as tf

_patching = threading.RLock()


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer.

    Attributes:
        path: Names of the enclosing layers below the model and of the layer itself, joined by "/".
        layer: The layer.
        output: The symbolic tensor that it returned, (batch, …).
    """

    path: str
    layer: Any
    output: Any

    @property
    def name(self) -> str:
        return self.layer.name


@dataclass
class Trace:
    """What `run` returns.

    Attributes:
        output: The model's output.
        calls: The calls of its layers that gave a tensor, in the order in which they finished.
        finished: Path and layer of every call, whatever it gave, in the same order.
        input: The symbolic input that the model was called on.
    """

    output: Any
    calls: list[LayerCall] = field(default_factory=list)
    finished: list[tuple[str, Any]] = field(default_factory=list)
    input: Any = None


@contextmanager
def _listening(model: Any, calls: list[LayerCall], finished: list[tuple[str, Any]]) -> Iterator[None]:
    """Record every layer call that this thread makes in the block. Only calls below `model` are recorded."""
    layer_class = tf.keras.layers.Layer
    thread = threading.get_ident()
    stack: list[str] = []

    with _patching:
        plain_call = layer_class.__call__

        def recorded_call(layer, *args, **kwargs):
            if threading.get_ident() != thread:
                return plain_call(layer, *args, **kwargs)
            if layer is not model:
                stack.append(layer.name)
            try:
                output = plain_call(layer, *args, **kwargs)
            finally:
                path = "/".join(stack)
                if layer is not model:
                    stack.pop()
            if layer is not model:
                finished.append((path, layer))
                if tf.is_tensor(output):
                    calls.append(LayerCall(path, layer, output))
            return output

        layer_class.__call__ = recorded_call
        try:
            yield
        finally:
            layer_class.__call__ = plain_call


def run(model: Any, x: Any, inputs: Any = None) -> Trace:
    """Call a Keras model in inference mode inside a graph and record its layers.

    Args:
        model: A `keras.Model`.
        x: The symbolic input, (batch, height, width, channels); call this only inside a `tf.function`.
        inputs: What the model is called on, where that is more than `x`.

    Returns:
        The trace. `trace.output` is whatever the model returns.
    """
    calls: list[LayerCall] = []
    finished: list[tuple[str, Any]] = []
    with _listening(model, calls, finished):
        output = model(x if inputs is None else inputs, training=False)
    return Trace(output, calls, finished, x)


def needed(tensors: list[Any]) -> list[Any]:
    """The operations that the tensors are made of, in the order of computation."""
    found, waiting = set(), [tensor.op for tensor in tensors]
    while waiting:
        op = waiting.pop()
        if op.name not in found:
            found.add(op.name)
            waiting += [tensor.op for tensor in op.inputs]
            waiting += op.control_inputs
    graph = tensors[0].graph
    return [op for op in graph.get_operations() if op.name in found]
