"""Relevance down to attention's weights as Chefer, Gur & Wolf (CVPR 2021) pass it through a transformer's blocks."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.models.propagation import ops
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.relevance import Relevance
from attribeval.models.propagation.rules import AlphaBeta, Epsilon, ratio
from attribeval.models.propagation.shared import Shared, passed_on

_EXACT = 1e-6  # of the root mean square: stabilises, and no more


class ResidualRelevance(Relevance):
    """z⁺ in layers, half to each factor of a product, and nothing changed by normalisations, GELU and softmax.

    Where a residual connection adds, x and the branch get relevance by what they add; these parts are then scaled so
    that each has as large a share as the sizes of both demand and no more, because parts of both signs would blow each
    other up (section 3.2, equations 10 to 12).

    Args:
        method: Name of the method, for messages.
        path: The operations between input and score.
    """

    def __init__(self, method: str, path: Path):
        rule = AlphaBeta(1.0, 0.0, bias=False)
        super().__init__(method, path, lambda place: rule, shared=Shared(Epsilon(_EXACT), passed_on))
        self.norms = normalisations(path)

    def _pass(self, op: Any, arrived: list[Any]) -> list[tuple[Any, Any]]:
        if op.outputs[0].name in self.norms:
            return [(self.norms[op.outputs[0].name], arrived[0])]
        given = super()._pass(op, arrived)
        if op.type in ops.ADDING and len(given) > 1:
            return self._scaled(given, arrived[0])
        return given

    def _scaled(self, given: list[tuple[Any, Any]], arrived: Any) -> list[tuple[Any, Any]]:
        sums = [_of_images(value) for _, value in given]
        sizes = tf.add_n([tf.abs(one) for one in sums])
        whole = _of_images(arrived)
        wanted = [ratio(tf.abs(one) * whole, sizes) for one in sums]
        return [(t, value * ratio(part, one)) for (t, value), part, one in zip(given, wanted, sums, strict=True)]


def _of_images(values: Any) -> Any:
    """The sum of each image's values, (batch, 1, …)."""
    return tf.reduce_sum(values, axis=range(1, values.shape.rank), keepdims=True)


def normalisations(path: Path) -> dict[str, Any]:
    """What normalisations over a tensor's own values give: name of the output → their input, of the same shape.

    Each has a reciprocal root. Its output is the first tensor that all of the root goes through and that meets others
    there; its input is the last one that all of the output comes through.
    """
    found = {}
    for op in path.ops:
        if op.type == "Rsqrt":
            through = Path(op.outputs[0], path.score).bottlenecks()
            after = next((one for one in through if len(path.dependent(one.op)) > 1), None)
            if after is None:
                continue
            before = Path(path.source, after).bottlenecks()
            origin = _uncentred(path, before[-2] if len(before) > 1 else path.source)
            if origin.shape.rank == after.shape.rank and origin.shape.is_compatible_with(after.shape):
                found[after.name] = origin
    return found


def _uncentred(path: Path, tensor: Any) -> Any:
    """x, if a tensor is x − mean(x); else the tensor itself."""
    if tensor.op.type == "Sub" and tensor.name != path.source.name:
        x, mean = tensor.op.inputs
        if mean.op.type == "Mean" and mean.op.inputs[0].name == x.name:
            return x
    return tensor
