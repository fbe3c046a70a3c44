"""Expected gradients (gradient SHAP): integrated gradients averaged over real images as baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count, frozen
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.path import completeness_gap, sum_of_gradients

_STREAM = 2**34  # random numbers of the draws; samples are folded in with small numbers


def draw(seed: np.ndarray, samples: int, references: int) -> tuple[np.ndarray, np.ndarray]:
    """Which reference, and which place on the way from it, each sample of one image takes.

    Both are stratified, which leaves the expectation as it is and lowers the variance: every reference comes as often
    as every other (but for the remainder), and every 1/samples of the way holds one place.

    Returns:
        Indices, ints (samples,), and places, float64 (samples,) in [0, 1).
    """
    (generator,) = generators(fold(seed, _STREAM))
    which = generator.permutation(references)[np.arange(samples) % references]
    return which, (generator.permutation(samples) + generator.uniform(size=samples)) / samples


@dataclass(frozen=True)
class ExpectedGradients:
    """E over references x′ and α in [0, 1] of (x − x′) · ∇f(x′ + α (x − x′)) (Erion et al. 2021, equation 3).

    The map sums, in expectation, to f(x) − mean f(x′); the gap is reported against the references that were drawn.

    Attributes:
        references: What to compare with, in raw pixels: images (R, H, W, C), such as some of the training set; or R
            numbers, each an image of that one grey.
        samples: Gradients per image; as many as there are references, or a multiple, is best.
    """

    references: Any = None
    samples: int = 50

    card = Card.of(r"""
        expected_gradients (gradient): share of the difference of the logit to that of reference images
        needs: gradients, references=
        passes: 51 + 50
        paper: Erion et al. 2021, eq. 3
        maths: M = \mathbb{E}_{x' \sim D,\, \alpha \sim U(0, 1)}\left[(x - x') \odot \nabla f\left(x' + \alpha (x -
            x')\right)\right] \\ \sum_i M_i = f(x) - \mathbb{E}_{x' \sim D}\, f(x')
        misleads: The references are part of the question: with references of the class itself, what all of them share
            gets no credit; few samples leave noise.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        if self.references is None:
            raise AttribevalError(
                "Expected references to compare with: raw images (R, H, W, C), such as 50 training images, or numbers. "
                "Received none: write explain(images, 'expected_gradients', references=training_images[:50]), or "
                "'expected_gradients(references=[0, 127, 255])' for black, grey and white."
            )
        references = frozen(self.references, "references")
        if references.values.ndim not in (1, 4) or not len(references.values):
            raise AttribevalError(f"Expected references (R, H, W, C) or (R,). Received: {references.values.shape}.")
        object.__setattr__(self, "references", references)
        check_count("samples", self.samples, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in logits; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._integrate(batch))
        return maps

    def _integrate(self, batch: Batch) -> tuple[Any, Any]:
        raw = self._raw(tuple(batch.x.shape[1:]))
        draws = [draw(seed[None], self.samples, len(raw)) for seed in batch.seeds]
        which = np.stack([indices for indices, _ in draws], axis=1)  # (samples, B)
        places = np.stack([alphas for _, alphas in draws], axis=1)[..., None, None, None]
        prepare = batch.classifier.prepare
        held = prepare(raw) if len(raw) <= batch.capacity else None  # on the device; many are fetched as they are drawn

        def points(group: range) -> tuple[Any, Any]:
            chosen = which[group.start : group.stop]
            start = prepare(raw[chosen.ravel()]) if held is None else tf.gather(held, chosen.ravel())
            way = batch.x - tf.reshape(start, [*chosen.shape, *start.shape[1:]])
            return batch.x - tf.constant(1 - places[group.start : group.stop], way.dtype) * way, way

        maps = sum_of_gradients(batch, self.samples, points) / self.samples
        columns = tf.broadcast_to(batch.targets, which.shape)
        parts = range(0, len(raw), batch.capacity)
        of_all = tf.concat([batch.classifier.forward(prepare(raw[i : i + batch.capacity]))[0] for i in parts], 0)
        scores = tf.gather_nd(of_all, tf.stack([tf.constant(which, tf.int32), columns], -1))
        return maps, completeness_gap(maps, batch.target_scores() - tf.reduce_mean(scores, 0))

    def _raw(self, shape: tuple[int, ...]) -> np.ndarray:
        """The references as raw images (R, *shape)."""
        values = self.references.values
        if values.ndim == 1:
            return np.broadcast_to(values[:, None, None, None], (len(values), *shape))
        if values.shape[1:] != shape:
            raise AttribevalError(f"Expected references of shape {('R', *shape)}. Received: {values.shape}.")
        return values
