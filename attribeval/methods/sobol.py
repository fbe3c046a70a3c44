"""Sobol' indices of an image's cells: the share of the score's variance that would be lost without a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import generators
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.descriptions import cells, cells_of
from attribeval.methods.masking import OfCells, hidden_images
from attribeval.methods.painting import Painter

_ROUNDING = 1e-6  # differences below this share of the largest score are float32 rounding, not variance


class Design:
    """Sobol' design: A, then for each variable k the matrix C_k, which is A with column k of B (Saltelli et al. 2010).

    The N rows of A and of B, a power of 2 (`designs`), are halves of the points of one scrambled Sobol' sequence in 2d
    dimensions, for d `variables`.
    """

    def __init__(self, variables: int, designs: int, generator: np.random.Generator):
        from scipy.stats import qmc

        points = qmc.Sobol(2 * variables, scramble=True, seed=generator).random(designs)
        self.a, self.b = points[:, :variables], points[:, variables:]

    def __len__(self) -> int:
        return len(self.a) * (self.a.shape[1] + 1)

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """Points of the design, float64 (M, d) in [0, 1): row j of A is N · 0 + j, row j of C_k is N · (k + 1) + j."""
        block, row = np.divmod(indices, len(self.a))
        points = self.a[row]
        (changed,) = np.nonzero(block)
        points[changed, block[changed] - 1] = self.b[row[changed], block[changed] - 1]
        return points


def total_indices(values: np.ndarray, variables: int) -> np.ndarray:
    """Total Sobol' indices by Jansen's estimator: Σ (f(A) − f(C_k))² / (2 N V[f(A)]) (Jansen 1999).

    Args:
        values: f at the points of a `Design`, in order, (N · (d + 1),).
        variables: d.

    Returns:
        float64 (d,), not negative; zeros if f is constant up to float32 rounding.

    Example:
        >>> design = Design(variables=3, designs=1024, generator=np.random.default_rng(0))
        >>> points = design.rows(np.arange(len(design)))
        >>> total_indices(points @ [1.0, 2.0, 0.0], variables=3).round(2).tolist()  # 1/5 and 4/5 of the variance
        [0.2, 0.8, 0.0]
    """
    table = np.asarray(values, dtype=np.float64).reshape(variables + 1, -1)
    a, c = table[0], table[1:]
    if np.ptp(table) <= _ROUNDING * np.abs(table).max() or np.ptp(a) == 0:
        return np.zeros(variables)
    return np.mean((a - c) ** 2, axis=1) / (2 * a.var(ddof=1))


@dataclass(frozen=True)
class Sobol(OfCells):
    """Total Sobol' indices of the cells of a grid (Fel et al. 2021, section 3).

    Masks with values in [0, 1] per cell come from a quasi-Monte Carlo sequence; a cell's total index is the share of
    the score's variance in which it has a part, alone or together with others.

    Attributes:
        designs: N, a power of 2; the model sees N · (grid_size² + 1) masked images.
    """

    designs: int = 32

    card = Card.of(r"""
        sobol (perturbation): share of the score's variance in which the cell has a part
        needs: nothing
        passes: 2080 + 0
        paper: Fel et al. 2021, sec. 3
        maths: M_k = S_{T_k} = \frac{\frac{1}{2N} \sum_{j=1}^{N} \left(f(A_j) - f(C^{(k)}_j)\right)^2}{\hat V[f(A)]}
        misleads: It has no sign: a cell that lowers the score stands out as one that raises it, and few designs on many
            cells leave noise that looks like importance.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("designs", self.designs, 2)
        if self.grid_size > 100:  # the sequence is known up to 21201 dimensions
            raise AttribevalError(f"Expected a grid_size of at most 100. Received: {self.grid_size}.")
        if self.designs & (self.designs - 1):
            raise AttribevalError(
                f"Expected designs to be a power of 2, for which the Sobol' sequence is balanced. "
                f"Received: {self.designs!r}."
            )

    def attribute(self, batch: Batch) -> Any:
        """Return the total index of each cell, enlarged bilinearly, (B, H, W, 1), not negative."""
        side, variables = self.grid_size, self.grid_size**2
        designs = [Design(variables, self.designs, generator) for generator in generators(batch.seeds)]
        painter = Painter(batch, hidden_images(batch, self.fill), cells(), *cells_of(batch.size, side))
        counts = {i: len(design) for i, design in enumerate(designs)}
        values = painter.answers("logit", counts, lambda i, rows: (designs[i].rows(rows).reshape(-1, side, side),))
        maps = [total_indices(answers, variables) for answers in values.values()]
        return batch.resize(np.reshape(maps, (-1, side, side, 1)))
