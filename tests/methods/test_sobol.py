"""Sobol indices: functions whose indices are known, and the definition."""

from __future__ import annotations

import numpy as np
from helpers.perturbation import linear

from attribeval import Attributer
from attribeval.methods.sobol import Design, total_indices


def estimate(function, variables: int, designs: int) -> np.ndarray:
    design = Design(variables, designs, np.random.default_rng(0))
    return total_indices(function(design.rows(np.arange(len(design)))), variables)


def test_total_indices_of_the_ishigami_function():
    def ishigami(u):
        x = np.pi * (2 * u - 1)
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])

    np.testing.assert_allclose(estimate(ishigami, 3, 8192), [0.5576, 0.4424, 0.2437], atol=0.01)


def test_total_indices_of_the_g_function():
    a = np.array([0, 1, 4.5, 9])
    ratio = 1 / (3 * (1 + a) ** 2)
    variance = np.prod(1 + ratio) - 1
    expected = [ratio[i] * np.prod(1 + np.delete(ratio, i)) / variance for i in range(4)]
    found = estimate(lambda u: np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1), 4, 8192)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_total_indices_of_an_additive_and_of_a_constant_function():
    slopes = np.array([3.0, 1, 0, 2])
    found = estimate(lambda u: u @ slopes, 4, 4096)
    np.testing.assert_allclose(found, slopes**2 / (slopes**2).sum(), atol=0.005)
    assert found[2] == 0
    noise = np.random.default_rng(1).normal(0, 1e-8, 2048 * 5).reshape(-1)
    assert (total_indices(3.0 + noise, 4) == 0).all()


def test_jansen_estimator_and_design_by_the_definition():
    design = Design(3, 8, np.random.default_rng(0))
    points = design.rows(np.arange(len(design)))
    a, b = points[:8], design.b
    for k in range(3):
        expected = a.copy()
        expected[:, k] = b[:, k]
        np.testing.assert_array_equal(points[8 * (k + 1) : 8 * (k + 2)], expected)
    assert (a != b).all()
    np.testing.assert_array_equal(design.rows(np.array([25, 3])), points[[25, 3]])
    y = np.random.default_rng(1).normal(size=32)
    mean = sum(y[:8]) / 8
    variance = sum((v - mean) ** 2 for v in y[:8]) / 7
    expected = [sum((y[j] - y[8 * (k + 1) + j]) ** 2 for j in range(8)) / (2 * 8 * variance) for k in range(3)]
    np.testing.assert_allclose(total_indices(y, 3), expected)


def test_sobol_map_of_a_linear_model():
    """Each pixel a cell of its own: the score is a sum, so the indices are squared weights over their sum."""
    weights = np.random.default_rng(3).normal(size=(4, 4, 1))
    image = np.ones((4, 4, 1), np.float32)
    maps = Attributer(linear(weights)).explain(image, "sobol", 1, grid_size=4, designs=1024).values[0]
    np.testing.assert_allclose(maps, weights**2 / (weights**2).sum(), atol=0.02)
    # Faded to the image itself nothing changes, whatever the mask.
    assert (Attributer(linear(weights)).explain(image, "sobol", 1, grid_size=4, fill=1.0).values == 0).all()
