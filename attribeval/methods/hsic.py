"""HSIC of an image's cells: how much the score depends on whether a cell is shown, beyond linear dependence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import generators
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.descriptions import cells, cells_of
from attribeval.methods.masking import OfCells, hidden_images
from attribeval.methods.painting import Painter

_BLOCK = 256  # rows of the kernel matrix held at a time
_PAIRS = 1000  # outputs whose pairwise distances give the kernel's width
_ROUNDING = 1e-6  # differences below this share of the largest output are float32 rounding


def draw_cells(generator: np.random.Generator, samples: int, cells: int) -> np.ndarray:
    """Which cells each sample shows, bool (samples, cells): a Latin hypercube, rounded, so that half show each cell."""
    from scipy.stats import qmc

    return qmc.LatinHypercube(cells, seed=generator).random(samples) >= 0.5


def kernel_width(values: np.ndarray) -> float:
    """Median distance between different outputs (the median heuristic, Gretton et al. 2012); 0 if all are the same.

    The authors' code takes the median of the outputs themselves, which is 0 or negative for some models. At most the
    first 1000 outputs are compared.
    """
    few = np.asarray(values, dtype=np.float64)[:_PAIRS]
    distances = np.abs(few[:, None] - few)[np.triu_indices(len(few), 1)]
    distances = distances[distances > _ROUNDING * np.abs(few).max(initial=0)]
    return float(np.median(distances)) if distances.size else 0.0


def hsic(shown: np.ndarray, values: np.ndarray, width: float) -> np.ndarray:
    """Hilbert-Schmidt independence criterion of each cell and the output (Novello et al. 2022, section 3).

    Tr(K H L H) / n² with K = 1 for two samples that agree on the cell, else 0, and L = exp(−(y − y')² / (2 width²)).
    With s = ±1 for shown and hidden, K = (1 + s sᵀ) / 2, hence Tr(K H L H) = tᵀ L t / 2, where t is s minus its mean:
    L is needed a few rows at a time only.

    Of cells shown, bool (n, d), and outputs (n,), whose kernel has that width, 0 if they are all the same: float64
    (d,), not negative but for rounding; 0 for independence.
    """
    n, cells = shown.shape
    total = np.zeros(cells)
    if width == 0:
        return total
    y = np.asarray(values, dtype=np.float64)
    signs = 2.0 * shown - 1
    signs -= signs.mean(0)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        kernel = np.exp(-((y[part, None] - y) ** 2) / (2 * width**2))
        total += (signs[part] * (kernel @ signs)).sum(0)
    return total / (2 * n**2)


@dataclass(frozen=True)
class HSIC(OfCells):
    """Dependence of the score on each cell of a grid (Novello, Fel & Vigouroux 2022, section 3).

    Binary masks hide about half of the cells; a cell's value is the Hilbert-Schmidt independence criterion between
    "shown or hidden" and the score. It is small, not 0, for a cell that does not matter: about 1 / samples.

    Attributes:
        samples: Masks per image.
    """

    samples: int = 500

    card = Card.of(r"""
        hsic (perturbation): dependence between the cell being shown and the score
        needs: nothing
        passes: 500 + 0
        paper: Novello et al. 2022, sec. 3
        maths: M_k = \frac{1}{n^2} \mathrm{tr}(K_k H L H), \qquad K_k = 1[s_{ik} = s_{jk}], \quad L =
            \exp\left(-\frac{(y_i - y_j)^2}{2 \sigma^2}\right), \quad H = I - \frac{1}{n} 1 1^T
        misleads: It has no sign, and it is about 1 / samples, not 0, for a cell that does not matter: a flat map of a
            net that looks nowhere is still scaled to full colour in a picture.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("samples", self.samples, 2)

    def attribute(self, batch: Batch) -> Any:
        """Return the criterion of each cell, enlarged bilinearly, (B, H, W, 1), between 0 and 1/4."""
        side = self.grid_size
        shown = [draw_cells(generator, self.samples, side**2) for generator in generators(batch.seeds)]
        painter = Painter(batch, hidden_images(batch, self.fill), cells(), *cells_of(batch.size, side))
        counts = dict.fromkeys(range(len(batch)), self.samples)
        values = painter.answers("logit", counts, lambda i, rows: (shown[i][rows].reshape(-1, side, side),))
        found = [hsic(shown[i], answers, kernel_width(answers)) for i, answers in values.items()]
        return batch.resize(np.reshape(found, (-1, side, side, 1)))
