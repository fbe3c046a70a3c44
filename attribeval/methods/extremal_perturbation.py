"""Extremal perturbation: of all smooth regions of a given area, the one that keeps the score highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.blur import gaussian_blur
from attribeval.common.options import check_count, check_flag
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.masking import slope_of_score

# Constants of the authors' code (TorchRay); lengths in pixels of an image of 224.
_REFERENCE = 224
_STEP = 7  # from one parameter of the mask to the next
_SIGMA = 3  # of the smooth maximum's kernel, in steps
_COLDNESS = 20.0
_BLUR, _LEVELS = 20.0, 8
_RATE, _MOMENTUM = 0.01, 0.9
_WEIGHT, _GROWTH = 300.0, 1.0035
_TIE = 0.05  # ours: values of the mask nearer than this share their ranks, less and less until half of the steps


def smooth_mask(parameters: Any) -> Any:
    """Smooth maximum of each parameter's surroundings (Fong et al. 2019, section 3).

    Σ v · softmax(20 v) over v = kernel(distance) · parameter; the kernel is 1 up to half of σ, then falls like a
    Gaussian. The authors' code evaluates it at each pixel; here at each parameter, and `tf.image.resize` goes on from
    there: a step is a third of σ, so that hardly anything lies in between, for a 49th of the work.

    From and to (P, h, w) in [0, 1].
    """
    radius = 1 + _SIGMA
    offsets = np.arange(-radius, radius + 1)
    distance = np.hypot(offsets[:, None], offsets) / _SIGMA
    kernel = np.exp(-2 * np.maximum(distance - 0.5, 0) ** 2).round(9)
    weights = np.unique(kernel)  # only 13 are different: neighbours of one weight are summed by one convolution
    rings = tf.constant((kernel[..., None] == weights)[..., None], parameters.dtype)
    padded = tf.pad(parameters, [[0, 0], [radius, radius], [radius, radius]])[..., None]
    values = padded * tf.constant(weights, parameters.dtype)
    powers = tf.exp(_COLDNESS * values)
    above, below = (tf.nn.conv2d(terms, rings, 1, "VALID")[..., 0] for terms in (values * powers, powers))
    return above / below


def area_loss(mask: Any, areas: Any, tie: Any) -> Any:
    """Mean squared distance of the sorted mask from a sorted binary mask of the area (Fong et al. 2019, section 3).

    Values within `tie` of each other have no rank of their own: each gets its share of the ones among them. A mask
    starts as a constant, and ranks by position alone would choose the region before the model had a say. With tie = 0
    it is the paper's loss.

    Of masks (P, h, w) and areas (P,), the shares of the cells that should be 1: (P,).
    """
    cells = int(mask.shape[1]) * int(mask.shape[2])
    values = tf.reshape(mask, [-1, cells])
    ordered = tf.sort(values, axis=1)
    first = tf.cast(tf.searchsorted(ordered, values - tie, side="left"), values.dtype)
    last = tf.cast(tf.searchsorted(ordered, values + tie, side="right"), values.dtype)
    zeros = tf.floor(cells * (1 - areas) + 1e-4)[:, None]  # 1 − area is not exact
    wanted = tf.clip_by_value((last - zeros) / (last - first), 0, 1)
    return tf.reduce_mean((values - tf.stop_gradient(wanted)) ** 2, axis=1)


@dataclass(frozen=True)
class ExtremalPerturbation:
    """Smooth mask of fixed area that preserves the score best (Fong, Patrick & Vedaldi 2019, section 3).

    One mask is learned for each area, the rest of the image is blurred; the map is their sum, so that it says how
    small a region still holds the pixel. Constants are those of the authors' code. Three differences to it: areas are
    shares of the image (there, of a canvas with a margin around it), masks are evaluated at their parameters (see
    `smooth_mask`), and near ties share their ranks in the first half of the steps (see `area_loss`).

    Attributes:
        areas: Shares of the image that masks may show, each between 0 and 1; the model sees the image once for each
            at a time.
        iterations: Steps of gradient descent.
        side_by_side: Whether many images go at a time, as a GPU needs it, or one by one, which gives an image the same
            map in any batch. Rounding grows: weights that differ in their last digit change maps of the embedded net of
            digits by 8e-6 of their largest value in the median of 6 images, by 3 % at most.
    """

    areas: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2)
    iterations: int = 800
    side_by_side: bool = False

    card = Card.of(r"""
        extremal_perturbation (perturbation): how many of the best regions of 2.5, 5, 10 and 20 % hold the pixel
        needs: gradients
        passes: 3200 + 3200
        paper: Fong et al. 2019, sec. 3
        maths: m_a = \arg\max_{m \, \mathrm{smooth}} \; f(m \otimes x) - \frac{\lambda_t}{n} \| \mathrm{vecsort}(m) -
            r_a \|^2, \qquad M = \sum_a m_a
        misleads: Every mask has its area, needed or not: for a small object the mask of 20 % takes in background, and a
            region that keeps the score is not the only one.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        check_count("iterations", self.iterations, 1)
        check_flag("side_by_side", self.side_by_side)
        numbers = isinstance(self.areas, tuple) and self.areas and all(isinstance(a, (int, float)) for a in self.areas)
        if not numbers or not all(0 < area < 1 for area in self.areas):
            raise AttribevalError(f"Expected areas as a tuple of numbers between 0 and 1. Received: {self.areas!r}.")

    def attribute(self, batch: Batch) -> Any:
        """Return the sum of the masks, (B, H, W, 1), from 0 to the number of areas."""
        sigmas = np.linspace(_BLUR * max(batch.size) / _REFERENCE, 0, _LEVELS)
        some = batch.together(self.side_by_side, len(self.areas))
        learned = [self.optimise(batch, which, gaussian_blur(batch.x[which], sigmas)) for which in some]
        return batch.resize(tf.reduce_sum(tf.concat(learned, 0), axis=1)[..., None])

    def optimise(self, batch: Batch, some: slice, levels: Any) -> Any:
        """Learn one mask per image and area side by side, (B, areas, h, w) at the parameters' resolution.

        None sees another. `levels` are these images, most blurred first and unblurred last, (8, B, H, W, C).
        """
        dtype = batch.classifier.dtype
        spacing = max(1, round(_STEP * max(batch.size) / _REFERENCE))
        count, images = len(self.areas), int(levels.shape[1])
        height, width = (-(-side // spacing) for side in batch.size)
        shape = images * count, height, width
        parameters, velocity = tf.ones(shape, dtype), tf.zeros(shape, dtype)
        areas = tf.tile(tf.constant(self.areas, dtype), [images])
        ends = tf.repeat(levels, count, axis=1), tf.repeat(batch.targets[some], count), areas
        step = self._compiled(batch, (height, width))
        for t in range(self.iterations):
            flip, weight = tf.constant(t % 2 == 0), tf.constant(_WEIGHT * _GROWTH**t, dtype)
            tie = tf.constant(_TIE * max(0, 1 - 2 * t / self.iterations), dtype)
            parameters, velocity = step(parameters, velocity, flip, weight, tie, *ends)
        return tf.reshape(smooth_mask(parameters), [images, count, height, width])

    def _compiled(self, batch: Batch, cells: tuple[int, int]) -> Any:
        classifier, size = batch.classifier, batch.size

        def build(parameters, velocity, flip, weight, tie, levels, targets, areas):
            mask = smooth_mask(parameters)
            depth = (_LEVELS - 1) * tf.image.resize(mask[..., None], size)
            depth = tf.cast(depth, levels.dtype)
            # Linear interpolation between the two nearest levels.
            nodes = tf.reshape(tf.range(_LEVELS, dtype=depth.dtype), [-1, 1, 1, 1, 1])
            shares = tf.nn.relu(1 - tf.abs(depth - nodes))
            x = tf.reduce_sum(shares * levels, axis=0)
            _, scores = classifier.trace(tf.where(flip, x[:, :, ::-1], x))
            of_score = slope_of_score(tf.gather(scores, targets, axis=1, batch_dims=1), parameters)
            (of_area,) = tf.gradients(area_loss(mask, areas, tie), parameters)
            velocity = _MOMENTUM * velocity + (1 - _MOMENTUM) * (weight * of_area - of_score)
            return tf.clip_by_value(parameters - _RATE * velocity, 0, 1), velocity

        dtype = classifier.dtype
        grid, number = tf.TensorSpec([None, *cells], dtype), tf.TensorSpec([], dtype)
        image = tf.TensorSpec([_LEVELS, None, *batch.x.shape[1:]], dtype)
        ends = image, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], dtype)
        key = ("extremal_perturbation", size)
        return classifier.compiled(key, build, grid, grid, tf.TensorSpec([], tf.bool), number, number, *ends)
