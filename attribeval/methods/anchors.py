"""Anchors for images: the smallest set of superpixels that holds the prediction, whatever happens to the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attribeval.common.options import check_count, check_share
from attribeval.common.seeds import generators
from attribeval.methods.anchor_search import PULL, Search, answered
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import OfSegments


@dataclass(frozen=True)
class Anchors(OfSegments):
    """Anchors (Ribeiro et al. 2018): segments that suffice for the prediction, whichever others are hidden.

    The anchor's segments carry its precision, the estimated probability that the prediction is the target while they
    are shown and every other segment is hidden by a fair coin; all other pixels are 0. A map of zeros says that nothing
    needs to be shown, or that the model does not predict the target. If no set of `max_size` segments reaches the
    threshold, the best one is returned with its lower precision.

    Attributes:
        threshold: Precision that an anchor must have.
        delta: One minus the confidence of the search.
        tolerance: Difference of precision that need not be told apart.
        beam: Candidates kept for each size.
        max_size: Segments in an anchor at most.
        samples: Perturbed images per size at most, and again for each check of a candidate.
    """

    threshold: float = 0.95
    delta: float = 0.05
    tolerance: float = 0.15
    beam: int = 2
    max_size: int = 10
    samples: int = 1000

    card = Card.of(r"""
        anchors (model-agnostic): superpixels that suffice for the prediction, with the precision of that
        needs: nothing
        passes: ≈ 1000 per segment of the anchor + 0
        paper: Ribeiro et al. 2018, alg. 1-2
        maths: M(u) = \pi(A) \, 1[s(u) \in A], \quad \pi(A) = P(\arg\max f(x_z) = c \;|\; z_A = 1) \geq \tau
        misleads: One sufficient set of many looks like the evidence; zeros may mean that nothing is needed.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("threshold", "delta", "tolerance"):
            check_share(name, getattr(self, name))
        check_count("beam", self.beam, 1)
        check_count("max_size", self.max_size, 1)
        check_count("samples", self.samples, PULL)

    def attribute(self, batch: Batch) -> Any:
        """Return the precision on the pixels of the anchor, (B, H, W, 1), between 0 and 1."""
        regions = self.regions(batch)
        searches = {
            i: Search(partial(regions.is_target, i), regions.count(i), generator, self).steps()
            for i, generator in enumerate(generators(batch.seeds))
        }
        anchors = answered(searches, regions.are_targets)
        values = [np.zeros(regions.count(i)) for i in range(len(batch))]
        for i, anchor in anchors.items():
            values[i][list(anchor.kept)] = anchor.precision
        return regions.maps(values)
