"""Blur IG against its steps written slowly and the paper's integral."""

from __future__ import annotations

import numpy as np
from helpers.known import CLASSES, SHAPE, Known, Polynomial, close, known_known, known_x  # noqa: F401
from scipy.ndimage import gaussian_filter

from attribeval import Attributer


def test_blur_ig_against_the_steps_written_slowly(known, x):
    maps = Attributer(known.model, batch_size=3).explain(x, "blur_ig", 1, max_sigma=2.0, steps=4)
    for i, image in enumerate(x):

        def blurred(sigma, image=image):
            return gaussian_filter(image.astype(np.float64), (sigma, sigma, 0), mode="reflect")

        expected = np.zeros(SHAPE)
        for sharp, soft in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0)):
            expected += known.gradient(blurred((sharp + soft) / 2), 1) * (blurred(sharp) - blurred(soft))
        close(maps.values[i], expected)
        gap = expected.sum() - (known.score(image, 1) - known.score(blurred(2.0), 1))
        assert abs(maps.completeness_gap[i] - gap) < 1e-3


def test_blur_ig_tends_to_the_integral_of_the_paper(known, x):
    """Equation 4: the gradient at each scale times dL/d(scale), here by a numerical derivative and 2,000 scales."""
    image = x[0].astype(np.float64)
    got = Attributer(known.model, batch_size=64).explain(x[:1], "blur_ig", 1, max_sigma=2.0, steps=200)
    # scipy cuts its kernel at whole pixels, 4 σ wide, so L(σ) is smooth only between multiples of 1/8
    expected = np.zeros(SHAPE)
    h, count = 1e-6, 2000
    for k in range(count):
        sigma = (k + 0.5) * 2.0 / count
        up, down = (gaussian_filter(image, (s, s, 0), mode="reflect") for s in (sigma + h, sigma - h))
        middle = gaussian_filter(image, (sigma, sigma, 0), mode="reflect")
        expected -= known.gradient(middle, 1) * (up - down) / (2 * h) * 2.0 / count
    close(got.values[0], expected, 0.02)
    assert abs(got.completeness_gap[0]) < 0.01 * np.abs(got.values[0]).sum()
