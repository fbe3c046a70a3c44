"""Superpixels: by hand, and those of scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.methods.segments import Segmentation


def test_grid_is_hand_worked():
    labels = Segmentation("grid", 6).labels(np.zeros((4, 6, 1), np.float32))
    np.testing.assert_array_equal(
        labels, [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]]
    )
    finest = Segmentation("grid", 24).labels(np.zeros((4, 6, 1), np.float32))
    np.testing.assert_array_equal(finest, np.arange(24).reshape(4, 6))


@pytest.mark.parametrize("algorithm", ["slic", "quickshift"])
def test_superpixels_are_scikit_images_on_the_image_scaled_to_one(algorithm):
    from skimage import data, segmentation

    photograph = data.astronaut()[40:140, 170:280].astype(np.float32)
    labels = Segmentation(algorithm).labels(photograph)
    unit = (photograph - photograph.min()) / np.ptp(photograph)
    if algorithm == "slic":
        expected = segmentation.slic(unit.astype(np.float64), n_segments=50, compactness=10, start_label=0)
    else:
        expected = segmentation.quickshift(unit.astype(np.float64), kernel_size=4, max_dist=200, ratio=0.2, rng=0)
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), expected.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(expected)) > 5  # the same cut, perhaps other numbers
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    np.testing.assert_array_equal(labels, Segmentation(algorithm).labels(photograph / 255))  # the range does not matter


@pytest.mark.parametrize("algorithm", ["slic", "quickshift", "grid"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_image_can_be_cut(algorithm, channels):
    for image in (np.full((20, 30, channels), 0.5), np.random.default_rng(0).normal(size=(20, 30, channels))):
        labels = Segmentation(algorithm).labels(image.astype(np.float32))
        assert labels.shape == (20, 30)
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
