"""LIME on superpixels. Often confused with occlusion: here many segments are hidden at once, and a line is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.fills import Fill
from attribeval.common.options import check_choice, check_count, check_positive
from attribeval.common.seeds import generators
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import OfSegments

DISTANCES = ("cosine", "euclidean", "cityblock", "hamming")


def draw_masks(generator: np.random.Generator, samples: int, segments: int) -> np.ndarray:
    """Which segments each sample shows, bool: fair coins, and the whole image first (as the `lime` package has it)."""
    shown = generator.random((samples, segments)) < 0.5
    shown[0] = True
    return shown


def fit(shown: np.ndarray, scores: np.ndarray, kernel_width: float, alpha: float, distance: str) -> np.ndarray:
    """The weighted ridge regression of LIME, by the `lime` package (Ribeiro et al. 2016, equation 1, algorithm 1).

    From which segments each sample shows, bool (M, S), the first the whole image, and the scores of all samples, (M,),
    to one coefficient per segment, float64 (S,), in score units. Options are those of `LIME`.
    """
    from lime.lime_base import LimeBase
    from sklearn.linear_model import Ridge
    from sklearn.metrics import pairwise_distances

    data = shown.astype(np.float64)
    distances = pairwise_distances(data, data[:1], metric=distance).ravel()
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / kernel_width**2)), random_state=0)
    _, found, _, _ = base.explain_instance_with_data(
        data,
        np.asarray(scores, dtype=np.float64)[:, None],
        distances,
        0,
        data.shape[1],
        feature_selection="none",
        model_regressor=Ridge(alpha=alpha, fit_intercept=True),
    )
    return np.array([coefficient for _, coefficient in sorted(found)])  # by segment


@dataclass(frozen=True)
class LIME(OfSegments):
    """Local linear surrogate over superpixels (Ribeiro et al. 2016, section 3).

    Every segment's coefficient is painted on its pixels. The fit is the `lime` package's; the samples are painted and
    scored in micro-batches, so memory does not depend on their number. Explains the same score as every other method:
    the logit, unless the Attributer has score="output".

    Attributes:
        samples: Perturbed images per image.
        fill: What replaces a hidden segment, in raw image space ("segment_mean" is the `lime` package's).
        kernel_width: σ of the proximity weights √exp(−d² / σ²).
        alpha: Penalty of the ridge regression.
        distance: "cosine", "euclidean", "cityblock" or "hamming", between the mask and the mask that shows all.
    """

    samples: int = 1000
    fill: Fill = "segment_mean"
    kernel_width: float = 0.25
    alpha: float = 1.0
    distance: str = "cosine"

    card = Card.of(r"""
        lime (model-agnostic): weight of a superpixel in a local linear model of the score
        needs: nothing
        passes: 1000 + 0
        paper: Ribeiro et al. 2016, sec. 3, alg. 1
        maths: \min_{w, w_0} \sum_z \pi(z) \left(f(x_z) - w_0 - w^T z\right)^2 + \alpha \| w \|_2^2, \qquad \pi(z) =
            \sqrt{\exp(-d(z, 1)^2 / \sigma^2)}, \qquad M(u) = w_{s(u)}
        misleads: Samples hide about half of the image and, by the cosine distance, weigh about alike: 'local' means
            half-hidden pictures. Segments, fill and seed each change the map: look at a second seed.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("samples", self.samples, 2)
        check_positive("kernel_width", self.kernel_width)
        check_positive("alpha", self.alpha)  # without it, segments that are always hidden together have no answer
        check_choice("distance", self.distance, DISTANCES)

    def attribute(self, batch: Batch) -> Any:
        """Return the coefficients on the pixels of their segments, (B, H, W, 1), in score units."""
        regions = self.regions(batch)
        shown = [
            draw_masks(generator, self.samples, regions.count(i)) for i, generator in enumerate(generators(batch.seeds))
        ]
        pairs = zip(shown, regions.all_scores(shown), strict=True)
        return regions.maps([fit(*pair, self.kernel_width, self.alpha, self.distance) for pair in pairs])
