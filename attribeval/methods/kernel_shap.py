"""KernelSHAP on superpixels. Often confused with LIME: here the weights are Shapley's, and the sum is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import OfSegments
from attribeval.methods.shap_bridge import Ends, global_seed


def kernel_values(
    game: Callable[[np.ndarray], np.ndarray], players: int, samples: int, seed: np.ndarray
) -> tuple[np.ndarray, float]:
    """Shapley values by `shap.KernelExplainer` (Lundberg & Lee 2017, theorem 2), no feature selection.

    The explainer enumerates the sizes of coalitions that fit into `samples`, draws the others in pairs, and solves
    the weighted least squares under the constraint Σφ = game(all) − game(none). All 2^players − 2 coalitions give the
    exact values. The game goes from coalitions, bool (M, players), to values, float64 (M,).

    Returns:
        φ, float64 (players,), and Σφ − (game(all) − game(none)).
    """
    import shap

    if samples < players and samples < 2**players - 2:  # fewer equations than unknowns have no one solution
        raise AttribevalError(
            f"Expected at least as many samples as segments. Received: {samples} samples for {players} segments: "
            "raise samples= or lower segments=."
        )
    kept = Ends(game)
    with global_seed(seed):
        explainer = shap.KernelExplainer(kept, np.zeros((1, players)))
        phi = explainer.shap_values(np.ones((1, players)), nsamples=samples, l1_reg=False, silent=True)[0]
    return phi, kept.gap(phi)


@dataclass(frozen=True)
class KernelSHAP(OfSegments):
    """Shapley values of superpixels by weighted least squares (Lundberg & Lee 2017, section 4.1, theorem 2).

    A segment's value is painted on each of its pixels: the values *of the segments* sum to the score of the image
    minus the score of the image with everything filled (exactly; `completeness_gap` says how exactly).

    Attributes:
        samples: Coalitions at most, without the empty and the full one.
    """

    samples: int = 1000

    card = Card.of(r"""
        kernel_shap (model-agnostic): Shapley value of a superpixel; the values sum to score − score of the filled image
        needs: nothing
        passes: 1002 + 0
        paper: Lundberg & Lee 2017, sec. 4.1, thm. 2
        maths: \min_{\phi} \sum_z \frac{S - 1}{\binom{S}{|z|} |z| (S - |z|)} \left(f(x_z) - f(x_\emptyset) - \phi^T
            z\right)^2, \qquad \sum_s \phi_s = f(x) - f(x_\emptyset), \qquad M(u) = \phi_{s(u)}
        misleads: The sum is exact even where the single values are not: samples barely above the number of segments
            leave them noisy, and hidden means filled, an image that nobody ever saw.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("samples", self.samples, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return φ on the pixels of the segments, (B, H, W, 1), in score units."""
        regions = self.regions(batch)
        values, gaps = [], []
        for i, seed in enumerate(batch.seeds):
            phi, gap = kernel_values(partial(regions.scores, i), regions.count(i), self.samples, seed)
            values.append(phi)
            gaps.append(gap)
        batch.completeness_gap = np.array(gaps, dtype=np.float32)
        return regions.maps(values)
