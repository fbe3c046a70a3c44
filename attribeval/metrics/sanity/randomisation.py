"""Model parameter randomisation as one number per image (Adebayo et al. 2018, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_count
from attribeval.metrics.card import Card
from attribeval.metrics.sanity.similarity import spearman_absolute
from attribeval.metrics.subject import Explained, Subject
from attribeval.models.randomised import WeightedLayer, randomised, weighted_layers


def likeness_to_random_model(maps: np.ndarray, maps_of_random_model: np.ndarray) -> np.ndarray:
    """Absolute value of Spearman's correlation between the sizes of two maps: of a model, and of a random model.

    Args:
        maps: (N, H, W) or (N, H, W, C), where absolute values are taken before the sum over channels.
        maps_of_random_model: Of the same images, classes and method.

    Returns:
        float64 (N,), 0 to 1, low is better: 1 is a map that knows nothing of the weights; NaN where one is constant.

    Raises:
        AttribevalError: If the shapes differ, or a map is not finite, which is named.

    Differs from Quantus, whose score keeps the sign: a map turned upside down follows the old one, too.
    """
    return np.abs(spearman_absolute(maps, maps_of_random_model))


@dataclass(frozen=True)
class Randomisation:
    """Likeness of a map to that of the model with random weights; see `likeness_to_random_model`.

    Methods that draw random numbers draw the same ones for both models, so that weights are all that differs; the
    control "random", which looks at no model, therefore has 1, as "sobel" has.

    Attributes:
        top: How many layers with weights are made random, from the output; None: all.
        images: How many images are judged, the first ones; the others have NaN.
        statistics: Whether the moving statistics of BatchNormalization go back to 0 and 1 too.
        seed: Of the random weights.
    """

    card = Card.of(r"""
        randomisation (sanity): |Spearman| of |map| between the model and its random twin, 0 to 1
        better: low
        passes: 0 + the method's own (on 25 images)
        paper: Adebayo et al. 2018, section 3
        maths: |\rho(|\varphi_\theta|, |\varphi_{\theta^\prime}|)|, \qquad \theta^\prime: \mathrm{the\ weights,\ drawn\
            again}
        misleads: Methods that multiply by the image stay alike for its sake; noisy maps differ for the sake of noise.
        needs: classifier, explain
    """)

    top: int | None = None
    images: int = 25
    statistics: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top is not None:
            check_count("top", self.top, 1)
        check_count("images", self.images, 1)

    def prepare(self, subject: Subject) -> list[WeightedLayer]:
        """The layers to be made random, from the output."""
        found = subject.share("weighted layers", lambda: weighted_layers(subject.model))
        found = [layer for layer in found if layer.variables]
        return found[: self.top]

    def score(self, subject: Subject, prepared: list[WeightedLayer], explained: Explained) -> np.ndarray:
        """The likeness of the first images, float64 (N,); NaN for the others, and where a map is constant."""
        judged = slice(self.images)
        with randomised(subject.model, prepared, seed=self.seed, statistics=self.statistics):
            maps = explained.explain(subject.images[judged], subject.targets[judged], subject.seeds[judged])
        return subject.of_first(likeness_to_random_model(explained.values[judged], maps))
