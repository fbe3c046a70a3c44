"""The images that maps are made of, and the regions that are measured in them: made when a chunk is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribeval.benchmarks.bam.insignificant_patch import Patches
from attribeval.datasets.bam import BamPart
from attribeval.datasets.compositing import placed_anew

SMALLER = 0.7  # the robustness to scale: times the object's sides


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A set of images with a region and a label each.

    Attributes:
        name: What they are; with the data set and `items` it says which pixels they have.
        items: Their numbers in the data set, int (N,).
        labels: int (N,).
        load: Called with places 0 … N − 1, an array: images (n, H, W, C), raw or model inputs, and masks (n, H, W).
    """

    name: str
    items: np.ndarray
    labels: np.ndarray
    load: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def first(self, n: int) -> Stimulus:
        """The first n of them, the same images."""
        return Stimulus(self.name, self.items[:n], self.labels[:n], self.load)


def of_part(part: BamPart, kind: str, label: str, items: np.ndarray) -> Stimulus:
    """Composites, scenes or objects alone, and the object's pixels."""

    def load(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return part.load(kind, items[places]), np.asarray(part.masks[items[places]])

    return Stimulus(kind, items, part.labels(label)[items], load)


def moved(part: BamPart, kind: str, label: str, items: np.ndarray, seed: int, scale: float = 1.0) -> Stimulus:
    """The same with the objects at other places, and sizes; for scenes alone, the regions where they would be."""

    def load(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = items[places]
        scenes = part.load("scene_only", chosen)
        images, masks = placed_anew(
            part.load("composite", chosen), scenes, np.asarray(part.masks[chosen]), seed, scale, chosen
        )
        return (images if kind == "composite" else scenes), masks

    return Stimulus(f"{kind} placed anew {seed} {scale}", items, part.labels(label)[items], load)


def patched(part: BamPart, items: np.ndarray, inputs: np.ndarray, patches: Patches | None, name: str) -> Stimulus:
    """Model inputs with their patches, or without (`patches=None`), and the patches' regions."""
    images = inputs if patches is None else patches.images
    digest = hashlib.blake2b(np.ascontiguousarray(images), digest_size=8).hexdigest()

    def load(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images[places], np.asarray(part.masks[items[places]])

    return Stimulus(f"{name} {digest}", items, part.scenes[items], load)
