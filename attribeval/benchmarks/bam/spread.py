"""The article's error bars: the standard deviation over 10 trials of 100 image pairs."""

from __future__ import annotations

import numpy as np

_TRIALS, _PAIRS = 10, 100


def deviation_of_trials(values: np.ndarray, seed: int = 0) -> float:
    """How much the mean over 100 images varies from trial to trial, of one number or bool per image (N,).

    The article draws from 10,000 images. Here there may be few more than 100, and trials of nearly the same images
    would agree by construction: so images are drawn with replacement, as if from many. It tells of samples of that
    size, not of the mean over all images: `results.over_images.mean_interval` does that.

    The standard deviation (n − 1) of the means; NaN for fewer than 100 images. The seed draws the same for methods on
    the same images.
    """
    values = np.asarray(values, np.float64)
    if len(values) < _PAIRS:
        return float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(_TRIALS, _PAIRS))
    return float(values[drawn].mean(1).std(ddof=1))
