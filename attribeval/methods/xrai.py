"""XRAI. Often confused with integrated gradients averaged over one segmentation: here regions overlap and compete."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.integrated_gradients import integral
from attribeval.methods.path import completeness_gap

# Of the authors' code, for images that are seen at 224 × 224.
_SIDE = 224
_SCALES = (50, 100, 150, 250, 500, 1200)
_SIGMA = 0.8
_LEAST_SEGMENT = 150
_RADIUS = 5
_LEAST_GAIN = 50


def segment_masks(image: np.ndarray) -> Any:
    """Segments of an image at six scales, each dilated so that it holds its own edges.

    Sparse, bool (segments, H · W), from fine to coarse. A raw image may have any range of values: it is scaled by its
    own smallest and largest value. The last images' are kept: a sanity check explains the same ones with many models.
    """
    return _segmented(image.tobytes(), image.shape, image.dtype)


@functools.lru_cache(maxsize=32)
def _segmented(content: bytes, shape: tuple[int, int, int], dtype: np.dtype) -> Any:
    from scipy import ndimage, sparse
    from skimage.segmentation import felzenszwalb
    from skimage.transform import resize

    image = np.frombuffer(content, dtype).reshape(shape)
    height, width, _ = shape
    low, high = float(image.min()), float(image.max())
    scaled = (image.astype(np.float64) - low) * (2 / (high - low)) - 1 if high > low else np.zeros(image.shape)
    if (height, width) != (_SIDE, _SIDE):
        scaled = np.clip(resize(scaled, (_SIDE, _SIDE), order=3, mode="edge", anti_aliasing=True), -1, 1)
    radius = max(1, round(_RADIUS * min(height, width) / _SIDE))
    across = np.arange(-radius, radius + 1)
    disk = across[:, None] ** 2 + across**2 <= radius**2
    rows = np.minimum((np.arange(height) + 0.5) * _SIDE / height, _SIDE - 1).astype(int)  # nearest pixel's label
    columns = np.minimum((np.arange(width) + 0.5) * _SIDE / width, _SIDE - 1).astype(int)
    masks = []
    for scale in _SCALES:
        found = felzenszwalb(scaled, scale=scale, sigma=_SIGMA, min_size=_LEAST_SEGMENT)
        labels = np.pad(found[np.ix_(rows, columns)] + 1, radius)
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            if box is None:  # too small to own a pixel of this image
                continue
            box = tuple(slice(side.start - radius, side.stop + radius) for side in box)
            mask = np.zeros(labels.shape, bool)
            mask[box] = ndimage.binary_dilation(labels[box] == label, disk)
            masks.append(sparse.csr_array(mask[radius:-radius, radius:-radius].reshape(1, -1)))
    return sparse.vstack(masks, format="csr")


def grow(attribution: np.ndarray, masks: Any, least: int, fast: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Add segments one by one, always the one whose new pixels have the highest mean attribution.

    A segment that adds fewer new pixels than `least` is never added. `fast` orders the segments once by the mean of all
    their pixels, instead of anew after each addition.

    Returns:
        The map (H, W): each pixel has the mean attribution of the pixels that came with it, so the sum stays; and its
        region, int (H, W), regions numbered from the highest mean down, pixels that no segment brought last.
    """
    flat = attribution.astype(np.float64).ravel()
    weights = masks.astype(np.float64)
    columns = weights.tocsc()
    sums, counts = weights @ flat, weights.sum(axis=1)
    order = iter(np.argsort(-sums / counts, kind="stable")) if fast else None
    free, alive = np.ones(flat.size, bool), np.ones(len(sums), bool)
    step = np.full(flat.size, -1)
    densities: list[float] = []
    while True:
        alive &= counts >= least
        if not alive.any():
            break
        if order is None:
            best = int(np.argmax(np.where(alive, sums / np.maximum(counts, 1), -np.inf)))
        else:
            best = next(int(one) for one in order if alive[one])
        pixels = masks.indices[masks.indptr[best] : masks.indptr[best + 1]]
        new = pixels[free[pixels]]
        step[new] = len(densities)
        densities.append(float(flat[new].mean()))
        free[new], alive[best] = False, False
        taken = columns[:, new]  # each pixel is taken off once, so all additions cost one look at the masks
        sums, counts = sums - taken @ flat[new], counts - taken.sum(axis=1)
    regions = len(densities)
    rank = np.full(regions + 1, regions)  # pixels left over keep step −1, the last entry, whatever their mean
    rank[np.argsort(-np.array(densities), kind="stable")] = np.arange(regions)
    densities.append(float(flat[free].mean()) if free.any() else 0.0)
    return np.array(densities)[step].reshape(attribution.shape), rank[step].reshape(attribution.shape)


@dataclass(frozen=True)
class XRAI:
    """Regions ranked by integrated gradients per pixel (Kapishnikov et al. 2019, section 3 and algorithm 1).

    The attribution is the mean of integrated gradients from a black and a white image (each image's own smallest and
    largest raw value), summed over channels. Segments come from Felzenszwalb and Huttenlocher's graph at six scales,
    with the settings of the authors' code: found at 224 × 224 and brought back, dilated by 5 pixels, ignored when they
    add fewer than 50 (both numbers in proportion, for images of another size). The map sums to the mean over both
    baselines of f(x) − f(baseline). The authors' code takes the largest channel instead of the sum, which loses that.

    Attributes:
        steps: Gradients per image and baseline.
        fast: Order the segments once, not again after each addition.
    """

    steps: int = 25
    fast: bool = False

    card = Card.of(r"""
        xrai (region): contribution per pixel of the region that a pixel belongs to
        needs: gradients
        passes: 53 + 50
        paper: Kapishnikov et al. 2019, sec. 3
        maths: M(u) = \frac{1}{|S_u|} \sum_{v \in S_u} \frac{1}{2} \sum_{x' \in \{\min x,\, \max x\}} \sum_{ch}
            \mathrm{IG}_{v, ch}(x;\, x'), \qquad S_u \ni u
        misleads: Outlines are those of an image segmentation, which knows no model: a map that hugs the object may owe
            that to the object's colour.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return the density of each pixel's region, (B, H, W, 1), in logits per pixel; sets the completeness gap."""
        pixels, difference = batch.share(("xrai", self.steps), lambda: self._integrate(batch))
        masks = batch.share("xrai_masks", lambda: [segment_masks(image) for image in batch.raw])
        least = max(1, round(_LEAST_GAIN * batch.size[0] * batch.size[1] / _SIDE**2))
        grown = [grow(one, mask, least, self.fast)[0] for one, mask in zip(pixels, masks, strict=True)]
        maps = np.stack(grown).astype(np.float32)[..., None]
        batch.completeness_gap = completeness_gap(maps, difference)
        return maps

    def _integrate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Contributions of pixels (B, H, W) and what they should sum to (B,), means over both baselines."""
        total, difference = np.zeros(batch.raw.shape[:3]), np.zeros(len(batch))
        for extreme in (np.min, np.max):
            colour = extreme(batch.raw, axis=(1, 2, 3), keepdims=True)
            start = batch.classifier.prepare(np.broadcast_to(colour, batch.raw.shape).astype(np.float32))
            maps = integral(batch, start, "midpoint", self.steps)
            total += maps.numpy().sum(axis=-1, dtype=np.float64) / 2
            difference += (batch.target_scores() - batch.scores_at(start)).numpy().astype(np.float64) / 2
        return total, difference
