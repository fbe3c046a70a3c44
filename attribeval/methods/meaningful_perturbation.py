"""Meaningful perturbation: the smallest region whose blurring makes the model lose the class, found by descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from attribeval import _tf as tf
from attribeval.common.blur import gaussian_blur
from attribeval.common.options import check_choice, check_count, check_flag, check_positive
from attribeval.common.seeds import generators
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.descriptions import stencils
from attribeval.methods.masking import scores_of, slope_of_score
from attribeval.methods.painting import Painter

STARTS = ("circle", "image")
_REFERENCE = 224  # the size for which the authors give lengths in pixels
_MASK_BLUR = 5 / 8  # σ of the mask's blur in cells: 5 pixels of cells of 8
_RADII = np.arange(0, 175, 5)  # of the circles to start from, at 224
_CIRCLE_BLUR = 10  # σ at 224
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam


def enlargement(cells: int, side: int) -> np.ndarray:
    """Matrix (side, cells) that repeats cells over pixels and blurs them by 5/8 of a cell; its rows sum to 1."""
    nearest = np.eye(cells)[np.arange(side) * cells // side]
    return gaussian_filter1d(nearest, _MASK_BLUR * side / cells, axis=0, mode="nearest")


def penalty(mask: Any, l1: float, tv: float, beta: float) -> Any:
    """λ1 ‖1 − m‖₁ + λ2 Σ ‖∇m‖₂^β of each mask (B, h, w), (Fong & Vedaldi 2017, equation 4): (B,).

    `l1` is λ1, `tv` λ2; differences are to the next cell.
    """
    down = tf.pad(mask[:, 1:] - mask[:, :-1], [[0, 0], [0, 1], [0, 0]])
    right = tf.pad(mask[:, :, 1:] - mask[:, :, :-1], [[0, 0], [0, 0], [0, 1]])
    squared = tf.maximum(down**2 + right**2, 1e-10)  # the derivative of its root is infinite at 0
    return l1 * tf.reduce_sum(tf.abs(1 - mask), axis=(1, 2)) + tv * tf.reduce_sum(squared ** (beta / 2), axis=(1, 2))


@dataclass(frozen=True)
class MeaningfulPerturbation:
    """Learned deletion mask (Fong & Vedaldi 2017, equation 4): small and smooth, and the class is gone.

    Minimises λ1 ‖1 − m‖₁ + λ2 Σ ‖∇m‖^β + E[probability of the class on m · image + (1 − m) · blurred image], the image
    jittered by a few pixels, by Adam; defaults are those of the authors' code. Images are blended as the model's own
    input, which is the same for every preprocessing that scales and shifts. Three differences to that code: gradients
    go through the blur of the mask (there they skip it), jitter is centred on 0, and lengths scale with the image.

    Attributes:
        iterations: Steps of Adam.
        mask_size: Cells of the mask along the longer side, at most one per pixel.
        learning_rate: Of Adam.
        l1: λ1, price of a deleted cell.
        tv: λ2, price of roughness.
        beta: β, exponent of the roughness, 1 or more.
        jitter: Range of the random shift in pixels of an image of 224; 0 for none.
        blur: σ of the blur that deletes, in pixels of an image of 224.
        start: "circle": the smallest blurred disc in the middle that takes 99 % of the probability, as in the paper;
            "image": nothing deleted, which favours no place.
        side_by_side: Whether many images go at a time, as a GPU needs it, or one by one, which gives an image the same
            map in any batch. Rounding grows: side by side, maps of the embedded net of digits differ by 5 % of their
            largest value in the median of 24 images, by 55 % at most.
    """

    iterations: int = 300
    mask_size: int = 28
    learning_rate: float = 0.1
    l1: float = 1e-4
    tv: float = 1e-2
    beta: float = 3.0
    jitter: int = 4
    blur: float = 10.0
    start: str = "circle"
    side_by_side: bool = False

    card = Card.of(r"""
        meaningful_perturbation (perturbation): share of the pixel that must be blurred for the class to go
        needs: gradients
        passes: 335 + 300
        paper: Fong & Vedaldi 2017, eq. 4
        maths: m^{*} = \arg\min_m \; \lambda_1 \| 1 - m \|_1 + \lambda_2 \sum_u \| \nabla m(u) \|_2^{\beta} +
            \mathbb{E}_\tau \, p_c\left(m \odot x_\tau + (1 - m) \odot \tilde x_\tau\right), \qquad M = 1 - m^{*}
        misleads: Descent finds one of many masks, near the circle that it starts from, and the smallest change that
            fools the net need not be the object: it may be an adversarial pattern.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        for name, least in (("iterations", 1), ("mask_size", 2), ("jitter", 0)):
            check_count(name, getattr(self, name), least)
        for name in ("learning_rate", "l1", "tv", "beta", "blur"):
            check_positive(name, getattr(self, name))
        if self.beta < 1:
            raise AttribevalError(f"Expected beta to be 1 or more. Received: {self.beta!r}.")
        check_choice("start", self.start, STARTS)
        check_flag("side_by_side", self.side_by_side)

    def attribute(self, batch: Batch) -> Any:
        """Return 1 − m, enlarged and blurred as the model saw it, (B, H, W, 1), between 0 and 1."""
        mask, _ = self.optimise(batch)
        rows, columns = self._enlargements(batch.size)
        return 1 - (rows @ mask @ columns.T)[..., None].astype(np.float32)

    def optimise(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Learn the masks m, (B, h, w); also the objective before each step, (iterations, B)."""
        dtype = batch.classifier.dtype
        hidden = gaussian_blur(tf.constant(batch.raw), [self.blur * max(batch.size) / _REFERENCE])[0].numpy()
        prepared, starts = batch.classifier.prepare(hidden), self._start(batch, hidden)
        reach = round(self.jitter / 2 * max(batch.size) / _REFERENCE)
        step, drawn = self._compiled(batch), generators(batch.seeds)
        masks, objectives = [], []
        for some in batch.together(self.side_by_side):
            mask = tf.constant(starts[some], dtype)
            first, second = tf.zeros_like(mask), tf.zeros_like(mask)
            ends = batch.x[some], prepared[some], batch.targets[some]
            size = self.iterations, 1, 2
            shifts = [one.integers(-reach, reach + 1, size, dtype=np.int32) for one in drawn[some]]
            losses = []
            for t, shift in enumerate(tf.constant(np.concatenate(shifts, axis=1))):
                mask, first, second, loss = step(mask, first, second, tf.constant(t + 1, dtype), shift, *ends)
                losses.append(loss)
            masks.append(mask)
            objectives.append(tf.stack(losses))
        return tf.concat(masks, axis=0).numpy(), tf.concat(objectives, axis=1).numpy()

    def _cells(self, size: tuple[int, int]) -> list[int]:
        return [max(1, min(side, round(self.mask_size * side / max(size)))) for side in size]

    def _enlargements(self, size: tuple[int, int]) -> list[np.ndarray]:
        return [enlargement(cells, side) for cells, side in zip(self._cells(size), size, strict=True)]

    def _start(self, batch: Batch, hidden: np.ndarray) -> np.ndarray:
        """Masks to start from, float (B, h, w)."""
        cells, (height, width) = self._cells(batch.size), batch.size
        if self.start == "image":
            return np.ones((len(batch), *cells))
        scale = max(batch.size) / _REFERENCE
        down, right = np.arange(height)[:, None] - height // 2, np.arange(width) - width // 2
        inside = down**2 + right**2 <= (_RADII[:, None, None] * scale) ** 2
        discs = 1 - gaussian_filter(inside.astype(np.float64), (0, _CIRCLE_BLUR * scale, _CIRCLE_BLUR * scale))
        clean = scores_of(batch, batch.raw, np.arange(len(batch)), True)
        centres = [((np.arange(n) + 0.5) * side / n).astype(int) for n, side in zip(cells, batch.size, strict=True)]
        counts = dict.fromkeys(range(len(batch)), len(discs))
        scores = Painter(batch, hidden, stencils(), discs).answers("probability", counts, lambda i, numbers: (numbers,))
        enough = [left - left[-1] <= 0.01 * (clean[i] - left[-1]) for i, left in scores.items()]
        return np.stack([discs[np.argmax(each)][np.ix_(*centres)] for each in enough])

    def _compiled(self, batch: Batch) -> Any:
        """A step of Adam: mask, moments, step, shifts, images, hidden images, targets to mask, moments, objective."""
        classifier, size, dtype = batch.classifier, batch.size, batch.classifier.dtype
        rows, columns = (tf.constant(matrix, dtype) for matrix in self._enlargements(size))

        def shifted(images, shifts):
            for axis, side in ((1, size[0]), (2, size[1])):  # edges repeat
                places = tf.clip_by_value(tf.range(side) + shifts[:, axis - 1 : axis], 0, side - 1)
                images = tf.gather(images, places, axis=axis, batch_dims=1)
            return images

        def build(mask, first, second, step, shifts, x, hidden, targets):
            shown = (rows @ mask @ tf.transpose(columns))[..., None]
            trace, scores = classifier.trace(shown * shifted(x, shifts) + (1 - shown) * shifted(hidden, shifts))
            score = tf.gather(classifier.probabilities(trace, scores), targets, axis=1, batch_dims=1)
            price = penalty(mask, self.l1, self.tv, self.beta)
            slope = slope_of_score(score, mask) + tf.gradients(price, mask)[0]
            (b1, b2), rate = _BETAS, self.learning_rate
            first, second = b1 * first + (1 - b1) * slope, b2 * second + (1 - b2) * slope**2
            moved = mask - rate * first / (1 - b1**step) / (tf.sqrt(second / (1 - b2**step)) + _EPSILON)
            return tf.clip_by_value(moved, 0, 1), first, second, score + price

        cells = tf.TensorSpec([None, *self._cells(size)], dtype)
        image = tf.TensorSpec([None, *batch.x.shape[1:]], dtype)
        ints = tf.TensorSpec([None, 2], tf.int32), image, image, tf.TensorSpec([None], tf.int32)
        key = ("meaningful_perturbation", size, self.mask_size, self.learning_rate, self.l1, self.tv, self.beta)
        return classifier.compiled(key, build, cells, cells, cells, tf.TensorSpec([], dtype), *ints)
