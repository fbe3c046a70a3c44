"""Partition SHAP: Owen values over a tree of rectangles. Often confused with KernelSHAP, which knows no hierarchy."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_count
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import Regions
from attribeval.methods.shap_bridge import Ends, global_seed

# Rectangles are split where the score changes most, a few at a time; how many is part of the result, so it is fixed.
ROUND = 16


@functools.lru_cache(maxsize=4)
def _masker(height: int, width: int) -> Any:
    """shap's tree of rectangles over an image of this size; at 224 × 224 it takes a fifth of a second to grow."""
    import shap

    return shap.maskers.Image(0.0, (height, width, 1))


@dataclass(frozen=True)
class PartitionSHAP:
    """Owen values of a tree of rectangles, by `shap.PartitionExplainer` (Lundberg & Lee 2017; Owen 1977).

    The image is halved again and again, first where the score changes most, until `samples` are spent; what a
    rectangle is worth is spread evenly over its pixels, so the map sums to the score of the image minus the score of
    the image with everything filled (`completeness_gap` says how exactly). Needs no OpenCV: `shap` sees pixels that
    are there or not, and the fill is ours.

    Attributes:
        samples: Perturbed images per image, at most.
        fill: What replaces hidden pixels, in raw image space; all but "segment_mean".
    """

    samples: int = 500
    fill: Fill = "mean"

    card = Card.of(r"""
        partition_shap (model-agnostic): Owen value of a place; the map sums to score − score of the filled image
        needs: nothing
        passes: 500 + 0
        paper: Lundberg & Lee 2017; Owen 1977 (shap.PartitionExplainer)
        maths: \phi_{R} = \mathbb{E}_C \left[v(C \cup R) - v(C)\right], \quad v(T) = f(x_T), \quad C: \mathrm{each\
            sibling\ of}\ R\ \mathrm{and\ of\ what\ holds\ it,\ by\ a\ fair\ coin}, \qquad M(u) =
            \frac{\phi_{R(u)}}{|R(u)|}
        misleads: Halves are cut in the middle, not along objects, and once the samples are spent a rectangle spreads
            its worth evenly: sharp borders in the map are those of the tree.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_fill(self.fill, allowed=PLAIN_FILLS)
        check_count("samples", self.samples, 4)

    def attribute(self, batch: Batch) -> Any:
        """Return the Owen values, (B, H, W, 1), in score units per pixel."""
        import shap

        height, width = batch.size
        regions = Regions(batch, "grid", height * width, self.fill)  # every pixel a segment
        masker = _masker(height, width)
        values, gaps = [], []
        for i, seed in enumerate(batch.seeds):
            kept = Ends(partial(regions.scores, i))
            with global_seed(seed):  # shap breaks ties at random
                explainer = shap.PartitionExplainer(kept, masker)
                found = explainer(np.ones((1, height, width, 1)), max_evals=self.samples, batch_size=ROUND, silent=True)
            owen = np.asarray(found.values, dtype=np.float64).ravel()
            gaps.append(kept.gap(owen))
            values.append(owen)
        batch.completeness_gap = np.array(gaps, dtype=np.float32)
        return regions.maps(values)
