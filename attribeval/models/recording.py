"""A model's graph, recorded once and copied wherever it is asked for again: Keras is slow to call, a graph is not.

A copy has the recorded operations in their order, with their attributes and names; new are its input and, because they
are made anew, what surrounds them: backward rules that are in force, the device, the name scope.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.models.trace import LayerCall, Trace, needed

# Where GPUs and some CPUs gain by half precision. (Their type attribute is T.)
_PRODUCTS = frozenset(
    {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum"}
)
_READING = frozenset({"ReadVariableOp", "Assert"})


class Recording:
    """One run of a model, as `trace.run` gave it.

    Args:
        x: The symbolic input of that run, inside a finished `tf.function`.
        trace: The run.
        integers: Whether the model takes whole numbers, to which the input is cast at once.
        placeholders: Gives the tensors, by name, that stand for the values of other inputs in the graph being built.
    """

    def __init__(self, x: Any, trace: Trace, integers: bool = False, placeholders: Callable[[], dict] = dict):
        self._x, self._trace, self._integers = x, trace, integers
        self._placeholders = placeholders
        with x.graph.as_default():
            self._others = placeholders()
        outputs = [trace.output, *(call.output for call in trace.calls)]
        self._ops = needed(tf.nest.flatten(outputs))
        self._captures = list(x.graph.captures)

    @property
    def can_be_copied(self) -> bool:
        """Whether the graph is all plain operations.

        One with a body of its own (a loop, a branch), or with a state or an effect (a Python function, random numbers),
        or with a gradient of its own (which reads tensors of the recorded graph) is left alone.
        """
        own_gradient = any(_has_own_gradient(op) and not _is_swish(op) for op in self._ops)
        effects = any(op.op_def.is_stateful and op.type not in _READING for op in self._x.graph.get_operations())
        bodies = any(value.HasField("func") for op in self._ops for value in op.node_def.attr.values())
        return not effects and not bodies and not own_gradient

    def copy(self, x: Any, precision: str = "float32") -> Trace:
        """The same run on another symbolic input, in the graph being built.

        Args:
            x: The input (batch, height, width, channels).
            precision: In "bfloat16" and "float16", convolutions and matrix products of float32 take their inputs in
                that type and give float32 back (and so do their gradients, which TensorFlow derives from the copy).
        """
        low = {"bfloat16": tf.bfloat16, "float16": tf.float16}.get(precision)
        here = tf.compat.v1.get_default_graph()
        known = {self._x.name: x}
        exact = {self._x.name: x} if self._integers else {}  # what whole numbers were before they were rounded
        for outside, inside in self._captures:
            known[inside.name] = here.capture(outside)
        for name, tensor in self._placeholders().items():
            known[self._others[name].name] = tensor
        copies: dict[str, Any] = {}
        for op in self._ops:
            if op.type != "Placeholder":
                first = [copies[other.name] for other in op.control_inputs if other.name in copies]
                with here.control_dependencies(first) if first else nullcontext():
                    inputs = [known[tensor.name] for tensor in op.inputs]
                    copy, outputs = copied(here, op, inputs, low)
                    if op.type in ("Cast", "Identity") and op.inputs[0].name in exact:
                        outputs = _behind_cast(op, exact, outputs)
                copies[op.name] = copy
                known.update(zip((tensor.name for tensor in op.outputs), outputs, strict=True))
        output = tf.nest.map_structure(lambda tensor: known[tensor.name], self._trace.output)
        calls = [LayerCall(call.path, call.layer, known[call.output.name]) for call in self._trace.calls]
        return Trace(output, calls, list(self._trace.finished), x)


def _behind_cast(op: Any, exact: dict[str, Any], outputs: list[Any]) -> list[Any]:
    """A cast to whole numbers and back has no slope: the input itself, which then is whole numbers, goes on behind it.

    Args:
        op: A cast of the input, or of what was cast from it.
        exact: By name, the input for what is nothing but a cast of it; the op's output joins it.
        outputs: Of the copy.
    """
    value, output = exact[op.inputs[0].name], op.outputs[0]
    if output.dtype.is_floating:
        return [tf.cast(value, output.dtype)] if op.inputs[0].dtype.is_integer else outputs
    exact[output.name] = value
    return outputs


def copied(graph: Any, op: Any, inputs: list[Any], low: Any) -> tuple[Any, list[Any]]:
    """A copy of an operation, and its outputs; `low` is the type that products take their inputs in, or None."""
    # Names with an underscore are TensorFlow's own. Where one is a gradient, it reads tensors of the recorded graph.
    kept = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
    kinds = [tensor.dtype for tensor in op.outputs]
    if op.type == "Mean" and _sides_known(*inputs):
        kept["_gradient_op_type"] = tf.compat.v1.AttrValue(s=_mean_rule().encode())
    if low is None or op.type not in _PRODUCTS or kinds != [tf.float32]:
        copy = graph.create_op(op.type, inputs, kinds, attrs=kept, name=op.name)
        if op.type == "Reshape":
            _know_sides(copy)
        return copy, list(copy.outputs)
    kept["T"] = tf.compat.v1.AttrValue(type=low.as_datatype_enum)
    inputs = [tf.cast(tensor, low) if tensor.dtype == tf.float32 else tensor for tensor in inputs]
    copy = graph.create_op(op.type, inputs, [low], attrs=kept, name=op.name)
    return copy, [tf.cast(copy.outputs[0], tf.float32)]


def _know_sides(reshape: Any) -> None:
    """Set the side that a reshape to (batch, −1, …) leaves open and TensorFlow does not work out: places to tokens."""
    x, wanted = reshape.inputs
    first = wanted.op.inputs[0].op if wanted.op.type == "Pack" else None
    if first is None or first.type != "StridedSlice" or first.inputs[0].op.type != "Shape":
        return
    begin, output = tf.get_static_value(first.inputs[1]), reshape.outputs[0]
    of_x = first.inputs[0].op.inputs[0].name == x.name and begin is not None and begin.tolist() == [0]
    if of_x and x.shape.rank and output.shape.rank and x.shape[1:].is_fully_defined():
        sides = output.shape.as_list()
        if sides[0] is None and sides[1:].count(None) == 1:
            rest = x.shape[1:].num_elements() // math.prod(side for side in sides if side is not None)
            output.set_shape([None, *(rest if side is None else side for side in sides[1:])])


def _sides_known(x: Any, axes: Any) -> bool:
    """Whether a mean is over sides that are known while tracing, and at most one other is not."""
    axes, shape = tf.get_static_value(axes), x.shape
    if axes is None or shape.rank is None:
        return False
    unknown = {k for k, side in enumerate(shape) if side is None}
    return len(unknown) <= 1 and not unknown & {int(axis) % shape.rank for axis in np.ravel(axes)}


@functools.cache
def _mean_rule() -> str:
    """The derivative of a mean over known sides, without the integers of TensorFlow's own.

    These go to the device and back to the host, which on a GPU waits for the whole forward pass in between.
    """

    def backward(op: Any, gradient: Any) -> tuple[Any, None]:
        x = op.inputs[0]
        axes = {int(axis) % x.shape.rank for axis in np.ravel(tf.get_static_value(op.inputs[1]))}
        sides = [1 if k in axes else -1 if side is None else side for k, side in enumerate(x.shape)]
        count = math.prod(x.shape[axis] for axis in axes)
        return tf.broadcast_to(tf.reshape(gradient, sides) / count, tf.shape(x)), None

    tf.RegisterGradient("AttribevalMean")(backward)
    return "AttribevalMean"


def _has_own_gradient(op: Any) -> bool:
    return "_gradient_op_type" in op.node_def.attr


def _is_swish(op: Any) -> bool:
    """Whether an operation ends `tf.nn.silu`, whose own gradient saves memory and is that of its operations.

    It is IdentityN of x · sigmoid(β x), x and β.
    """
    product = op.inputs[0].op if op.type == "IdentityN" else op
    if product.type != "Mul":
        return False
    x, gate = product.inputs
    inside = gate.op.inputs[0] if gate.op.type == "Sigmoid" else gate
    factors = list(inside.op.inputs) if inside.op.type == "Mul" else [inside]
    return gate.op.type == "Sigmoid" and any(factor is x for factor in factors)


def graph_key(graph: Any) -> str:
    """A short hash of a graph's operations, their attributes (constants, too) and what feeds what; not of names."""
    ops = graph.get_operations()
    place = {tensor.name: (k, i) for k, op in enumerate(ops) for i, tensor in enumerate(op.outputs)}
    digest = hashlib.blake2b(digest_size=8)
    for op in ops:
        kept = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
        about = sorted((name, value.SerializeToString(deterministic=True)) for name, value in kept.items())
        digest.update(repr([op.type, about, [place[tensor.name] for tensor in op.inputs]]).encode())
    return digest.hexdigest()
