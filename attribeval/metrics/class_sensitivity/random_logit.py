"""The random-logit test (Sixt et al. 2020): does the map change if another class is explained?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from attribeval.common.options import check_choice, check_count
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.class_sensitivity.similarity import SIMILARITIES, similarity
from attribeval.metrics.subject import Explained, Subject

_STREAM = 8_000_000  # far from the indices that methods fold


def random_logit(
    maps: np.ndarray, other_maps: np.ndarray, kind: Literal["spearman", "cosine", "ssim"] = "spearman"
) -> np.ndarray:
    """Similarity of the map of the target with the map of another class (Sixt et al. 2020, random logit).

    Differs from the paper and from Quantus, which take SSIM (`kind="ssim"`): it sees what looks alike, and its value
    depends on how a signed map is scaled to a picture; the default compares all signed values and scales nothing.
    Quantus also runs its SSIM over the map as one long row of pixels.

    Args:
        maps: Of the target, (N, H, W) or (N, H, W, C), signed as the method gave them.
        other_maps: Of another class, with the same random numbers, the same shape.
        kind: See `similarity.similarity`.

    Returns:
        float64 (N,), −1 to 1: 1 for a map that does not depend on the class, low is class-sensitive. NaN where a map
        is constant (for "cosine": 0).

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return similarity(maps, other_maps, kind)


def other_classes(targets: np.ndarray, seeds: np.ndarray, classes: int) -> np.ndarray:
    """One class other than the target for each image, drawn uniformly by the image's own seed, int32 (N,)."""
    if classes < 2:
        raise AttribevalError(f"Expected a model with 2 classes or more. Received: {classes}: leave random_logit out.")
    steps = [generator.integers(1, classes) for generator in generators(fold(seeds, _STREAM))]
    return ((np.asarray(targets) + steps) % classes).astype(np.int32)


@dataclass(frozen=True)
class RandomLogit:
    """The random-logit test on the leaderboard. All methods are asked for the same other classes.

    Attributes:
        similarity: "spearman", "cosine" or "ssim", see `similarity.similarity`.
        images: How many images are judged, the first ones; the others' scores are NaN.
    """

    similarity: Literal["spearman", "cosine", "ssim"] = "spearman"
    images: int = 25

    card = Card.of(r"""
        random_logit (class sensitivity): rank correlation of the maps of the target and of another class, −1 to 1; 1 is
            blind to the class
        better: low
        passes: 0 + 1 map
        paper: Sixt et al. 2020, random logit
        maths: \rho(\varphi_c, \varphi_{c^\prime}), \qquad c^\prime \neq c \mathrm{\ at\ random}
        misleads: Two classes that look at the same object should have similar maps; noise that depends on the class
            scores about 0. Of one unit, which is two classes, the other score is the negative: signed maps score −1
            whatever they show.
        needs: explain
    """)

    def __post_init__(self):
        check_choice("similarity", self.similarity, SIMILARITIES)
        check_count("images", self.images, least=1)

    def prepare(self, subject: Subject) -> np.ndarray:
        """The other class of each judged image, int32 (n,)."""
        judged = slice(self.images)
        return other_classes(subject.targets[judged], subject.seeds[judged], subject.logits.shape[1])

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """As `random_logit`, (N,); NaN also for images that were not judged."""
        judged = slice(self.images)
        others = explained.share(
            ("maps of other classes", self.images),
            lambda: explained.explain(subject.images[judged], prepared, subject.seeds[judged]),
        )
        return subject.of_first(random_logit(explained.values[judged], others, self.similarity))
