"""Relevance from a score back to the pixels, operation by operation; rules for linear layers come from `rules`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.propagation import ops
from attribeval.models.propagation.graph import Accumulator, NoRule, Path, pullback, real, replay, unbroadcast
from attribeval.models.propagation.images import Images
from attribeval.models.propagation.places import Place, places
from attribeval.models.propagation.rules import Bounded, Epsilon, Linear, Rule
from attribeval.models.propagation.shared import Shared
from attribeval.models.propagation.units import Unit, find_unit, is_affine

_KEEP_SIGN = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Pad", "ConcatV2", "AddV2", "AddN")
_STABILISER = 1e-6  # of the root mean square; for sums and averages, whose inputs may cancel


class Relevance:
    """One backward pass of relevance through a traced model.

    What is linear obeys the rule chosen for its depth. Biases and batch normalisation belong to the convolution or
    dense layer before them; without one they are a layer of their own for the ε rule (which divides by what they give,
    and must not find less relevance there than before) and pass relevance on unchanged in the others, as activations
    do. A maximum gives all to its winner; of a product, the signal takes all and the gate none (Arras et al. 2017):
    attention's weights and the divisor of a normalisation are constants (Ali et al. 2022, section 3). Unless attention
    is `shared`: its weights then get their part, and hand it on to queries and keys.

    Args:
        method: Name of the method, for messages.
        path: The operations between input and score.
        choose: From the place of an operation in the network to its rule.
        bounds: Smallest and largest input, tensors of the source's shape (batch 1): the first layers then obey z^B.
        shared: How attention shares relevance with its weights; sums and averages then obey its ε rule, too. None: the
            weights are constants.

    Raises:
        AttribevalError: If the model has an operation without a rule.
    """

    def __init__(
        self,
        method: str,
        path: Path,
        choose: Callable[[Place], Rule],
        bounds: tuple[Any, Any] | None = None,
        shared: Shared | None = None,
    ):
        self.method = method
        self.path = path
        self.bounds = bounds
        self.shared = shared
        self.images = Images(path)
        self.rules = {op.name: choose(place) for op, place in zip(path.ops, places(path), strict=True)}

    def run(self, start: Any) -> Any:
        """Relevance of the source from that of the scores, (batch, classes)."""
        (relevance,) = self.of([self.path.source], start)
        return relevance

    def of(self, tensors: Sequence[Any], start: Any) -> list[Any]:
        """Relevance of tensors of the path; nothing before the first of them is passed.

        Raises:
            AttribevalError: If one gets none.
        """
        found: dict[str, Any] = {}
        flow = Accumulator()
        flow.add(self.path.score, start)
        wanted = {tensor.name for tensor in tensors}
        for op in reversed(self.path.ops):
            found |= {one.name: flow.get(one) for one in op.outputs if one.name in wanted}
            if len(found) == len(wanted):
                break
            arrived = flow.take(op)
            if all(value is None for value in arrived):
                continue  # a gate, or passed already as part of a unit
            for tensor, value in self._pass(op, arrived):
                flow.add(tensor, value)
        found.setdefault(self.path.source.name, flow.get(self.path.source))
        relevance = [found[tensor.name] for tensor in tensors]
        if any(one is None for one in relevance):
            raise AttribevalError(f"No relevance reaches the input by {self.method}: only gates lead there.")
        return relevance

    # ------------------------------------------------------------------------------------------------- dispatch

    def _pass(self, op: Any, arrived: list[Any]) -> list[tuple[Any, Any]]:
        """Pairs of a tensor and the relevance that it gets."""
        kind, wanted = op.type, self.path.dependent(op)
        if kind in ops.SAME and op.outputs[0].dtype.is_floating:
            return [(op.inputs[k], arrived[k]) for k in wanted if arrived[k] is not None]
        if kind in ops.ACTIVATIONS and len(wanted) == 1:
            return [(op.inputs[wanted[0]], arrived[0])]
        if kind in ops.LARGEST or (kind in ops.MOVING and (kind != "GatherV2" or wanted == [0])):
            given = pullback(op, [real(tensor) for tensor in op.inputs], wanted, arrived)
            return [(op.inputs[k], value) for k, value in zip(wanted, given, strict=True)]
        if kind in ops.PRODUCTS and len(wanted) == 2:
            return self._mixture(op, arrived[0]) if self.shared is None else self._halves(op, arrived[0], self.shared)
        if kind == "Softmax" and self.shared is not None:
            return [(op.inputs[0], self.shared.softmax(real(op.inputs[0]), real(op.outputs[0]), arrived[0]))]
        if kind in ops.WEIGHTED or kind in ops.PRODUCTS or (kind in ops.ADDING | ops.SCALING and len(wanted) == 1):
            return self._layer(op, wanted, arrived[0])
        if kind in ops.AVERAGING or kind in ops.ADDING:
            layer = self._sum(op, wanted)
            rule = self.rules[op.name] if self.shared is None else self.shared.rule
            if kind in ops.AVERAGING and isinstance(rule, Epsilon):  # nothing to absorb: an average has no noise
                rule = Epsilon(min(rule.epsilon, _STABILISER))
            return [(op.inputs[k], value) for k, value in zip(wanted, rule(layer, arrived[0]), strict=True)]
        if kind == "Mul":
            signal = self._signal(op)
            return [(op.inputs[signal], unbroadcast(arrived[0], op.inputs[signal]))]
        raise NoRule(op)

    def _layer(self, op: Any, wanted: Sequence[int], arrived: Any) -> list[tuple[Any, Any]]:
        """A weighted operation with the affine ones behind it; or an affine one that has none before it."""
        unit = find_unit(self.path, op.outputs[0])
        if unit is None:
            if not is_affine(self.path, op):
                raise NoRule(op, " where it stands")
            return [(op.inputs[wanted[0]], self._alone(op, arrived))]
        source = unit.op.inputs[unit.data]
        bounds = self._bounds_at(source)
        rule = self.rules[unit.op.name] if bounds is None else Bounded(*bounds)
        return [(source, rule(self._linear(unit), arrived)[0])]

    def _alone(self, op: Any, arrived: Any) -> Any:
        """An affine operation of single values, y = s a + b, without a layer that it belongs to."""
        rule = self.rules[op.name]
        (k,) = self.path.dependent(op)
        if not isinstance(rule, Epsilon):
            return unbroadcast(arrived, op.inputs[k])
        inputs = tuple(real(tensor) for tensor in op.inputs)
        return rule(self._plain(op, inputs, (k,), None, False), arrived)[0]

    def _mixture(self, op: Any, arrived: Any) -> list[tuple[Any, Any]]:
        """A product of two feature maps, such as attention's: the gate, here the softmax, is the signal's weights."""
        signal = self._signal(op)
        inputs = tuple(real(tensor) for tensor in op.inputs)
        layer = self._plain(op, inputs, (signal,), 1 - signal, self._non_negative(op.inputs[signal]))
        return [(op.inputs[signal], self.rules[op.name](layer, arrived)[0])]

    def _halves(self, op: Any, arrived: Any, shared: Shared) -> list[tuple[Any, Any]]:
        """A product of two feature maps: half of the relevance goes to each, as if the other were its weights."""
        inputs = tuple(real(tensor) for tensor in op.inputs)
        layers = [self._plain(op, inputs, (k,), 1 - k, False) for k in (0, 1)]
        given = [shared.rule(layer, 0.5 * arrived)[0] for layer in layers]
        return list(zip(op.inputs, given, strict=True))

    def _linear(self, unit: Unit) -> Linear:
        source = unit.op.inputs[unit.data]
        readers, output = self.path.consumers(unit.output), real(unit.output)
        return Linear(
            op=unit.op,
            inputs=unit.inputs,
            data=(unit.data,),
            weights=unit.at,
            bias=unit.shift,
            output=output,
            non_negative=self._non_negative(source),
            rectified=bool(readers) and all(reader.type in ("Relu", "Relu6") for reader in readers),
            rms=self.images.rms(unit.output, output),
        )

    def _sum(self, op: Any, wanted: Sequence[int]) -> Linear:
        """A sum or an average, as a layer whose weights are positive; a − b is a + (−b)."""
        inputs = [real(tensor) for tensor in op.inputs]
        non_negative = op.type != "Sub" and all(self._non_negative(op.inputs[k]) for k in wanted)
        layer = self._plain(op, tuple(inputs), tuple(wanted), None, non_negative)
        if op.type == "Sub":
            inputs[1] = -inputs[1]
            layer = replace(layer, op=(inputs[0] + inputs[1]).op, inputs=tuple(inputs))
        return layer

    def _plain(
        self, op: Any, inputs: tuple[Any, ...], data: tuple[int, ...], weights: Any, non_negative: bool
    ) -> Linear:
        """An operation as a layer of its own, without a bias and with any reader."""
        output = real(op.outputs[0])
        rms = self.images.rms(op.outputs[0], output)
        return Linear(op, inputs, data, weights, None, output, non_negative, False, rms)

    # ------------------------------------------------------------------------------------------ what feeds what

    def _non_negative(self, tensor: Any) -> bool:
        """Whether the graph alone says that no value can be negative."""
        op = tensor.op
        if op.type in ops.NON_NEGATIVE:
            return True
        if tensor.name == self.path.source.name:
            return False
        keeps = op.type in ops.SAME | ops.LARGEST | ops.AVERAGING or op.type in _KEEP_SIGN
        data = [value for value in op.inputs if value.dtype.is_floating]
        dependent = {op.inputs[k].name for k in self.path.dependent(op)}
        return keeps and bool(data) and all(v.name in dependent and self._non_negative(v) for v in data)

    def _signal(self, op: Any) -> int:
        """Which factor of a product carries the signal: the other one is made by a gate."""
        a, b = op.inputs
        if self._follows(b, a) or self._follows(a, b):  # x · f(x): swish, gelu, squeeze-and-excitation
            return int(not self._follows(b, a))
        ranks = [self._gate_rank(tensor) for tensor in op.inputs]
        if ranks[0] == ranks[1]:
            raise NoRule(op, ", a product of two feature maps of which neither is a gate")
        return int(ranks[0] < ranks[1])  # the lower rank is the surer gate

    def _follows(self, tensor: Any, origin: Any) -> bool:
        """Whether a tensor is a function of `origin` by a single chain of operations."""
        while tensor.name != origin.name:
            wanted = self.path.dependent(tensor.op)
            if len(wanted) != 1 or tensor.name == self.path.source.name:
                return False
            tensor = tensor.op.inputs[wanted[0]]
        return True

    def _gate_rank(self, tensor: Any) -> int:
        """Place in `GATES` of the function that made a tensor, up to constants; beyond the last if there is none."""
        op = tensor.op
        while op.type not in ops.GATES:
            wanted = self.path.dependent(op)
            if op.type not in ops.SAME | ops.MOVING | ops.ADDING | ops.SCALING or len(wanted) != 1:
                return len(ops.GATES)
            op = op.inputs[wanted[0]].op
        return ops.GATES.index(op.type)

    def _bounds_at(self, tensor: Any) -> tuple[Any, Any] | None:
        """The input's bounds, carried to a tensor; None without bounds or if anything but constants lies between."""
        if self.bounds is None:
            return None
        chain = []
        while tensor.name != self.path.source.name:
            op = tensor.op
            wanted = self.path.dependent(op)
            moves = op.type in ops.SAME or op.type in ops.MOVING
            if not (moves or is_affine(self.path, op)) or len(wanted) != 1 or len(op.outputs) != 1:
                return None
            chain.append((op, wanted[0]))
            tensor = op.inputs[wanted[0]]
        ends = [real(tf.zeros_like(tensor) + bound) for bound in self.bounds]
        for op, k in reversed(chain):
            if op.type not in ops.SAME:
                ends = [replay(op, [e if i == k else real(t) for i, t in enumerate(op.inputs)])[0] for e in ends]
        return tf.minimum(*ends), tf.maximum(*ends)
