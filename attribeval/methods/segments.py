"""Images as a few regions that are shown or hidden: segmentation, painting, and what the model says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attribeval.common.fills import Fill, check_fill, filled
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.descriptions import segments as by_segments
from attribeval.methods.painting import Painter

ALGORITHMS = ("slic", "quickshift", "grid")
_COUNT = 50
_LEAST = 9  # pixels in a segment, where we choose: the mean colour of one pixel is the pixel, and hides nothing


def unit_range(image: np.ndarray) -> np.ndarray:
    """An image scaled by its own smallest and largest value, float64 from 0 to 1; zeros if it has one value."""
    low, high = float(image.min()), float(image.max())
    return (image.astype(np.float64) - low) / (high - low) if high > low else np.zeros(image.shape)


@dataclass(frozen=True)
class Segmentation:
    """How an image is cut into superpixels; frozen, so that it is the key under which methods share the result.

    Attributes:
        algorithm: "slic" (Achanta et al. 2012; compactness 10), "quickshift" (Vedaldi & Soatto 2008, with the settings
            of the `lime` package), or "grid" (rectangles, whatever the image shows).
        count: About how many segments; None takes 50, or as many as have 9 pixels each in a small image. Quickshift
            finds its own number.
    """

    algorithm: str = "slic"
    count: int | None = None

    def __post_init__(self) -> None:
        check_choice("segmentation", self.algorithm, ALGORITHMS)
        if self.count is None:
            return
        if self.algorithm == "quickshift":
            raise AttribevalError(
                "Expected no number of segments with quickshift, which finds its own. "
                f"Received: segments={self.count!r}: leave it out, or use segmentation='slic'."
            )
        check_count("segments", self.count, 1)

    def labels(self, image: np.ndarray) -> np.ndarray:
        """Cut one image (H, W, C), any range of values: int (H, W), labels 0 … S − 1, each of them present.

        The same image gives the same segments.
        """
        from skimage import segmentation

        height, width, channels = image.shape
        count = self.count or min(_COUNT, max(4, height * width // _LEAST))
        if self.algorithm == "grid":
            rows = min(height, max(1, round(np.sqrt(count * height / width))))
            columns = min(width, max(1, round(count / rows)))
            return (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width
        unit = unit_range(image)
        lab = channels == 3  # both work in CIELAB where there are colours
        if self.algorithm == "slic":
            found = segmentation.slic(
                unit, n_segments=count, compactness=10, start_label=0, channel_axis=-1, convert2lab=lab
            )
        else:
            found = segmentation.quickshift(
                unit, kernel_size=4, max_dist=200, ratio=0.2, convert2lab=lab, channel_axis=-1, rng=0
            )
        return np.unique(found, return_inverse=True)[1].reshape(height, width)


class Regions:
    """The segments of the images of a batch, and the scores of the images with some of them hidden.

    Segments and fills are shared by all methods that explain the batch with the same options. Painted images exist
    only `capacity` at a time.
    """

    def __init__(self, batch: Batch, segmentation: str, segments: int | None, fill: Fill):
        cut = Segmentation(segmentation, segments)
        self._batch = batch
        self.labels: list[np.ndarray] = batch.share(
            ("segments", cut), lambda: [cut.labels(image) for image in batch.raw]
        )
        if fill == "segment_mean":
            self._check_sizes(segmentation)
        key = ("filled", fill, cut if fill == "segment_mean" else None)
        self.hidden: np.ndarray = batch.share(key, lambda: filled(batch.raw, fill, self.labels))

    def _check_sizes(self, segmentation: str) -> None:
        """Refuse segments that are all single pixels, whose mean colour is their own."""
        for i, labels in enumerate(self.labels):
            if labels.size > 1 and labels.max() + 1 == labels.size:
                raise AttribevalError(
                    f"Expected segments of more than one pixel for fill='segment_mean', which hides nothing otherwise. "
                    f"Received {labels.size} segments for the {labels.size} pixels of image {i} of its batch "
                    f"(segmentation={segmentation!r}): ask for fewer segments, or use fill='mean' or 'black'."
                )

    def count(self, i: int) -> int:
        """Number of segments of image i."""
        return int(self.labels[i].max()) + 1

    def scores(self, i: int, shown: np.ndarray) -> np.ndarray:
        """The target's score of image i with some segments hidden, float64 (M,); `shown`: bool (M, S)."""
        return self._answers("logit", {i: shown})[i]

    def all_scores(self, shown: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`scores` of all images, in calls that fill the capacity; one `shown` for each, (any number, its segments)."""
        return list(self._answers("logit", dict(enumerate(shown))).values())

    def are_targets(self, shown: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Whether the model still predicts the targets of some images, by their numbers, bool (M,)."""
        return {i: answers > 0.5 for i, answers in self._answers("is_target", shown).items()}

    def maps(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Paint each segment's value, (S,) per image, on its pixels: float32 (B, H, W, 1)."""
        painted = [value[labels] for value, labels in zip(values, self.labels, strict=True)]
        return np.stack(painted).astype(np.float32)[..., None]

    @cached_property
    def _painter(self) -> Painter:
        return Painter(self._batch, self.hidden, by_segments(), self.labels)

    def _answers(self, answer: str, shown: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """What `Painter.answers` says of some images, by their numbers."""
        width = max(map(self.count, shown))

        def describe(i: int, rows: np.ndarray) -> tuple[np.ndarray]:
            return (np.pad(shown[i][rows], ((0, 0), (0, width - self.count(i)))),)

        return self._painter.answers(answer, {i: len(one) for i, one in shown.items()}, describe)


@dataclass(frozen=True)
class OfSegments:
    """The options of all methods on superpixels.

    Attributes:
        segments: About how many superpixels; None takes 50, fewer in an image of under 450 pixels.
        segmentation: "slic", "quickshift" or "grid".
        fill: What replaces a hidden segment, in raw image space.
    """

    segments: int | None = None
    segmentation: str = "slic"
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        Segmentation(self.segmentation, self.segments)
        check_fill(self.fill)

    def regions(self, batch: Batch) -> Regions:
        """The segments of the images of a batch."""
        return Regions(batch, self.segmentation, self.segments, self.fill)
