"""What benchmarks see: some images and a model that answers questions about them, and one method's maps of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.datasets.samples import Samples
    from attribeval.models.classifier import Classifier

BATCH_SIZE = 64
Predict = Callable[[np.ndarray], np.ndarray]  # raw images (B, H, W, C) -> (B, classes)


class _Shared:
    """Remembers what several benchmarks ask for with the same key."""

    _memory: dict[Hashable, Any]

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return `compute()`, evaluated once for all who ask with this key."""
        if key not in self._memory:
            self._memory[key] = compute()
        return self._memory[key]


@dataclass(eq=False)
class Subject(_Shared):
    """Images, the classes explained, and the model.

    Attributes:
        images: Raw images, float32 (N, H, W, C); never write into them.
        targets: Class explained for each image, int (N,).
        answer: Raw images (B, H, W, C), any number -> (logits, probabilities), each (B, classes). It batches.
        seeds: One seed per image, int32 (N, 2), which depends on the image and the user's seed only
            (`common.seeds.generators` and `fold` make generators and further seeds of them).
        samples: The images' boxes and masks, where the data set has them.
        classifier: The model itself, for benchmarks that change its weights (and put them back).
        passes: How many images have been asked about.
        batch_size: How many modified images are made and asked about at a time.
        capacity: How many images the classifier takes at a time, where benchmarks may paint on its device and ask it
            themselves instead of through `answer`; None: they may not.
    """

    images: np.ndarray
    targets: np.ndarray
    answer: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    seeds: np.ndarray
    samples: Samples | None = None
    classifier: Classifier | None = None
    passes: int = 0
    batch_size: int = BATCH_SIZE
    capacity: int | None = None
    _memory: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def model(self) -> Classifier:
        """The classifier, for benchmarks that cannot do without.

        Raises:
            AttribevalError: If there is none.
        """
        if self.classifier is None:
            raise AttribevalError("Expected the model itself. Received a subject without a classifier: pass one.")
        return self.classifier

    def of_first(self, scores: np.ndarray) -> np.ndarray:
        """Scores (n,) of the first n images, of benchmarks that judge no more, as float64 (N,), NaN for the others.

        The first images speak for all only if the order is random: shuffle data that are sorted by class.
        """
        return np.concatenate([np.asarray(scores, np.float64), np.full(len(self) - len(scores), np.nan)])

    def ask(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and probabilities of raw images (B, H, W, C), float64 (B, classes) each; one pass of the model."""
        self.passes += len(images)
        logits, probabilities = self.answer(images)
        return np.asarray(logits, np.float64), np.asarray(probabilities, np.float64)

    def logits_of(self, images: np.ndarray) -> np.ndarray:
        """Logits of raw images, float64 (B, classes)."""
        return self.ask(images)[0]

    def probabilities_of(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of raw images, float64 (B, classes)."""
        return self.ask(images)[1]

    @cached_property
    def _clean(self) -> tuple[np.ndarray, np.ndarray]:
        return self.ask(self.images)

    @property
    def logits(self) -> np.ndarray:
        """Of the images themselves, float64 (N, classes), asked for once."""
        return self._clean[0]

    @property
    def probabilities(self) -> np.ndarray:
        """Of the images themselves, float64 (N, classes), asked for once."""
        return self._clean[1]


@dataclass(eq=False)
class Explained(_Shared):
    """One method's maps of a subject's images.

    Attributes:
        values: Maps, float32 (N, H, W, C or 1), raw and signed.
        heat: What ranks the pixels, float32 (N, H, W): Σ over channels for methods whose values are shares of a score
            (a negative one speaks against the class), Σ|·| for all others.
        explain: (images, targets, seeds) -> values: the same method on other raw images (B, H, W, C) with targets (B,)
            and the seeds of their random numbers, int32 (B, 2). With the subject's own images, targets and seeds it
            gives `values` again.
        explain_with: (classifier, images, targets, seeds) -> values: the same method on another model; None where the
            method is not known, only its maps.
    """

    values: np.ndarray
    heat: np.ndarray
    explain: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    explain_with: Callable[[Classifier, np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    _memory: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def attribution(self) -> np.ndarray:
        """Attribution of each pixel: values summed over channels with their signs, (N, H, W)."""
        return self.values.sum(-1)


def checked_maps(maps: np.ndarray, images: np.ndarray | None = None, channels: bool = False) -> np.ndarray:
    """Maps as the metrics take them, or an error that names the item.

    Args:
        maps: (N, H, W); with `channels` also (N, H, W, C).
        images: If given, raw images (N, H, W, C) whose places the maps belong to.
        channels: Whether maps may have channels.

    Returns:
        float64, a new array or the same.

    Raises:
        AttribevalError: If shapes do not match, there is no map, or a map has NaN or infinity.
    """
    maps = np.asarray(maps, dtype=np.float64)
    wanted = "(N, H, W) or (N, H, W, C)" if channels else "(N, H, W)"
    if maps.ndim not in ((3, 4) if channels else (3,)) or maps.size == 0:
        raise AttribevalError(f"Expected maps {wanted}, at least one. Received: shape {maps.shape}.")
    if images is not None and (images.ndim != 4 or maps.shape[:3] != images.shape[:3]):
        raise AttribevalError(
            f"Expected one map per image, of the image's size. Received: maps {maps.shape}, images {images.shape}: "
            "resize the maps first."
        )
    bad = np.flatnonzero(~np.isfinite(maps.reshape(len(maps), -1)).all(1))
    if bad.size:
        raise AttribevalError(f"Expected finite maps. Received NaN or infinity in map {bad[0]}: drop or mend it first.")
    return maps


def checked_pair(maps: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two maps per image as `checked_maps` has them, (N, H, W) or (N, H, W, C), once their shapes agree."""
    maps, others = checked_maps(maps, channels=True), checked_maps(others, channels=True)
    if maps.shape != others.shape:
        raise AttribevalError(f"Expected two maps per image. Received: shapes {maps.shape} and {others.shape}.")
    return maps, others
