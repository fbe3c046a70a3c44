"""Reading a traced graph: the operations between an input and a score, and each one's exact derivative by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.propagation.ops import SHAPE_ONLY, is_chosen


class Path:
    """The operations through which a score depends on the values of an input, in the order of computation.

    Args:
        source: Symbolic tensor: the input.
        score: Symbolic tensor of the same graph.

    Raises:
        AttribevalError: If the score does not depend on the source.
    """

    def __init__(self, source: Any, score: Any):
        self._depends = {source.name}
        forward = []
        for op in source.graph.get_operations():
            carries = op.type not in SHAPE_ONLY and not is_chosen(op)
            if carries and any(tensor.name in self._depends for tensor in op.inputs):
                self._depends.update(tensor.name for tensor in op.outputs)
                forward.append(op)
        if score.name not in self._depends:
            raise AttribevalError("Expected a score that depends on the input. Received a model whose score does not.")
        needed = {score.name}
        ops = []
        for op in reversed(forward):
            if any(tensor.name in needed for tensor in op.outputs):
                needed.update(op.inputs[k].name for k in self.dependent(op))
                ops.append(op)
        self.ops = ops[::-1]
        self._consumers: dict[str, list[Any]] = {}
        for op in self.ops:
            for name in {op.inputs[k].name for k in self.dependent(op)}:
                self._consumers.setdefault(name, []).append(op)
        self.source, self.score = source, score

    def dependent(self, op: Any) -> list[int]:
        """Positions of the inputs of `op` that depend on the source."""
        return [k for k, tensor in enumerate(op.inputs) if tensor.name in self._depends]

    def consumers(self, tensor: Any) -> list[Any]:
        """The operations of the path that read a tensor."""
        return self._consumers.get(tensor.name, [])

    def all_through(self, tensor: Any) -> bool:
        """Whether the score depends on the source through `tensor` only."""
        reached = {self.source.name} - {tensor.name}
        for op in self.ops:
            if any(value.name in reached for value in op.inputs):
                reached.update(value.name for value in op.outputs if value.name != tensor.name)
        return self.score.name not in reached

    def bottlenecks(self) -> list[Any]:
        """All tensors that `all_through` is true of, in order, without the source: one sweep instead of one each.

        Every operation of the path either goes into such a tensor or comes after it, so once it is computed it is the
        only one of the path that is still to be read.
        """
        last_read = {self.score.name: len(self.ops)}
        for k, op in enumerate(self.ops):
            last_read.update((op.inputs[i].name, k) for i in self.dependent(op) if op.inputs[i].name != self.score.name)
        waiting, found = {self.source.name}, []
        for k, op in enumerate(self.ops):
            waiting -= {op.inputs[i].name for i in self.dependent(op) if last_read[op.inputs[i].name] == k}
            given = [tensor for tensor in op.outputs if tensor.name in last_read]
            waiting |= {tensor.name for tensor in given}
            if len(waiting) == len(given) == 1:
                found.append(given[0])
        return found

    def types(self) -> list[str]:
        return [op.type for op in self.ops]


class Accumulator:
    """What flows backwards, by tensor: values that reach a tensor on several ways are added up."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def add(self, tensor: Any, value: Any) -> None:
        if value is not None:
            kind = _real_type(tensor.dtype)
            value = value if value.dtype == kind else tf.cast(value, kind)
            known = self._values.get(tensor.name)
            self._values[tensor.name] = value if known is None else known + value

    def take(self, op: Any) -> list[Any]:
        """One entry per output of `op`, None where nothing arrived."""
        return [self._values.pop(tensor.name, None) for tensor in op.outputs]

    def get(self, tensor: Any) -> Any:
        return self._values.get(tensor.name)


def _real_type(kind: Any) -> Any:
    return tf.float32 if kind in (tf.float16, tf.bfloat16) else kind


def real(tensor: Any) -> Any:
    """Half precision to float32, so that no rule divides in half precision; all else as it is."""
    return tf.cast(tensor, _real_type(tensor.dtype))


def replay(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """A copy of `op`, with the same attributes, on other inputs (whose float type may differ)."""
    attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
    position = 0
    for argument in op.op_def.input_arg:
        if argument.type_attr:
            kind = inputs[position].dtype.as_datatype_enum
            attributes[argument.type_attr] = tf.compat.v1.AttrValue(type=kind)
        position += op.get_attr(argument.number_attr) if argument.number_attr else 1
    return list(op.graph.create_op(op.type, list(inputs), attrs=attributes).outputs)


def pullback(op: Any, inputs: Sequence[Any], wanted: Sequence[int], cotangents: Sequence[Any]) -> list[Any]:
    """Vector–Jacobian product of `op` at other inputs, by its own registered gradient.

    The operation is replayed on copies of its inputs, so that the search of `tf.gradients` stays inside it; the replay
    is pruned where the gradient does not need its value.

    Args:
        op: The operation.
        inputs: One tensor per input.
        wanted: Positions of the inputs to differentiate by.
        cotangents: One tensor per output, or None.

    Returns:
        One tensor per wanted input, zeros where the derivative vanishes everywhere.
    """
    copies = [tf.identity(tensor) if k in wanted else tensor for k, tensor in enumerate(inputs)]
    outputs = replay(op, copies)
    pairs = [(output, value) for output, value in zip(outputs, cotangents, strict=True) if value is not None]
    derivatives = tf.gradients(
        [output for output, _ in pairs],
        [copies[k] for k in wanted],
        grad_ys=[tf.cast(value, output.dtype) for output, value in pairs],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return [tf.convert_to_tensor(derivative) for derivative in derivatives]  # a gather gives sparse ones


class NoRule(Exception):
    """An operation that a method has no rule for; `refusal.refusing` tells the caller which layer it is in.

    Args:
        op: The operation.
        why: What is special about it, to be appended.
    """

    def __init__(self, op: Any, why: str = ""):
        super().__init__(f"{op.type} ({op.name}){why}")
        self.op, self.why = op, why


def describe(path: Path) -> str:
    """How many operations of each type a path has, for messages."""
    return ", ".join(f"{kind} × {count}" for kind, count in sorted(Counter(path.types()).items()))


def unbroadcast(value: Any, like: Any) -> Any:
    """Sum `value` over the axes along which `like` was broadcast to its shape: the gradient of a broadcast."""
    leaf = tf.zeros(tf.shape(like), value.dtype)
    return tf.gradients(tf.broadcast_to(leaf, tf.shape(value)), leaf, grad_ys=value)[0]
