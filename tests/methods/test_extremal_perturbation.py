"""Extremal perturbation: smooth masks, areas, and a square that is found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers.perturbation import FAR, SQUARE, linear, perturbation_looks_at_square, perturbation_textures  # noqa: F401
from scipy.special import softmax

from attribeval.methods.extremal_perturbation import area_loss, smooth_mask


def test_smooth_mask_is_the_slow_formula():
    parameters = np.random.default_rng(0).random((2, 6, 9)).astype(np.float32)
    expected = np.zeros_like(parameters)
    for p, i, j in itertools.product(range(2), range(6), range(9)):
        values = []
        for di, dj in itertools.product(range(-4, 5), repeat=2):
            inside = 0 <= i + di < 6 and 0 <= j + dj < 9
            kernel = np.exp(-2 * max(0.0, np.sqrt(di**2 + dj**2) / 3 - 0.5) ** 2)
            values.append(kernel * parameters[p, i + di, j + dj] if inside else 0.0)
        expected[p, i, j] = np.dot(values, softmax(20 * np.array(values)))
    np.testing.assert_allclose(smooth_mask(tf.constant(parameters)), expected, atol=1e-6)


def test_area_loss_is_zero_for_a_binary_mask_of_the_area_only():
    mask = np.zeros((3, 4, 5), np.float32)
    mask[0, 1, :4] = 1  # 4 of 20 cells
    mask[1, 1:3, :4] = 1  # 8
    mask[2] = 0.5
    found = np.asarray(area_loss(tf.constant(mask), tf.constant([0.2] * 3), 0.05))
    # Eight ones where four are wanted: each of them should be a half; and the constant mask should be 0.2.
    np.testing.assert_allclose(found, [0, 8 / 20 / 4, 0.3**2], atol=1e-7)
    values = np.random.default_rng(0).random((1, 4, 5))
    paper = np.mean((np.sort(values.ravel()) - np.repeat([0, 1], [16, 4])) ** 2)
    found = area_loss(tf.constant(values, tf.float32), tf.constant([0.2]), 0.0)
    np.testing.assert_allclose(found, [paper], rtol=1e-5)


def test_extremal_masks_have_their_area_and_hold_the_square(looks_at_square, textures):
    # 32 pixels, one parameter per pixel: masks are smooth over 3 pixels, so a little more than the square is needed.
    maps = {
        area: looks_at_square.explain(textures[:1], "extremal_perturbation", 1, areas=(area,), iterations=500).values
        for area in (0.1, 0.2)
    }
    for area, found in maps.items():
        assert found.mean() == pytest.approx(area, abs=0.03)
    large, small = maps[0.2][0, ..., 0], maps[0.1][0, ..., 0]
    assert large[SQUARE].mean() > 0.9 and small[SQUARE].mean() > 5 * small.mean()
    assert large[FAR].mean() < 0.05
    assert small[SQUARE].sum() > 0.8 * small.sum()
    both = looks_at_square.explain(textures[:1], "extremal_perturbation", 1, areas=(0.1, 0.2), iterations=500).values
    np.testing.assert_allclose(both, maps[0.1] + maps[0.2], atol=1e-4)
