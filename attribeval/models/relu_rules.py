"""Backward rules of rectifiers for guided backpropagation and the deconvnet, put on the operations of a graph.

No layer is replaced: a rectifier is an operation, whichever layer, function or nested model made it, so the rules hold
in functional, sequential, nested, shared and subclassed models alike, and the user's model is never touched.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.propagation.ops import is_chosen

RULES = ("plain", "guided", "deconv")
_RECTIFIERS = ("Relu", "Relu6", "LeakyRelu")


# ------------------------------------------------------------------------------------------------------ the rules


def _plain(op: Any, gradient: Any) -> Any:
    """The derivative of a rectifier times the gradient that comes from above."""
    if op.type == "Relu":
        return tf.raw_ops.ReluGrad(gradients=gradient, features=op.inputs[0])
    if op.type == "Relu6":
        return tf.raw_ops.Relu6Grad(gradients=gradient, features=op.inputs[0])
    return tf.raw_ops.LeakyReluGrad(gradients=gradient, features=op.inputs[0], alpha=op.get_attr("alpha"))


def _guided(op: Any, gradient: Any) -> Any:
    """Springenberg et al. 2014, figure 1 and section 3.4: (gradient > 0) · (input > 0) · gradient.

    Written as f'(input) · max(gradient, 0): the same for a ReLU, shut above the limit of a ReLU6, and for a leaky
    ReLU, which has no shut side, the slope times the positive part.
    """
    return _plain(op, tf.nn.relu(gradient))


def _deconv(op: Any, gradient: Any) -> Any:
    """Zeiler & Fergus 2013, section 2.1: the signal itself is rectified, whatever the input was.

    The upper limit of a ReLU6 is no part of that swap and keeps its derivative, as `ReLU(max_value=…)`, which is a
    ReLU followed by a minimum, has it too.
    """
    positive = tf.nn.relu(gradient)
    return tf.where(op.inputs[0] < 6, positive, tf.zeros_like(positive)) if op.type == "Relu6" else positive


def _is_gate(op: Any) -> bool:
    """Whether a ReLU6 is the inside of a hard sigmoid, relu6(x + 3) / 6: a gate like a sigmoid, not a rectifier."""
    return (
        op.type == "Relu6"
        and op.inputs[0].op.type in ("Add", "AddV2")
        and any(_is_constant(term, 3) for term in op.inputs[0].op.inputs)
    )


@functools.cache
def _registered(rule: str) -> dict[str, str]:
    """Operation → name of its backward rule; TensorFlow wants each registered once per process."""
    function = {"guided": _guided, "deconv": _deconv}[rule]

    def backward(op: Any, gradient: Any) -> Any:
        return _plain(op, gradient) if _is_gate(op) else function(op, gradient)

    names = {kind: f"Attribeval{rule.capitalize()}{kind}" for kind in _RECTIFIERS}
    for name in names.values():
        tf.RegisterGradient(name)(backward)
    return names


@contextmanager
def applied(rule: str) -> Iterator[None]:
    """Rectifiers made in this block (inside a `tf.function`) get the rule; `tf.gradients` then follows it.

    `tf.GradientTape` ignores such rules silently, so only `tf.gradients` may be used on what is made here. Operations
    other than rectifiers keep their derivative: pooling (its switches are what a deconvnet unpools with), convolution,
    normalisation, and smooth activations (ELU, SELU, GELU, swish, hard swish), which no paper gives a rule for.

    Args:
        rule: "plain", "guided" or "deconv".

    Raises:
        AttribevalError: If there is no such rule.
    """
    if rule not in RULES:
        raise unknown("ReLU rule", rule, RULES)
    if rule == "plain":
        yield
    else:
        with tf.compat.v1.get_default_graph().gradient_override_map(_registered(rule)):
            yield


# ------------------------------------------------------------------------- what the rules cannot reach, said aloud


def check(rule: str, x: Any, scores: Any) -> None:
    """Refuse a graph on which the rule would do nothing, or only half of what its name says.

    Args:
        rule: The rule that was applied when the graph was made.
        x: The symbolic input.
        scores: The symbolic output.

    Raises:
        AttribevalError: If no rectifier lies between `x` and `scores`, or one is written in a way that the rule does
            not reach: inside a function of its own, as a mask or a maximum, or as a difference of two rectifiers.
    """
    if rule == "plain":
        return
    method = {"guided": "guided backprop", "deconv": "the deconvnet"}[rule]
    operations = _between(x, scores)
    for op in operations:
        reason = _out_of_reach(op, operations)
        if reason:
            raise AttribevalError(
                f"Expected every ReLU of the model as one operation, for {method} to change its backward pass. "
                f"Received {reason}, at {op.name!r}. Write it as keras.activations.relu (slope alone, max_value alone "
                "or neither), or use a method without ReLU rules, such as 'gradient' or 'integrated_gradients'."
            )
    if not any(op.type in _RECTIFIERS and not _is_gate(op) for op in operations):
        raise AttribevalError(
            f"Expected a model with ReLU activations. Received one without: {method} equals the gradient here; use "
            "'gradient'."
        )


def _between(x: Any, scores: Any) -> dict[Any, None]:
    """Operations through which `x` reaches `scores`, in the order in which they were made."""
    above, waiting = set(), [scores.op]
    while waiting:
        op = waiting.pop()
        if op not in above and not is_chosen(op):
            above.add(op)
            waiting.extend(tensor.op for tensor in op.inputs)
    reached = {x.op: None}
    for op in x.graph.get_operations():
        if op in above and any(tensor.op in reached for tensor in op.inputs):
            reached[op] = None
    return reached


def _out_of_reach(op: Any, operations: dict[Any, None]) -> str | None:
    """What is wrong with the operation, or None."""
    if op.type in ("Select", "SelectV2") and _is_mask(op):
        return "a rectifier written with where(), such as ReLU(threshold=…)"
    if op.type == "Mul" and _is_masked_product(op):
        return "a rectifier written as a product with a mask"
    if op.type == "Maximum" and _is_maximum(op):
        return "a rectifier written with maximum()"
    if op.type == "Relu" and _is_negative_half(op, operations):
        return "a rectifier that is a difference of two, such as PReLU or ReLU(negative_slope=…, max_value=…)"
    if "Call" in op.type or op.type in ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"):
        library = op.graph.as_graph_def().library.function
        if any(node.op in _RECTIFIERS for function in library for node in function.node_def):
            return "a rectifier inside a tf.function, condition or loop of its own"
    return None


def _is_mask(op: Any) -> bool:
    """where(x > c, x, constant) or where(x < c, constant, x)."""
    condition, yes, no = op.inputs
    if condition.op.type not in ("Greater", "GreaterEqual", "Less", "LessEqual"):
        return False
    compared = [tensor.ref() for tensor in condition.op.inputs]
    return (yes.ref() in compared and _is_constant(no)) or (no.ref() in compared and _is_constant(yes))


def _is_masked_product(op: Any) -> bool:
    """x · cast(x > c)."""
    for value, mask in (op.inputs, op.inputs[::-1]):
        if mask.op.type == "Cast" and mask.op.inputs[0].op.type in ("Greater", "GreaterEqual"):
            return value.ref() in [tensor.ref() for tensor in mask.op.inputs[0].op.inputs]
    return False


def _is_maximum(op: Any) -> bool:
    """maximum(x, 0), unless it is the lower end of a clip of what is rectified already; or maximum(x, slope · x)."""
    for value, other in (op.inputs, op.inputs[::-1]):
        if _is_constant(other, 0):
            source = value.op.inputs[0].op if value.op.type == "Minimum" else value.op
            return source.type not in ("Relu", "Relu6")
        if other.op.type == "Mul" and value.ref() in [tensor.ref() for tensor in other.op.inputs]:
            return True
    return False


def _is_negative_half(op: Any, operations: dict[Any, None]) -> bool:
    """relu(−x) or relu(c − x) of an x that is rectified upwards too."""
    source = op.inputs[0].op
    if source.type in ("Add", "AddV2"):
        source = next((term.op for term in source.inputs if term.op.type == "Neg"), source)
    if source.type == "Sub":
        x = source.inputs[1]
    elif source.type == "Neg":
        x = source.inputs[0]
    else:
        return False
    return any(
        other in operations and other.type in (*_RECTIFIERS, "Select", "SelectV2", "Minimum") for other in x.consumers()
    )


def _is_constant(tensor: Any, value: float | None = None) -> bool:
    """Whether a tensor is known while tracing (and everywhere equal to `value`)."""
    known = tf.get_static_value(tensor)
    return known is not None and (value is None or bool((known == value).all()))
