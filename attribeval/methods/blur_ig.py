"""Blur integrated gradients: the path runs from a blurred image to the sharp one, so no colour is a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.blur import gaussian_blur
from attribeval.common.options import check_count, check_positive
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.path import completeness_gap, sum_of_gradients


@dataclass(frozen=True)
class BlurIG:
    """∫ ∇f(L(σ)) · dL(σ) from the widest blur to the image (Xu et al. 2020, section 3, equation 4).

    L(σ) is the image under a Gaussian of standard deviation σ (the paper's scale is α = 2σ²; an integral along a path
    does not depend on how it is measured out). Each of the equal steps in σ contributes the difference of the images
    at its two ends times the gradient in its middle, so the map sums to f(x) − f(L(max_sigma)) but for the error of the
    quadrature. The authors' code takes the gradient and a numerical dL/dσ at the sharper end instead, and pads with
    zeros.

    Attributes:
        max_sigma: Widest blur, in pixels (the authors take 50).
        steps: Gradients per image (the authors take 100).
    """

    max_sigma: float = 50.0
    steps: int = 50

    card = Card.of(r"""
        blur_ig (gradient): share of the change of the logit while the image gets sharp
        needs: gradients
        passes: 52 + 50
        paper: Xu et al. 2020, eq. 4
        maths: M = \sum_{k=0}^{n-1} \left(L(\sigma_k) - L(\sigma_{k+1})\right) \odot \nabla f\left(L(\frac{\sigma_k +
            \sigma_{k+1}}{2})\right) \approx -\int_0^{\sigma_{\max}} \nabla f(L(\sigma)) \odot \frac{\partial
            L(\sigma)}{\partial \sigma}\, d\sigma, \qquad L(0) = x
        misleads: Only what blurring changes can be credited: flat areas get nothing, whatever their colour does, and a
            net that was never trained on blurred images answers oddly on the way.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_positive("max_sigma", self.max_sigma)
        check_count("steps", self.steps, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in logits; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._integrate(batch))
        return maps

    def _integrate(self, batch: Batch) -> tuple[Any, np.ndarray]:
        ends = np.linspace(0, self.max_sigma, self.steps + 1)

        def points(group: range) -> tuple[Any, Any]:
            images = gaussian_blur(batch.x, ends[group.start : group.stop + 1])
            middles = (ends[group.start : group.stop] + ends[group.start + 1 : group.stop + 1]) / 2
            return gaussian_blur(batch.x, middles), images[:-1] - images[1:]

        maps = sum_of_gradients(batch, self.steps, points)
        blurred = gaussian_blur(batch.x, [self.max_sigma])[0]
        return maps, completeness_gap(maps, batch.target_scores() - batch.scores_at(blurred))
