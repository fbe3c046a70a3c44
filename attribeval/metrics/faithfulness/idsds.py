"""IDSDS, the in-domain single-deletion score (Hesse et al. 2024): which patch's loss costs the score most?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_count
from attribeval.metrics.card import Card
from attribeval.metrics.correlation import spearman
from attribeval.metrics.faithfulness.cells import cell_drops, cell_sums, grid_cells
from attribeval.metrics.faithfulness.scoring import score_of, subject_of
from attribeval.metrics.faithfulness.second_model import asked
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps


def single_deletion(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    grid: int = 4, fill: Fill = "black",
    clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Spearman's ρ of a patch's summed attribution and the drop of the score without it (Hesse et al. 2024).

    Only with a model that was fine-tuned with such deletions (`fine_tuning.fine_tune`), so that an image without a
    patch is nothing unusual to it, may numbers of several models be compared; the maps are then of that model, too.

    Args:
        maps: Attributions (N, H, W).
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); the paper has logits.
        targets: Class explained for each image, ints (N,); the label in the paper.
        grid: Patches along each side.
        fill: What replaces the patch, in raw space; the paper has 0 in the model's input space, the mean colour.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), -1..1; NaN where all patches have the same attribution, or the same drop. Equal values share their
        mean rank.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from the reference code: that divides sides without remainder, and needs square patches.
    """
    return score_of(IDSDS(grid, fill), maps, subject_of(images, predict, targets, None, clean, batch_size))


@dataclass(frozen=True)
class IDSDS:
    """`single_deletion` of the logit.

    Attributes:
        grid: Patches along each side, 2 or more.
        fill: What replaces the patch, in raw space.
        model: The model that loses patches: None for the one explained; then the number compares methods on this model,
            and models only if it was fine-tuned with deletions itself (the paper's way: explain the fine-tuned
            model). Or a fine-tuned Keras model or its file, with the same preprocessing: then maps of the one are
            judged by the other, which is fair as far as fine-tuning has not changed what the model looks at.
    """

    grid: int = 4
    fill: Fill = "black"
    model: Any = None

    card = Card.of(r"""
        idsds (faithfulness): rank correlation, -1 to 1, of a patch's attribution and the drop of the logit without it
        better: high
        passes: 16 + 0
        paper: Hesse et al. 2024 (NeurIPS)
        maths: \rho_k \left(\sum_{u \in P_k} M(u), \; f(x) - f(x_{-P_k})\right), \qquad P_k: \mathrm{the\ patches\ of\
            a\ grid}
        misleads: Without a model that was fine-tuned with deletions it does not compare models: each is surprised by
            the hole in its own way.
    """)

    def __post_init__(self) -> None:
        check_count("grid", self.grid, 2)
        check_fill(self.fill, allowed=PLAIN_FILLS)

    def prepare(self, subject: Subject) -> np.ndarray:
        """Drops of the logit, float64 (N, grid²)."""
        one, cells = asked(subject, self.model), grid_cells(subject.images.shape[1:3], self.grid)
        return cell_drops(one, np.eye(self.grid**2, dtype=bool), cells, self.fill)

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """ρ by image, float64 (N,); NaN for a map or a model to which all patches are the same."""
        maps = checked_maps(explained.heat, subject.images)
        return spearman(cell_sums(maps, grid_cells(subject.images.shape[1:3], self.grid)), prepared)
