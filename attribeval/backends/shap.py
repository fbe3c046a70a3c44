"""`shap` used as its own documentation does: it paints or holds every perturbed image, and our part is to predict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attribeval.common.fills import filled
from attribeval.methods import deep_shap, kernel_shap, partition_shap
from attribeval.methods.batch import Batch
from attribeval.methods.masking import scores_of
from attribeval.methods.shap_bridge import global_seed


@dataclass(frozen=True)
class KernelSHAP(kernel_shap.KernelSHAP):
    """`shap.KernelExplainer` on superpixels, all perturbed images painted at once; options as for our own method."""

    def attribute(self, batch: Batch) -> Any:
        """Return φ on the pixels of the segments, (B, H, W, 1), in score units."""
        regions = self.regions(batch)

        def painted(i: int, shown: np.ndarray) -> np.ndarray:
            images = np.where(shown[:, regions.labels[i], None], batch.raw[i], regions.hidden[i])
            return scores_of(batch, images, np.full(len(images), i))

        found = (
            kernel_shap.kernel_values(partial(painted, i), regions.count(i), self.samples, seed)
            for i, seed in enumerate(batch.seeds)
        )
        return regions.maps([phi for phi, _ in found])


@dataclass(frozen=True)
class PartitionSHAP(partition_shap.PartitionSHAP):
    """`shap.PartitionExplainer` with `shap.maskers.Image`, which halves down to the channels of pixels; summed here."""

    def attribute(self, batch: Batch) -> Any:
        """Return the Owen values, (B, H, W, 1), in score units."""
        import shap

        hidden = filled(batch.raw, self.fill)
        maps = []
        for i, seed in enumerate(batch.seeds):
            with global_seed(seed):
                explainer = shap.PartitionExplainer(
                    lambda images, i=i: scores_of(batch, images, np.full(len(images), i)).astype(np.float64),
                    shap.maskers.Image(hidden[i]),
                )
                found = explainer(
                    batch.raw[i : i + 1], max_evals=self.samples, batch_size=partition_shap.ROUND, silent=True
                )
            maps.append(np.asarray(found.values)[0].reshape(batch.raw.shape[1:]).sum(-1, keepdims=True))
        return np.stack(maps).astype(np.float32)


@dataclass(frozen=True)
class DeepLIFT(deep_shap.DeepSHAP):
    """`shap.DeepExplainer`: DeepLIFT's Rescale rule; its max-pooling distributes the difference, as ours does."""
