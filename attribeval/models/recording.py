"""A model's graph, recorded once and copied wherever it is asked for again: Keras is slow to call, a graph is not.

A copy has the recorded operations in their order, with their attributes and names; new are its input and, because they
are made anew, what surrounds them: backward rules that are in force, the device, the name scope.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from attribeval import _tf as tf
from attribeval.models.trace import LayerCall, Trace


class Recording:
    """One run of a model, as `trace.run` gave it.

    Args:
        x: The symbolic input of that run, inside a finished `tf.function`.
        trace: The run.
    """

    def __init__(self, x: Any, trace: Trace):
        self._x, self._trace = x, trace
        outputs = [trace.output, *(call.output for call in trace.calls)]
        self._ops = _needed(tf.nest.flatten(outputs))

    @property
    def can_be_copied(self) -> bool:
        """Whether the graph is all plain operations: one with a body of its own (a loop, a branch) is left alone."""
        return not any(value.HasField("func") for op in self._ops for value in op.node_def.attr.values())

    def copy(self, x: Any) -> Trace:
        """The same run on another symbolic input (batch, height, width, channels), in the graph being built."""
        here = tf.compat.v1.get_default_graph()
        known = {self._x.name: x}
        for outside, inside in self._x.graph.captures:
            known[inside.name] = here.capture(outside)
        copies: dict[str, Any] = {}
        for op in self._ops:
            if op.type != "Placeholder":
                first = [copies[other.name] for other in op.control_inputs if other.name in copies]
                with here.control_dependencies(first) if first else nullcontext():
                    copy = _copied(here, op, [known[tensor.name] for tensor in op.inputs])
                copies[op.name] = copy
                known.update(zip((tensor.name for tensor in op.outputs), copy.outputs, strict=True))
        output = tf.nest.map_structure(lambda tensor: known[tensor.name], self._trace.output)
        calls = [LayerCall(call.path, call.layer, known[call.output.name]) for call in self._trace.calls]
        return Trace(output, calls, list(self._trace.finished))


def _copied(graph: Any, op: Any, inputs: list[Any]) -> Any:
    # Names with an underscore are TensorFlow's own; one of them is a gradient that the operation asks for by name.
    kept = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_") or k == "_gradient_op_type"}
    kinds = [tensor.dtype for tensor in op.outputs]
    return graph.create_op(op.type, inputs, kinds, attrs=kept, name=op.name)


def _needed(tensors: list[Any]) -> list[Any]:
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
