"""A layer of a model, on arrays of any length: what images give there, and what the layers behind make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.errors import AttribevalError
from attribeval.micro_batches import capacity_for
from attribeval.models import halves


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer with an output (batch, height, width, channels).

    Attributes:
        attributer: The model.
        name: Name or path of the layer.
    """

    attributer: Attributer
    name: str

    @property
    def capacity(self) -> int:
        """Images that the model takes at a time."""
        return capacity_for(self.attributer.classifier.input_shape, self.attributer.batch_size)

    def activations(self, raw: np.ndarray) -> np.ndarray:
        """Of raw images (N, H, W, C), float32 (N, h, w, channels)."""
        classifier = self.attributer.classifier
        parts = (raw[some] for some in self._parts(len(raw)))
        return np.concatenate(
            [np.asarray(halves.activations(classifier, classifier.prepare(part), self.name)) for part in parts]
        )

    def pooled(self, count: int, cut: Callable[[slice], np.ndarray], done: Callable[[int], Any]) -> np.ndarray:
        """Activations of so many images, mean over places, float32 (N, channels).

        `cut` goes from a slice to these images, raw: they need not be in memory at once.
        """
        found = []
        for some in self._parts(count):
            found.append(self.activations(cut(some)).mean((1, 2)))
            done(len(found[-1]))
        return np.concatenate(found)

    def scores(self, activations: np.ndarray, target: int, size: tuple[int, int]) -> np.ndarray:
        """What the layers behind make of activations (N, h, w, channels), all at once: the score of one class, (N,).

        `size` is height and width of the images that such activations come from.
        """
        given = activations.astype(np.float32)
        return np.asarray(halves.scores_of(self.attributer.classifier, given, self.name, size))[:, target]

    def _parts(self, count: int) -> list[slice]:
        return [slice(start, start + self.capacity) for start in range(0, count, self.capacity)]


def layer_of(attributer: Attributer, name: str | None) -> Layer:
    """The layer that is meant: by default the target layer of class activation maps."""
    found = name or attributer.classifier.target_layer
    if found is None:
        raise AttribevalError("Expected a layer with an output (batch, height, width, channels). Received none.")
    return Layer(attributer, found)
