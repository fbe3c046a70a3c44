"""Guided Grad-CAM is a product."""

from __future__ import annotations

import numpy as np
from helpers.cams import SIZE, built, cams_images, cams_vgg_like, features, flatten_head, layers  # noqa: F401

from attribeval import Attributer


def test_guided_gradcam_is_the_product(vgg_like, images):
    maps = Attributer(vgg_like).explain_many(images, ["guided_backprop", "gradcam", "guided_gradcam"])
    product = maps["guided_backprop"].values * maps["gradcam"].values
    assert maps["guided_gradcam"].values.shape == images.shape
    np.testing.assert_array_equal(maps["guided_gradcam"].values, product)
