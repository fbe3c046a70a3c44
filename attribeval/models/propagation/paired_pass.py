"""One pass forward and one back for images beside references: multipliers by Rescale and RevealCancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.propagation import ops
from attribeval.models.propagation.graph import Accumulator, NoRule, Path, describe, pullback, real, replay, unbroadcast
from attribeval.models.propagation.units import Unit, find_unit

Rule = Literal["rescale", "reveal_cancel"]


MaxPool = Literal["difference", "gradient"]


class PairedPass:
    """One backward pass over two runs of the same model."""

    def __init__(self, path: Path, other: Path, maxpool: MaxPool, rule: Rule):
        if path.types() != other.types():
            raise AttribevalError(
                "Expected the same operations in two runs of the model, which DeepLIFT compares one by one. "
                f"Received: {describe(path)} and then {describe(other)}: the model changes between calls."
            )
        self.path = path
        self.twins = {op.name: twin for op, twin in zip(path.ops, other.ops, strict=True)}
        self.maxpool = maxpool
        self.rule = rule

    def run(self, start: Any) -> Any:
        """Multipliers of the source for the score that `start` (batch, classes) selects."""
        flow = Accumulator()
        flow.add(self.path.score, start)
        cancelled = 0
        for op in reversed(self.path.ops):
            arrived = flow.take(op)
            if all(value is None for value in arrived):
                continue  # passed already, as a part of a dense layer with its activation
            wanted = self.path.dependent(op)
            unit = self._dense_before(op, wanted)
            if unit is not None:
                cancelled += 1
                flow.add(unit.op.inputs[unit.data], self._reveal_cancel(op, unit, arrived[0]))
                continue
            for k, value in zip(wanted, self._pass(op, wanted, arrived), strict=True):
                flow.add(op.inputs[k], value)
        if self.rule == "reveal_cancel" and not cancelled:
            raise AttribevalError(
                "RevealCancel works on dense layers that are followed by an activation. Received a model without one: "
                "use rule='rescale'."
            )
        return flow.get(self.path.source)

    # ------------------------------------------------------------------------------------------------- dispatch

    def _pass(self, op: Any, wanted: Sequence[int], arrived: list[Any]) -> list[Any]:
        """Multipliers of the inputs that depend on the image, from those of the outputs."""
        kind = op.type
        if kind in ops.SAME and op.outputs[0].dtype.is_floating:
            return [arrived[k] for k in wanted]
        if kind in ops.LARGEST and (kind != "Maximum" or len(wanted) == 2):
            return self._largest(op, wanted, arrived)
        if kind in ops.ELEMENTWISE and len(wanted) == 1:
            return [self._rescale(op, wanted[0], arrived[0])]
        if kind in ops.QUADRATIC and (len(wanted) > 1 or kind in ("Square", "SquaredDifference")):
            return pullback(op, self._midpoints(op, wanted), wanted, arrived)
        if kind == "Softmax":
            return [self._softmax(op, arrived[0])]
        if kind == "RealDiv" and 1 in wanted:
            return self._divide(op, wanted, arrived[0])
        if self._is_linear(op, wanted):
            return pullback(op, [real(tensor) for tensor in op.inputs], wanted, arrived)
        raise NoRule(op)

    @staticmethod
    def _is_linear(op: Any, wanted: Sequence[int]) -> bool:
        if op.type == "FusedBatchNormV3":
            return list(wanted) == [0] and not op.get_attr("is_training")
        if op.type == "GatherV2":
            return list(wanted) == [0]
        if op.type in ops.MOVING | ops.AVERAGING | ops.ADDING:
            return True
        return len(wanted) == 1 and (op.type in ops.WEIGHTED or op.type in ops.PRODUCTS | {"Mul", "RealDiv"})

    def _both(self, op: Any, k: int) -> tuple[Any, Any]:
        """Input k of an operation for the image and for the reference."""
        return real(op.inputs[k]), real(self.twins[op.name].inputs[k])

    def _outputs(self, op: Any) -> tuple[Any, Any]:
        return real(op.outputs[0]), real(self.twins[op.name].outputs[0])

    def _midpoints(self, op: Any, wanted: Sequence[int]) -> list[Any]:
        """The inputs halfway between image and reference: for bilinear ops, the average over the order of changes."""
        return [0.5 * sum(self._both(op, k)) if k in wanted else real(t) for k, t in enumerate(op.inputs)]

    # ---------------------------------------------------------------------------------------------------- rules

    def _rescale(self, op: Any, k: int, arrived: Any) -> Any:
        """Rescale (section 3.5.2): m = Δout / Δin, and the derivative halfway where Δin is next to nothing."""
        a, b = self._both(op, k)
        if a.shape.rank is None or a.shape.as_list() != op.outputs[0].shape.as_list():
            raise NoRule(op, " with a broadcast input")
        out_a, out_b = self._outputs(op)
        if op.outputs[0].dtype != out_a.dtype:  # half precision: the outputs' rounding would show in the quotient
            out_a, out_b = self._evaluate(op, k, a), self._evaluate(op, k, b)
        difference = a - b
        relative, absolute = ops.ELEMENTWISE[op.type]
        far = tf.abs(difference) > absolute + relative * tf.maximum(tf.abs(a), tf.abs(b))
        quotient = (out_a - out_b) / tf.where(far, difference, tf.ones_like(difference))
        (derivative,) = pullback(op, self._midpoints(op, [k]), [k], [tf.ones_like(out_a)])
        return arrived * tf.where(far, quotient, derivative)

    @staticmethod
    def _evaluate(op: Any, k: int, value: Any) -> Any:
        return replay(op, [value if i == k else real(tensor) for i, tensor in enumerate(op.inputs)])[0]

    def _largest(self, op: Any, wanted: Sequence[int], arrived: list[Any]) -> list[Any]:
        """Max rule: max(x) − max(r) = rise + fall; the rise belongs to the winner in x, the fall to the winner in r.

        The winner in x rose by at least as much as the maximum, so its quotient is at most 1; likewise for the fall.
        """
        inputs = [real(tensor) for tensor in op.inputs]
        if self.maxpool == "gradient":
            return pullback(op, inputs, wanted, arrived)
        out_a, out_b = self._outputs(op)
        rise = arrived[0] * tf.maximum(out_a - out_b, 0.0)
        fall = arrived[0] * tf.minimum(out_a - out_b, 0.0)
        inputs_b = [real(tensor) for tensor in self.twins[op.name].inputs]
        parts = zip(pullback(op, inputs, wanted, [rise]), pullback(op, inputs_b, wanted, [fall]), strict=True)
        plain = pullback(op, inputs, wanted, arrived)
        multipliers = []
        for k, (risen, fallen), gradient in zip(wanted, parts, plain, strict=True):
            a, b = self._both(op, k)
            far = tf.abs(a - b) > 1e-7 * tf.maximum(tf.abs(a), tf.abs(b))
            multipliers.append(tf.where(far, (risen + fallen) / tf.where(far, a - b, tf.ones_like(a)), gradient))
        return multipliers

    def _divide(self, op: Any, wanted: Sequence[int], arrived: Any) -> list[Any]:
        """a / b as the product a · (1/b): the average over both orders of change."""
        (a, a_), (b, b_) = (self._both(op, k) if k in wanted else (real(op.inputs[k]),) * 2 for k in (0, 1))
        by = 0.5 * (1 / b + 1 / b_), -0.5 * (a + a_) / (b * b_)
        return [unbroadcast(arrived * by[k], op.inputs[k]) for k in wanted]

    def _softmax(self, op: Any, arrived: Any) -> Any:
        """Softmax as exp, sum and quotient, with one offset for image and reference so that both share the exp."""
        a, b = self._both(op, 0)
        offset = tf.reduce_max(tf.maximum(a, b), axis=-1, keepdims=True)
        e, e_ = tf.exp(a - offset), tf.exp(b - offset)
        total, total_ = tf.reduce_sum(e, -1, keepdims=True), tf.reduce_sum(e_, -1, keepdims=True)
        tiny = tf.constant(1e-30, total.dtype)
        total, total_ = tf.maximum(total, tiny), tf.maximum(total_, tiny)
        by_sum = -0.5 * tf.reduce_sum(arrived * (e / total / total_ + e_ / total / total_), -1, keepdims=True)
        by_exp = arrived * 0.5 * (1 / total + 1 / total_) + by_sum
        far = tf.abs(a - b) > 1e-4
        return by_exp * tf.where(far, (e - e_) / tf.where(far, a - b, tf.ones_like(a)), tf.sqrt(e * e_))

    # --------------------------------------------------------------------------------------------- RevealCancel

    def _dense_before(self, op: Any, wanted: Sequence[int]) -> Unit | None:
        """The dense layer whose activation `op` is, if RevealCancel is to take both."""
        if self.rule != "reveal_cancel" or op.type not in ops.ELEMENTWISE or len(wanted) != 1:
            return None
        tensor = op.inputs[wanted[0]]
        if len(self.path.consumers(tensor)) != 1:
            return None
        unit = find_unit(self.path, tensor)
        return unit if unit is not None and unit.op.type == "MatMul" else None

    def _reveal_cancel(self, op: Any, unit: Unit, arrived: Any) -> Any:
        """RevealCancel (section 3.5.3) at an activation, with the linear rule (section 3.5.1) of its dense layer.

        Positive and negative parts travel separately only between the two: whatever feeds a dense layer gets one
        multiplier for both of its parts, so both steps in one need no second flow.
        """
        (k,) = self.path.dependent(op)
        reference = self._both(op, k)[1]
        a, b = self._both(unit.op, unit.data)
        weights = unit.inputs[unit.at]
        weights_pos, weights_neg = tf.maximum(weights, 0.0), tf.minimum(weights, 0.0)
        delta = a - b
        delta_pos, delta_neg = tf.maximum(delta, 0.0), tf.minimum(delta, 0.0)

        def forward(value, weight):
            inputs = list(unit.inputs)
            inputs[unit.data], inputs[unit.at] = value, weight
            return replay(unit.op, inputs)[0]

        def backward(value, weight):
            inputs = list(unit.inputs)
            inputs[unit.at] = weight
            return pullback(unit.op, inputs, [unit.data], [value])[0]

        plus = forward(delta_pos, weights_pos) + forward(delta_neg, weights_neg)
        minus = forward(delta_pos, weights_neg) + forward(delta_neg, weights_pos)

        def f(z):
            return self._evaluate(op, k, z)

        def slope(z):
            inputs = [z if i == k else real(tensor) for i, tensor in enumerate(op.inputs)]
            return pullback(op, inputs, [k], [tf.ones_like(z)])[0]

        def quotient(out, part, size, derivative):
            relative, absolute = ops.ELEMENTWISE[op.type]
            far = tf.abs(part) > absolute + 10 * relative * size  # three sums were rounded
            return tf.where(far, out / tf.where(far, part, tf.ones_like(part)), derivative)

        f0, f_plus, f_minus, f_both = (f(reference + part) for part in (0.0, plus, minus, plus + minus))
        out_plus = 0.5 * ((f_plus - f0) + (f_both - f_minus))
        out_minus = 0.5 * ((f_minus - f0) + (f_both - f_plus))
        size = tf.abs(reference) + plus - minus
        m_plus = arrived * quotient(out_plus, plus, size, 0.5 * (slope(reference) + slope(reference + minus)))
        m_minus = arrived * quotient(out_minus, minus, size, 0.5 * (slope(reference) + slope(reference + plus)))
        rising = backward(m_plus, weights_pos) + backward(m_minus, weights_neg)
        falling = backward(m_plus, weights_neg) + backward(m_minus, weights_pos)
        still = 0.5 * (rising + falling)
        return tf.where(delta > 0, rising, tf.where(delta < 0, falling, still))
