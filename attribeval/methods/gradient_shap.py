"""Gradient SHAP by `shap`: gradients at random points between references and the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import fold
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.shap_bridge import (
    Reference,
    global_seed,
    one_thread,
    read_reference,
    references,
    score_differences,
    scorer,
)

BLOCK = 24  # shap holds all the samples of a call in memory, twice; a fixed size, because it decides what is drawn


@dataclass(frozen=True)
class GradientSHAP:
    """Expected gradients (Erion et al. 2021, equation 3; Lundberg & Lee 2017), by `shap.GradientExplainer`.

    The mean of gradient(reference + t · (x − reference)) · (x − reference) over references and uniform t. The map sums
    to the score of the image minus the mean score of the references up to the error of the sampling, which
    `completeness_gap` reports.

    Attributes:
        reference: "black", "mean", "grey", "blur", a number or a tuple (see `fills.filled`), or raw images (H, W, C) or
            (R, H, W, C).
        samples: Random points per image.
    """

    reference: Reference = "black"
    samples: int = 48

    card = Card.of(r"""
        gradient_shap (model-agnostic): share of an input value in score − mean score of the references
        needs: gradients
        passes: 48 + 48
        paper: Erion et al. 2021, eq. 3 (shap.GradientExplainer)
        maths: M = \frac{1}{n} \sum_{k=1}^{n} (x - x'_k) \odot \nabla f\left(x'_k + t_k (x - x'_k)\right), \qquad t_k
            \sim U(0, 1)
        misleads: Random points instead of a quadrature: from one reference it is a noisier integrated gradients at the
            same cost, and pixels of the reference's colour get 0.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", read_reference(self.reference))
        check_count("samples", self.samples, 1)

    @one_thread()
    def attribute(self, batch: Batch) -> Any:
        """Return the shares, (B, H, W, C), in score units."""
        import shap

        given = references(batch, self.reference)
        model = scorer(batch.classifier)
        if "gradient" not in model.explainers:
            pair = ([model.inputs], model.output)
            model.explainers["gradient"] = shap.GradientExplainer(pair, given[0][:1].numpy())
        explainer = model.explainers["gradient"].explainer
        explainer.batch_size = min(batch.capacity, BLOCK)
        maps = np.zeros(batch.x.shape, np.float64)
        x, targets = np.asarray(batch.x), np.asarray(batch.targets)
        for i, refs in enumerate(given):
            model.choose(int(targets[i]))
            explainer.data = [refs.numpy()]
            for block, start in enumerate(range(0, self.samples, BLOCK)):
                count = min(BLOCK, self.samples - start)
                seed = fold(batch.seeds[i : i + 1], block)[0]
                with global_seed(seed):
                    phi = explainer.shap_values(x[i : i + 1], nsamples=count, rseed=int(seed.view(np.uint32)[0]))
                maps[i] += np.asarray(phi)[0, ..., 0] * (count / self.samples)
        batch.completeness_gap = (maps.sum(axis=(1, 2, 3)) - score_differences(batch, given)).astype(np.float32)
        return maps.astype(np.float32)
