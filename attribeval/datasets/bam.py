"""The BAM data: objects in scenes, each composite with its scene alone and its object alone, and the sets made of them.

Yang & Kim 2019, "Benchmarking Attribution Methods with Relative Feature Importance", section 3. In their notation
X_{o,s} are the composites, X_{∅,s} the scenes alone, X_{o,g} the objects on grey, and X^k_{o,s} images with scene
labels of which a share k of the scene classes always holds one and the same object class, the common feature, and the
other classes hold no object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from attribeval.datasets.compositing import GREY
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import Part
from attribeval.errors import AttribevalError, unknown

KINDS = ("composite", "scene_only", "object_only")
LABELS = ("object", "scene")


@dataclass(frozen=True, eq=False, repr=False)
class BamPart(Part):
    """The training or the test images; item i of every array is image i. Arrays may be memory-mapped files.

    Attributes:
        name: "train" or "test".
        images: Composites, uint8 (N, H, W, 3).
        scene_only: The same scenes without their object, uint8 (N, H, W, 3).
        masks: The object's pixels, bool (N, H, W).
        objects, scenes: Labels, int64 (N,).
        object_names, scene_names: By label.
    """

    scene_only: np.ndarray
    masks: np.ndarray
    objects: np.ndarray
    scenes: np.ndarray
    object_names: tuple[str, ...]
    scene_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.images)
        for what in ("scene_only", "masks", "objects", "scenes"):
            if len(getattr(self, what)) != n:
                raise AttribevalError(f"Expected {n} entries of {what}. Received: {len(getattr(self, what))}.")
        if self.images.shape != self.scene_only.shape or self.masks.shape != self.images.shape[:3]:
            raise AttribevalError(
                f"Expected composites and scenes of one size and a mask for each. Received: {self.images.shape}, "
                f"{self.scene_only.shape}, {self.masks.shape}."
            )
        for labels, names in ((self.objects, self.object_names), (self.scenes, self.scene_names)):
            if n and (labels.min() < 0 or labels.max() >= len(names)):
                raise AttribevalError(f"Expected labels from 0 to {len(names) - 1}. Received: {labels.max()}.")

    def load(self, kind: str, items: np.ndarray | slice) -> np.ndarray:
        """Images of one kind ("composite", "scene_only", "object_only": on grey 128), uint8 (n, H, W, 3)."""
        if kind not in KINDS:
            raise unknown("kind of BAM image", kind, KINDS)
        if kind == "object_only":
            return np.where(self.masks[items][..., None], self.images[items], np.uint8(GREY))
        return np.asarray((self.images if kind == "composite" else self.scene_only)[items])

    def labels(self, label: str) -> np.ndarray:
        """The labels, "object" or "scene"."""
        if label not in LABELS:
            raise unknown("label of BAM", label, LABELS)
        return self.objects if label == "object" else self.scenes

    def names(self, label: str) -> tuple[str, ...]:
        """Class names of "object" or "scene"."""
        return self.object_names if label == "object" else self.scene_names

    def view(self, kind: str = "composite", label: str = "scene", items: np.ndarray | None = None) -> BamView:
        """Images of one kind with one sort of label.

        Args:
            kind: One of `KINDS`.
            label: "object" or "scene".
            items: Which images; None: all.
        """
        if kind not in KINDS:
            raise unknown("kind of BAM image", kind, KINDS)
        items = np.arange(len(self)) if items is None else np.asarray(items)
        labels = self.labels(label)[items].astype(np.int64)
        return BamView(self, items, np.full(len(items), KINDS.index(kind)), labels, self.names(label))

    def common_feature(self, k: float, feature: int, order: Sequence[int] | None = None) -> BamView:
        """X^k_{o,s}: a share k of the scene classes always shows the common feature, the others show no object.

        It is made of the images whose object is the feature: the composite for the classes that have it, the scene
        alone for the others. So every k has the same scenes, and nothing else differs.

        Args:
            k: The commonality, above 0 and up to 1; k times the number of scene classes must be a whole number.
            feature: Class index of the object.
            order: Scene classes, the ones that have the feature first; None: by label.

        Raises:
            AttribevalError: If k is out of range or no whole number of classes, or no image has the feature.
        """
        classes = len(self.scene_names)
        count = round(k * classes)
        if not 0 < k <= 1 or count < 1 or abs(count - k * classes) > 1e-6:
            raise AttribevalError(
                f"Expected a commonality k that is a whole number of {classes} classes, divided by {classes}. "
                f"Received: {k}."
            )
        if not 0 <= feature < len(self.object_names):
            raise AttribevalError(f"Expected a feature from 0 to {len(self.object_names) - 1}. Received: {feature}.")
        order = list(range(classes)) if order is None else list(order)
        if sorted(order) != list(range(classes)):
            raise AttribevalError(f"Expected an order of all {classes} scene classes. Received: {order}.")
        items = np.flatnonzero(self.objects == feature)
        if not items.size:
            raise AttribevalError(
                f"Expected images of the common feature {self.object_names[feature]!r}. Received none in {self!r}."
            )
        labels = self.scenes[items].astype(np.int64)
        kinds = np.where(np.isin(labels, order[:count]), KINDS.index("composite"), KINDS.index("scene_only"))
        return BamView(self, items, kinds, labels, self.scene_names)

    def samples(self, label: str = "object") -> Samples:
        """The composites as `Samples` with masks, for other benchmarks. In memory."""
        return Samples(
            np.asarray(self.images),
            self.labels(label),
            masks=np.asarray(self.masks),
            class_names=self.names(label),
            ids=[f"{self.name}_{i:06d}" for i in range(len(self))],
            name=f"bam_{self.name}_{label}",
        )

    def fingerprint(self) -> str:
        """A short hash of every pixel, mask and label."""
        return _digest(
            [self.objects, self.scenes],
            lambda some: (self.images[some], self.scene_only[some], np.packbits(self.masks[some])),
        )

    def __getitem__(self, items: np.ndarray | slice) -> BamPart:
        """Some of the images."""
        arrays = ("images", "scene_only", "masks", "objects", "scenes")
        return replace(self, **{name: getattr(self, name)[items] for name in arrays})


@dataclass(frozen=True, eq=False)
class BamView:
    """Images of a part, each of its own kind, with one label each: what a model is trained or tested on.

    Attributes:
        part: Where the pixels are.
        items: Which image of the part, int (n,).
        kinds: Which of `KINDS`, as an index, int (n,).
        labels: int64 (n,).
        class_names: By label.
    """

    part: BamPart
    items: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def load(self, places: np.ndarray | slice) -> np.ndarray:
        """Some of the images, uint8 (m, H, W, 3)."""
        items, kinds = self.items[places], self.kinds[places]
        images = np.empty((len(items), *self.part.images.shape[1:]), np.uint8)
        for k in np.unique(kinds):
            images[kinds == k] = self.part.load(KINDS[k], items[kinds == k])
        return images

    def fingerprint(self) -> str:
        """A short hash of every pixel and label."""
        return _digest(self.labels, lambda some: (self.load(some),))


def _digest(labels: Any, of: Callable[[slice], tuple[np.ndarray, ...]]) -> str:
    """A hash of labels and of the arrays of all items, of which few are in memory at a time."""
    digest = hashlib.blake2b(np.ascontiguousarray(labels, "<i8"), digest_size=8)
    for start in range(0, np.shape(labels)[-1], 256):
        for array in of(slice(start, start + 256)):
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


class Bam(NamedTuple):
    """Two parts that share no object and no scene."""

    train: BamPart
    test: BamPart


def digits(size: int = 48, n_train: int = 10_000, n_test: int = 2_000, seed: int = 0) -> Bam:
    """The embedded BAM data: `digit_scenes`, ten digits on ten photographs; nothing is downloaded.

    Args:
        size, n_train, n_test, seed: As in `digit_scenes`.
    """
    from attribeval.datasets.digit_scenes import OBJECTS, SCENES, digit_scenes

    made = digit_scenes(size=size, n_train=n_train, n_test=n_test, seed=seed)
    return Bam(
        *(
            BamPart(s.name, s.images, s.scene_only, s.masks, s.objects, s.scenes, OBJECTS, SCENES)
            for s in (made.train, made.test)
        )
    )
