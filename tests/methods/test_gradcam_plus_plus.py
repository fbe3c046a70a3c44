"""Grad-CAM++: its formula written slowly, and where α has a pole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from helpers.cams import (  # noqa: F401
    SIZE,
    TARGETS,
    assert_close,
    by_tape,
    cams_gap_model,
    cams_images,
    cams_vgg_like,
    slow_gradcam_plus_plus,
    upsampled,
)

from attribeval import Attributer


@pytest.mark.parametrize("model", ["vgg_like", "gap_model"])
@pytest.mark.parametrize("alphas,places", [("paper", "none"), ("normalised", "positive")])
def test_gradcam_plus_plus_equals_its_formula(model, images, request, alphas, places):
    model = request.getfixturevalue(model)
    a, g, score = by_tape(model, images)
    ours = Attributer(model).explain(images, "gradcam++", TARGETS, alphas=alphas).values
    assert (ours >= 0).all()
    assert_close(ours, upsampled(slow_gradcam_plus_plus(a, g, score, places), SIZE))


def test_gradcam_plus_plus_is_finite_where_alpha_has_a_pole(images):
    from attribeval.methods.gradcam_plus_plus import gradcam_plus_plus_map

    activations = tf.constant([[[[2.0, 2.0]], [[2.0, 2.0]]]])  # Σ A = 4
    gradients = tf.constant([[[[-0.5, 0.5]], [[-0.5, 0.0]]]])  # 2 + g Σ A = 0 in the first channel
    # Second channel: α = 1 / (2 + .5 · 4) at the first place, 0 at the other; w = .5 / 4.
    np.testing.assert_allclose(np.squeeze(gradcam_plus_plus_map(activations, gradients)), [0.25, 0.25])
