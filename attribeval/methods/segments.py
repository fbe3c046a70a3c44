"""Images as a few regions that are shown or hidden: segmentation, painting, and what the model says of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.fills import Fill, check_fill, filled
from attribeval.methods.options import check_choice, check_count
from attribeval.models.preprocessing import Preprocessing

ALGORITHMS = ("slic", "quickshift", "grid")
_COUNT = 50


@dataclass(frozen=True)
class Segmentation:
    """How an image is cut into superpixels; frozen, so that it is the key under which methods share the result.

    Attributes:
        algorithm: "slic" (Achanta et al. 2012; compactness 10), "quickshift" (Vedaldi & Soatto 2008, with the settings
            of the `lime` package), or "grid" (rectangles, whatever the image shows).
        count: About how many segments; None takes 50. Quickshift finds its own number.
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
        """Cut one image; the same image gives the same segments.

        Args:
            image: Raw image (H, W, C), any range of values: it is scaled by its own smallest and largest value.

        Returns:
            int (H, W), labels 0 … S − 1, each of them present.
        """
        from skimage import segmentation

        height, width, channels = image.shape
        count = self.count or _COUNT
        if self.algorithm == "grid":
            rows = min(height, max(1, round(np.sqrt(count * height / width))))
            columns = min(width, max(1, round(count / rows)))
            return (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width
        low, high = float(image.min()), float(image.max())
        unit = (image.astype(np.float64) - low) / (high - low) if high > low else np.zeros(image.shape)
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


def check_regions(segmentation: str, segments: int | None, fill: Fill) -> None:
    """Refuse bad options that all methods on segments have in common."""
    Segmentation(segmentation, segments)
    check_fill(fill)


class Regions:
    """The segments of the images of a batch, and the scores of the images with some of them hidden.

    Segments and fills are shared by all methods that explain the batch with the same options. Painted images exist
    only `capacity` at a time.

    Args:
        batch: The batch.
        segmentation, segments: How images are cut; see `Segmentation`.
        fill: What replaces a hidden segment; see `filled`.
    """

    def __init__(self, batch: Batch, segmentation: str, segments: int | None, fill: Fill):
        cut = Segmentation(segmentation, segments)
        self._batch = batch
        self.labels: list[np.ndarray] = batch.share(
            ("segments", cut), lambda: [cut.labels(image) for image in batch.raw]
        )
        key = ("filled", fill, cut if fill == "segment_mean" else None)
        self.hidden: np.ndarray = batch.share(key, lambda: filled(batch.raw, fill, self.labels))
        # Where preprocessing treats every pixel by itself, painting after it gives the same and costs much less.
        preprocess = batch.classifier.preprocess
        self._hidden_input: Any = None
        if preprocess is None or isinstance(preprocess, Preprocessing):
            self._hidden_input = batch.share((*key, "input"), lambda: batch.classifier.prepare(self.hidden))

    def count(self, i: int) -> int:
        """Number of segments of image i."""
        return int(self.labels[i].max()) + 1

    def paint(self, i: int, shown: np.ndarray) -> np.ndarray:
        """Image i with some segments hidden.

        Args:
            i: Which image of the batch.
            shown: Which segments are to be seen, bool (M, S).

        Returns:
            float32 (M, H, W, C).
        """
        return np.where(shown[:, self.labels[i]][..., None], self._batch.raw[i], self.hidden[i])

    def scores(self, i: int, shown: np.ndarray) -> np.ndarray:
        """The target's score of image i with some segments hidden, float64 (M,); `shown` as in `paint`."""
        return self._all_scores(i, shown, lambda scores, target: scores[:, target].astype(np.float64))

    def is_target(self, i: int, shown: np.ndarray) -> np.ndarray:
        """Whether the model still predicts the target of image i, bool (M,); `shown` as in `paint`."""
        return self._all_scores(i, shown, lambda scores, target: scores.argmax(1) == target)

    def maps(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Paint each segment's value, (S,) per image, on its pixels: float32 (B, H, W, 1)."""
        painted = [value[labels] for value, labels in zip(values, self.labels, strict=True)]
        return np.stack(painted).astype(np.float32)[..., None]

    def _all_scores(self, i: int, shown: np.ndarray, read: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
        """What `read` makes of the scores (M, classes) and the target of image i, a micro-batch at a time."""
        batch, parts = self._batch, []
        target = int(batch.targets[i])
        paint = self._painter(i)
        for start in range(0, len(shown), batch.capacity):
            x = paint(shown[start : start + batch.capacity])
            parts.append(read(batch.classifier.forward(x)[0].numpy(), target))
        return np.concatenate(parts) if parts else np.zeros(0)

    def _painter(self, i: int) -> Callable[[np.ndarray], Any]:
        """A function of `shown`, as in `paint`, that gives model inputs (M, H, W, C)."""
        batch = self._batch
        if self._hidden_input is None:
            return lambda shown: batch.classifier.prepare(self.paint(i, shown))
        paint = _compiled_painter(batch.x.dtype.name)
        given = batch.x[i], self._hidden_input[i], tf.constant(self.labels[i], tf.int32)
        return lambda shown: paint(*given, shown)


@functools.cache
def _compiled_painter(dtype: str) -> Any:
    """`Regions.paint` on model inputs of a dtype, compiled once for all sizes."""
    image = tf.TensorSpec([None, None, None], dtype)
    specs = image, image, tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.bool)

    def paint(image: Any, hidden: Any, labels: Any, shown: Any) -> Any:
        # Each place is looked up in a table of its two colours: where() would take twice as long to spread the mask.
        colours = tf.reshape(tf.stack([hidden, image], axis=2), [-1, tf.shape(image)[2]])
        first = 2 * tf.reshape(tf.range(tf.size(labels)), tf.shape(labels))
        return tf.gather(colours, first + tf.gather(tf.cast(shown, tf.int32), labels, axis=1))

    return tf.function(paint, input_signature=specs, autograph=False)
