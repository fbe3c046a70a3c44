"""Where in a network an operation stands: what decides on its rule."""

from __future__ import annotations

from dataclasses import dataclass

from attribeval.models.propagation import ops
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.units import weighted


@dataclass(frozen=True)
class Place:
    """Where in a network an operation stands.

    Attributes:
        depth: The share of the network's convolutions that come before its own, from 0 to 1; a sum or an average
            belongs to the convolution or dense layer before it.
        dense: Whether its own weighted layer is a dense layer.
        last: Whether it is the last weighted layer itself.
    """

    depth: float
    dense: bool
    last: bool


def places(path: Path) -> list[Place]:
    """The place of every operation of a path."""
    layers = [op for op in path.ops if weighted(path, op)]
    total = max(1, sum(op.type not in ops.PRODUCTS for op in layers))
    found, convolutions, dense = [], 0, False
    for op in path.ops:
        if weighted(path, op):
            dense = op.type in ops.PRODUCTS
            convolutions += not dense
        last = bool(layers) and op.name == layers[-1].name
        found.append(Place(max(0, convolutions - 1) / total, dense, last))
    return found
