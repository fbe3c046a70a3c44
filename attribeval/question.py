"""What is asked of a method: which images, which class of each, with which seeds and values of other inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.seeds import image_seeds, read_seeds
from attribeval.datasets.source import ImageSource, Repeated
from attribeval.micro_batches import Images
from attribeval.models.classifier import Classifier
from attribeval.models.extra_inputs import Rows


@dataclass(frozen=True)
class Question:
    """N images to be explained, one class of each; an image asked about for several classes comes once for each.

    Attributes:
        images: As the caller passed them.
        source: The images, to be read.
        targets: Class of each, ints (N,); None: the predicted one.
        seeds: The user's seed, or one for each image, int32 (N, 2).
        rows: Values of the inputs beside the image.
    """

    images: Any
    source: Images
    targets: np.ndarray | None
    seeds: int | np.ndarray
    rows: Rows

    @classmethod
    def read(cls, classifier: Classifier, images: Any, targets: Any, extra: Any, seed: int | np.ndarray) -> Question:
        """What the caller of `Attributer.explain` asks, checked."""
        source: Images
        source = read = ImageSource(images, classifier.input_shape)
        seeds = read_seeds(seed, len(source))
        rows = classifier.extra.read(extra, len(source))
        given = classifier.read_targets(targets, len(source))
        if given is not None and given.ndim == 2:  # several classes of each image
            source, rows = Repeated(read, given.shape[1]), rows.repeated(given.shape[1])
            seeds = np.repeat(seeds, given.shape[1], axis=0) if isinstance(seeds, np.ndarray) else seeds
            given = given.ravel()
        return cls(images, source, given, seeds, rows)

    def targets_of(self, raw: np.ndarray, start: int) -> np.ndarray | None:
        """Classes of the images from number `start` on."""
        return None if self.targets is None else self.targets[start : start + len(raw)]

    def seeds_of(self, raw: np.ndarray, start: int) -> Any:
        """Their seeds, or a function that makes them."""
        seeds = self.seeds
        return seeds[start : start + len(raw)] if isinstance(seeds, np.ndarray) else lambda: image_seeds(raw, seeds)
