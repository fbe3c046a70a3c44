"""Every method by name, with cheap options; and how close maps must be."""

from __future__ import annotations

import numpy as np

from attribeval.methods.registry import METHODS, needs_attention

# Cheap options for methods that need many model evaluations; and a base for those that wrap one.
WRAPPED = ("smoothgrad", "smoothgrad_squared", "vargrad", "squared", "absolute")


OPTIONS = {
    **{name: f"{name}(gradient)" for name in WRAPPED},
    "expected_gradients": "expected_gradients(references=[0, 0.5, 1], samples=12)",
    "blur_ig": "blur_ig(steps=10)",
    "guided_ig": "guided_ig(steps=10)",
    "rise": "rise(samples=60)",
    "sobol": "sobol(designs=4, grid_size=4)",
    "hsic": "hsic(samples=60, grid_size=4)",
    "meaningful_perturbation": "meaningful_perturbation(iterations=10)",
    "extremal_perturbation": "extremal_perturbation(iterations=10, areas=[0.1, 0.3])",
    "xrai": "xrai(steps=4)",
    "lime": "lime(samples=80)",
    "kernel_shap": "kernel_shap(samples=150)",
    "partition_shap": "partition_shap(samples=80)",
    "shapley_sampling": "shapley_sampling(permutations=2)",
    "gradient_shap": "gradient_shap(samples=8)",
    "anchors": "anchors(samples=100, segments=6)",
}


# Methods that explain transformers only: `test_attention_methods` and, on ViTs, `test_contract_nets` have them.
ON_ATTENTION = [name for name, cls in METHODS.items() if needs_attention(cls)]
NAMES = [OPTIONS.get(name, name) for name in METHODS if name not in ON_ATTENTION]


MAY_BE_CONSTANT = {"anchors"}  # an empty rule is the right answer where no part of the image matters to the prediction


# Learned masks: each step amplifies the rounding of the one before, so less than the last digits agree. Where relevance
# is divided by sums that cancel, so do the last digits.
TOLERANCE = {"meaningful_perturbation": 1e-3, "extremal_perturbation": 1e-3, "transformer_attribution": 1e-3}


def close(a, b, name):
    tolerance = TOLERANCE.get(name.partition("(")[0], 1e-5)
    scale = np.abs(b).max(axis=(1, 2, 3), keepdims=True)
    worst = (np.abs(a - b) / np.maximum(scale, 1e-30)).max()
    assert worst <= tolerance, f"off by {worst:.1e} of the largest value"
