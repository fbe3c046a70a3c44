"""RISE. Often confused with occlusion: here half of the image is hidden at once, by random soft masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_choice, check_count, check_share
from attribeval.common.seeds import generators
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.descriptions import shifted_cells
from attribeval.methods.masking import SCORES, OfCells, hidden_images
from attribeval.methods.painting import Painter


def bilinear(cells: int, length: int) -> np.ndarray:
    """Matrix (length, cells) of bilinear enlargement, pixel centres aligned, borders repeated; its rows sum to 1."""
    place = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)


def enlargements(grid: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Along each side, the matrix that enlarges a grid by one cell more than the image needs."""
    return [bilinear(grid, (grid + 1) * -(-side // grid)) for side in size]


def draw_grids(
    generator: np.random.Generator, count: int, grid: int, p: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Random masks in a few numbers (Petsiuk et al. 2018, section 3.2): a binary grid, and where it is cropped.

    Enlarged and cropped, every pixel's expectation is p.
    The numbers are drawn mask after mask, so that the same generator gives the same masks however they are counted out.

    Returns:
        Cells, float32 (M, s, s), 0 or 1; first rows and columns of the enlarged grid, int32 (M, 2).
    """
    numbers = generator.random((count, grid * grid + 2))
    cells = (numbers[:, 2:] < p).astype(np.float32).reshape(count, grid, grid)
    return cells, (numbers[:, :2] * [-(-side // grid) for side in size]).astype(np.int32)


@dataclass(frozen=True)
class RISE(OfCells):
    """Mean score of masked images, each weighed by how much it shows of the pixel (Petsiuk et al. 2018, equation 6).

    S(pixel) = Σ score(image ⊙ mask) · mask(pixel) / (N · p): the expected score given that the pixel is shown. It is
    no difference to anything: a map is all positive, and what matters is where it is higher than elsewhere.

    Attributes:
        samples: N, masks per image. The paper takes 4000 (VGG16) and 8000 (ResNet50); its noise falls with √N.
        grid_size: s, cells of a mask along each side; 7 in the paper.
        p: Probability that a cell is shown; 0.5 in the paper.
        fill: What a hidden pixel fades to, in raw image space; "black" is the paper's product. The authors' code
            multiplies the normalised image instead, which fades to the mean colour of the training data.
        score: "probability" (the model's output, as in the paper) or "logit" (the score to be explained).
    """

    samples: int = 1000
    grid_size: int = 7
    p: float = 0.5
    score: str = "probability"

    card = Card.of(r"""
        rise (perturbation): expected probability of the class given that the pixel is shown
        needs: nothing
        passes: 1000 + 0
        paper: Petsiuk et al. 2018, eq. 6
        maths: M(u) = \frac{1}{N p} \sum_{n=1}^{N} p_c\left(x \odot m_n + \tilde x \odot (1 - m_n)\right) m_n(u)
        misleads: With too few masks the map is a picture of the masks that were drawn; a smooth map is no proof of
            enough: compare two seeds.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("samples", self.samples, 1)
        check_share("p", self.p)
        check_choice("score", self.score, SCORES)

    def attribute(self, batch: Batch) -> Any:
        """Return S, (B, H, W, 1): a probability up to the noise of the samples, or a logit with score="logit"."""
        painter = Painter(
            batch, hidden_images(batch, self.fill), shifted_cells(), *enlargements(self.grid_size, batch.size)
        )
        drawn = generators(batch.seeds)

        def describe(i: int, masks: np.ndarray) -> tuple[np.ndarray, ...]:
            return draw_grids(drawn[i], len(masks), self.grid_size, self.p, batch.size)

        counts = dict.fromkeys(range(len(batch)), self.samples)
        total = tf.zeros([len(batch), *batch.size], tf.float64)
        for owners, scores, masks in painter.walk(self.score, counts, describe):
            total = _add(batch, total, owners, scores, masks)
        return tf.cast(total / (self.samples * self.p), tf.float32)[..., None]


def _add(batch: Batch, total: Any, owners: np.ndarray, scores: Any, masks: Any) -> Any:
    """Sums of score · mask of each image (B, H, W), with some more masks (M, H, W)."""

    def build(total, owners, scores, masks):
        weights = tf.one_hot(owners, tf.shape(total)[0], dtype=masks.dtype) * scores[:, None]
        return total + tf.cast(tf.einsum("mb,mhw->bhw", weights, masks), total.dtype)

    planes, dtype = [None] * 3, masks.dtype
    specs = tf.TensorSpec(planes, total.dtype), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], dtype)
    add = batch.classifier.compiled("sums of masks", build, *specs, tf.TensorSpec(planes, dtype))
    return add(total, tf.constant(owners, tf.int32), scores, masks)
