"""μFidelity (Bhatt et al. 2020, on the cells of a grid): as faithfulness correlation, of regions instead of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_choice, check_count, check_share
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.correlation import CORRELATIONS
from attribeval.metrics.faithfulness.cells import cell_drops, cell_sums, grid_cells
from attribeval.metrics.faithfulness.scoring import score_of, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

_STREAM = 2**34 + 2**32  # random numbers of subsets of cells


def mu_fidelity(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    grid: int = 9, share: float = 0.2, subsets: int = 100, correlation: str = "spearman", fill: Fill = "black",
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Correlation of Σ attribution and drop of the score over random sets of cells (Bhatt et al. 2020, def. 3).

    Args:
        maps: Attributions (N, H, W).
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); logits or probabilities, the paper has a scalar f.
        targets: Class explained for each image, ints (N,).
        grid: Cells along each side.
        share: Cells in a set, as a share of all; at least one, not all.
        subsets: Random sets.
        correlation: "spearman" (Xplique's) or "pearson" (the paper's).
        fill: What replaces hidden cells, in raw space.
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), -1..1; NaN where the sums or the drops of all sets are the same, as for a constant map on cells of
        one size.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from Xplique: every set has the same number of cells, as in the paper's definition (there each cell is
    hidden with the probability `share`, so that the number of hidden pixels alone makes maps and drops correlate); an
    undefined correlation is NaN and not 0; 100 sets instead of 200.
    """
    metric = MuFidelity(grid, share, subsets, correlation, fill)
    return score_of(metric, maps, subject_of(images, predict, targets, seeds, clean, batch_size))


def _masks(seeds: np.ndarray, grid: int, share: float, subsets: int) -> np.ndarray:
    """Which cells are hidden, bool (N, subsets, grid²), as many in each set."""
    cells = grid**2
    size = max(1, round(share * cells))
    if not size < cells:
        raise AttribevalError(
            f"Expected sets of fewer than all {cells} cells. Received: share={share} of grid={grid}: take more "
            "cells or a smaller share."
        )
    keys = np.stack([generator.random((subsets, cells)) for generator in generators(fold(seeds, _STREAM))])
    return keys.argsort(-1).argsort(-1) < size


@dataclass(frozen=True)
class MuFidelity:
    """`mu_fidelity` of the logit.

    Attributes:
        grid, share, subsets, correlation, fill: See `mu_fidelity`.
    """

    grid: int = 9
    share: float = 0.2
    subsets: int = 100
    correlation: str = "spearman"
    fill: Fill = "black"

    card = Card.of(r"""
        mu_fidelity (faithfulness): rank correlation, -1 to 1, of attribution and drop of the logit over random sets of
            grid cells
        better: high
        passes: 100 + 0
        paper: Bhatt et al. 2020, def. 3; grid as in Xplique
        maths: \rho_S \left(\sum_{u \in S} M(u), \; f(x) - f(x_{-S})\right), \qquad S: \mathrm{a\ fifth\ of\ the\ cells\
            of\ a\ grid}
        misleads: A map is judged by its sums over cells alone: what it says within a cell does not count.
    """)

    def __post_init__(self) -> None:
        check_count("grid", self.grid, 2)
        check_share("share", self.share)
        check_count("subsets", self.subsets, 2)
        check_choice("correlation", self.correlation, tuple(CORRELATIONS))
        check_fill(self.fill, allowed=PLAIN_FILLS)

    def prepare(self, subject: Subject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells (H, W), hidden cells (N, subsets, grid²), and drops of the logit (N, subsets)."""
        cells = grid_cells(subject.images.shape[1:3], self.grid)
        masks = _masks(subject.seeds, self.grid, self.share, self.subsets)
        return cells, masks, cell_drops(subject, masks, cells, self.fill)

    def score(self, subject: Subject, prepared: tuple, explained: Explained) -> np.ndarray:
        """Correlation by image, float64 (N,); NaN for a constant map or model."""
        cells, masks, drops = prepared
        sums = np.einsum("nsc,nc->ns", masks, cell_sums(checked_maps(explained.heat, subject.images), cells))
        return CORRELATIONS[self.correlation](sums, drops)
