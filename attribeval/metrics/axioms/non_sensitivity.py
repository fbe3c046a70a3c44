"""Non-sensitivity: is a map zero exactly where the score depends on nothing? (Nguyen & Martínez 2020)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_count, check_positive
from attribeval.common.seeds import fold, generators
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.cells import cell_sums, grid_cells
from attribeval.metrics.faithfulness.scoring import clean_scores, score_of, scored, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

_STREAM = 2**34 + 2**31  # random numbers of replaced patches


def non_sensitivity(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    grid: int = 7, draws: int = 1, map_tolerance: float = 1e-5, score_tolerance: float = 1e-4,
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """|A₀ Δ X₀| / features: A₀ those without attribution, X₀ those without effect (Nguyen & Martínez 2020).

    Features are the patches of a grid. A patch has no attribution if the sum of its |values| is at most
    `map_tolerance` of the largest patch's. It has no effect if the score stays within `score_tolerance` whatever is
    put in its place: `draws` times uniform noise over the image's own range.

    Args:
        maps: Maps (N, H, W), or (N, H, W, C).
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); the paper has a scalar f.
        targets: Class explained for each image, ints (N,).
        grid: Patches along each side.
        draws: How often each patch is replaced.
        map_tolerance: As a share of the largest patch.
        score_tolerance: In units of the score.
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), 0..1; low is right. A map of zeros has the share of patches with an effect.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from Quantus: a share and not a count; patches of a partition instead of single pixels; random values in
    their place instead of one colour, with which a patch of that colour seems without effect. In its
    code as read, the two sets hold truth values (of indices below the threshold), not features.
    """
    metric = NonSensitivity(grid, draws, map_tolerance, score_tolerance)
    return score_of(metric, maps, subject_of(images, predict, targets, seeds, clean, batch_size), channels=True)


@dataclass(frozen=True)
class NonSensitivity:
    """`non_sensitivity` of the logit.

    Attributes:
        grid, draws, map_tolerance, score_tolerance: See `non_sensitivity`.
    """

    grid: int = 7
    draws: int = 1
    map_tolerance: float = 1e-5
    score_tolerance: float = 1e-4

    card = Card.of(r"""
        non_sensitivity (axiom): share of patches, 0 to 1, that have attribution without effect on the logit, or effect
            without any
        better: low
        passes: 49 + 0
        paper: Nguyen & Martínez 2020 (arXiv:2007.07584)
        maths: \frac{|A_0 \, \Delta \, X_0|}{n}, \qquad A_0 = \{k : a_k \leq \tau_a \max_l a_l\}, \quad a_k = \sum_{u
            \in P_k} |\varphi(u)| \\ X_0 = \{k : \max_z |f(x_{P_k \leftarrow z}) - f(x)| \leq \tau_f\}, \qquad z \sim
            U(\min x, \max x)
        misleads: Every patch of a photograph has some effect on a deep net, so that any map without zeros, a random one
            too, is perfect: it finds maps that are cut off, and models with blind spots.
    """)

    def __post_init__(self) -> None:
        check_count("grid", self.grid, 1)
        check_count("draws", self.draws, 1)
        check_positive("map_tolerance", self.map_tolerance)
        check_positive("score_tolerance", self.score_tolerance)

    def prepare(self, subject: Subject) -> np.ndarray:
        """Largest change of the logit when a patch is replaced, float64 (N, grid²)."""
        images, cells = subject.images, grid_cells(subject.images.shape[1:3], self.grid)
        clean = clean_scores(subject)[:, 0]

        def modified() -> Iterator[tuple[int, np.ndarray]]:
            for i, generator in enumerate(generators(fold(subject.seeds, _STREAM))):
                low, high = images[i].min(), images[i].max()
                low, high = (low, high) if low < high else (low - 1, high + 1)  # an image of one value has no range
                for _ in range(self.draws):
                    noise = low + (high - low) * generator.random(images.shape[1:], dtype=np.float32)
                    for patch in range(self.grid**2):
                        yield i, np.where((cells == patch)[..., None], noise, images[i])

        scores = scored(subject, modified())[:, 0].reshape(len(images), self.draws, -1)
        return np.abs(scores - clean[:, None, None]).max(1)

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """Share of patches that disagree, float64 (N,)."""
        maps = checked_maps(explained.values, subject.images, channels=True)
        strengths = cell_sums(np.abs(maps).sum(-1), grid_cells(subject.images.shape[1:3], self.grid))
        silent = strengths <= self.map_tolerance * strengths.max(1, keepdims=True)
        return (silent != (prepared <= self.score_tolerance)).mean(1)
