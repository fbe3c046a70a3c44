"""Function calls in a graph, replaced by what they call: Keras wraps grouped convolutions, and rules see operations.

The gradient of a grouped convolution is not there on CPUs outside the compiled function, so it becomes an equal
convolution that has one: depthwise with one input channel per group, else dense with zeros between the groups.
"""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.models.propagation.graph import Path
from attribeval.models.trace import LayerCall, Trace

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_READING = frozenset({"ReadVariableOp", "Assert"})  # stateful by name, but nothing is changed or drawn


def inlined(trace: Trace, scores: Any) -> tuple[Trace, Any]:
    """The run with every function call between input and scores replaced by its operations, at any depth.

    A call whose function draws numbers, writes variables or has loops or branches stays as it is.

    Args:
        trace: A run of a model, in the graph being built.
        scores: Scores of the run.

    Returns:
        The run, whose layers give the new tensors, and the new scores; both as they were if there is nothing to do.
    """
    path = Path(trace.input, scores)
    if not any(op.type in _CALLS or _is_grouped(op) for op in path.ops):
        return trace, scores
    known: dict[str, Any] = {}
    for op in path.ops:
        if op.type in _CALLS or _is_grouped(op) or any(tensor.name in known for tensor in op.inputs):
            _expand(op, known, op.graph)
    calls = [LayerCall(call.path, call.layer, _known(known, call.output)) for call in trace.calls]
    output = tf.nest.map_structure(lambda tensor: _known(known, tensor), trace.output)
    return Trace(output, calls, list(trace.finished), trace.input), _known(known, scores)


def _known(known: dict[str, Any], tensor: Any) -> Any:
    return known.get(tensor.name, tensor)


def _expand(op: Any, known: dict[str, Any], graph: Any) -> None:
    """Put an operation into `graph`, on the tensors known by the names of its inputs; a call as its operations."""
    inputs = [_known(known, tensor) for tensor in op.inputs]
    body = _body(op) if op.type in _CALLS else None
    if body is not None:
        inner = {argument.name: value for argument, value in zip(body.inputs, inputs, strict=True)}
        for part in body.get_operations():
            if part.type == "Identity":  # what a function returns; a bias must stay next to its convolution
                inner[part.outputs[0].name] = inner[part.inputs[0].name]
            elif part.type != "Placeholder" and part.outputs:
                _expand(part, inner, graph)
        # A gradient that was once asked for has added what it reads to the end.
        outputs = [inner[tensor.name] for tensor in body.outputs[: len(op.outputs)]]
    elif _is_grouped(op):
        outputs = [_ungrouped(op, *inputs)]
    else:
        kept = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}  # rules need no gradients of it
        kinds = [tensor.dtype for tensor in op.outputs]
        outputs = graph.create_op(op.type, inputs, kinds, attrs=kept, name=op.name).outputs
    for old, new in zip(op.outputs, outputs, strict=True):
        if not new.shape.is_fully_defined():
            new.set_shape(old.shape)  # what was known outside
        known[old.name] = new


def _body(op: Any) -> Any:
    """The graph that an operation calls; None if it has effects, loops or branches."""
    name = op.get_attr("f").name
    body = op.graph._get_function(name).graph  # the only way to a function that lives in a graph
    return body if all(_is_plain(part) for part in body.get_operations()) else None


def _is_plain(op: Any) -> bool:
    if op.type in _CALLS or op.type in _READING:
        return True
    return not op.op_def.is_stateful and not any(value.HasField("func") for value in op.node_def.attr.values())


# ------------------------------------------------------------------------------------------------ grouped convolutions


def _is_grouped(op: Any) -> bool:
    """Whether a convolution's kernel has fewer input channels than its input."""
    if op.type != "Conv2D" or op.get_attr("data_format") != b"NHWC":
        return False
    channels, per_group = op.inputs[0].shape[-1], op.inputs[1].shape[-2]
    return None not in (channels, per_group) and channels != per_group


def _ungrouped(op: Any, x: Any, kernel: Any) -> Any:
    """An equal convolution without groups; `kernel` (kh, kw, channels per group, filters)."""
    kh, kw, per_group, filters = kernel.shape.as_list()
    groups = x.shape[-1] // per_group
    strides, dilations = op.get_attr("strides"), op.get_attr("dilations")
    padding, explicit = op.get_attr("padding").decode(), op.get_attr("explicit_paddings")
    plain = strides[1] == strides[2] and set(dilations) == {1} and padding != "EXPLICIT"
    if per_group == 1 and plain:
        kernel = tf.reshape(kernel, [kh, kw, groups, filters // groups])
        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, strides=strides, padding=padding)
    own = tf.eye(groups, dtype=kernel.dtype)[:, None, :, None]  # 1 where the group of the input is that of the filter
    kernel = tf.reshape(kernel, [kh, kw, 1, per_group, groups, filters // groups]) * own
    kernel = tf.reshape(kernel, [kh, kw, groups * per_group, filters])
    return tf.raw_ops.Conv2D(
        input=x, filter=kernel, strides=strides, padding=padding, explicit_paddings=explicit, dilations=dilations
    )
