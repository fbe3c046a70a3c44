"""Grad-CAM: its formula written slowly."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cams import SIZE, TARGETS, assert_close, by_tape, cams_gap_model, cams_images, cams_vgg_like, upsampled  # noqa: F401

from attribeval import Attributer


def slow_gradcam(a, g):
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        for k in range(a.shape[3]):
            out[b] += g[b, :, :, k].mean() * a[b, :, :, k]
    return np.maximum(out, 0)


@pytest.mark.parametrize("model", ["vgg_like", "gap_model"])
def test_gradcam_equals_its_formula(model, images, request):
    model = request.getfixturevalue(model)
    a, g, _ = by_tape(model, images)
    ours = Attributer(model).explain(images, "gradcam", TARGETS).values
    assert (ours >= 0).all()
    assert_close(ours, upsampled(slow_gradcam(a, g), SIZE))
