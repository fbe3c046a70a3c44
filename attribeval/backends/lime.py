"""LIME by the `lime` package itself, on the segments, the masks and the fills that our own method takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.seeds import generators
from attribeval.methods import lime as ours
from attribeval.methods.batch import Batch
from attribeval.methods.masking import scores_of


class _GivenMasks(np.random.RandomState):
    """A generator whose coins are known: `LimeImageExplainer` asks it once for all masks."""

    def __init__(self, shown: np.ndarray):
        super().__init__(0)
        self._shown = shown

    def randint(self, *asked: Any, **more: Any) -> Any:
        return self._shown.astype(int).ravel()


@dataclass(frozen=True)
class LIME(ours.LIME):
    """`lime.lime_image.LimeImageExplainer`, its progress bar silenced; options as for our own method.

    It copies every perturbed image in Python; its predictions are our compiled ones.
    """

    def attribute(self, batch: Batch) -> Any:
        """Return the coefficients on the pixels of their segments, (B, H, W, 1), in score units."""
        from lime import lime_image
        from sklearn.linear_model import Ridge

        regions = self.regions(batch)
        values = []
        bar, lime_image.tqdm = lime_image.tqdm, lambda rows: rows
        try:
            for i, generator in enumerate(generators(batch.seeds)):
                shown = ours.draw_masks(generator, self.samples, regions.count(i))
                explainer = lime_image.LimeImageExplainer(self.kernel_width, random_state=_GivenMasks(shown))
                own_fill = self.fill == "segment_mean" and batch.raw.shape[-1] == 3  # it can do that one itself
                explanation = explainer.explain_instance(
                    batch.raw[i],
                    lambda images, i=i: scores_of(batch, images, np.full(len(images), i))[:, None],
                    labels=(0,),
                    top_labels=None,
                    hide_color=None if own_fill else regions.hidden[i],
                    num_samples=self.samples,
                    batch_size=batch.capacity,
                    segmentation_fn=lambda image, i=i: regions.labels[i],
                    distance_metric=self.distance,
                    model_regressor=Ridge(alpha=self.alpha, fit_intercept=True),
                    random_seed=0,
                )
                values.append(np.array([coefficient for _, coefficient in sorted(explanation.local_exp[0])]))
        finally:
            lime_image.tqdm = bar
        return regions.maps(values)
