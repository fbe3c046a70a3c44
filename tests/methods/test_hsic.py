"""HSIC: the double sum, and what only one cell decides."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.perturbation import linear

from attribeval import Attributer
from attribeval.methods.hsic import draw_cells, hsic, kernel_width


def test_hsic_is_the_double_sum():
    """(1/n²) Σ K L + (1/n⁴) ΣK ΣL − (2/n³) Σ_i (Σ_j K)(Σ_j L) (Gretton et al. 2005), over more than one block."""
    rng = np.random.default_rng(0)
    n = 300
    shown, y = rng.random((n, 3)) < 0.4, rng.normal(size=n)
    y[shown[:, 1]] += 1
    pairs = [abs(y[i] - y[j]) for i in range(n) for j in range(i)]
    width = kernel_width(y)
    assert width == pytest.approx(np.median(pairs))
    outputs = np.exp(-((y[:, None] - y) ** 2) / (2 * width**2))
    for k, found in enumerate(hsic(shown, y, width)):
        inputs = (shown[:, None, k] == shown[:, k]).astype(float)
        expected = (inputs * outputs).sum() / n**2 + inputs.sum() * outputs.sum() / n**4
        expected -= 2 * (inputs.sum(1) * outputs.sum(1)).sum() / n**3
        assert found == pytest.approx(expected, rel=1e-9)


def test_hsic_knows_which_cell_matters():
    shown = draw_cells(np.random.default_rng(0), 2000, 9)
    assert (shown.mean(0) == 0.5).all()  # a Latin hypercube
    y = 3.0 * shown[:, 4]
    found = hsic(shown, y, kernel_width(y))
    assert found[4] == pytest.approx((1 - np.exp(-0.5)) / 4)  # two outputs, as far apart as the kernel is wide
    assert np.delete(found, 4).max() < 5 / 2000
    noise = np.random.default_rng(1).normal(size=2000)
    assert hsic(shown, noise, kernel_width(noise)).max() < 5 / 2000
    spread = noise * (1 + 3 * shown[:, 2])  # the same mean, another variance: no correlation, but dependence
    found = hsic(shown, spread, kernel_width(spread))
    assert found.argmax() == 2 and found[2] > 5 * np.delete(found, 2).max()
    assert (hsic(shown, np.full(2000, 7.0), kernel_width(np.full(2000, 7.0))) == 0).all()


def test_hsic_map_of_a_model_that_looks_at_one_cell():
    weights = np.zeros((8, 8, 1))
    weights[2:4, 4:6] = 1
    maps = Attributer(linear(weights)).explain(np.ones((8, 8, 1), np.float32), "hsic", 1, grid_size=4).values[0, ..., 0]
    inside = maps[2:4, 4:6].min()  # enlarged bilinearly, a quarter of a cell from its centre: 9/16 of the top
    assert inside == pytest.approx((1 - np.exp(-0.5)) / 4 * 9 / 16, rel=0.05)
    assert maps[:, :3].max() < 0.01 and maps[5:].max() < 0.01
