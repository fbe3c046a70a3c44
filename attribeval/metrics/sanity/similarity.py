"""How alike two maps of one image are: rank correlations, structural similarity, histograms of gradients.

Adebayo et al. 2018, "Sanity checks for saliency maps", section 2. Each similarity has two halves, so that the map that
all others are compared with is read once: `features` of maps, and `compare` of features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.correlation import pearson, ranks
from attribeval.metrics.subject import checked_maps

CELL = 16  # pixels a side, of the histograms
_BLOCK = 3  # cells a side, over which histograms are normalised (scikit-image's default)
WINDOW = 11  # pixels a side, of the Gaussian of SSIM: σ 1.5, cut at 3.5 σ


@dataclass(frozen=True)
class Similarity:
    """A way to compare maps.

    Attributes:
        title: What pictures and tables call it.
        features: Maps (N, H, W) or (N, H, W, C) → what is compared, one row per map.
        compare: Two arrays of features → float64 (N,).
        least: Pixels a side that maps need.
        zero: Whether unrelated maps of any kind have about 0.
    """

    title: str
    features: Callable[[np.ndarray], np.ndarray]
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray]
    least: int = 1
    zero: bool = True

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Compare maps with maps, see the functions of this module."""
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            raise AttribevalError(f"Expected maps of the same shape. Received: {a.shape} and {b.shape}.")
        return self.compare(self.features(a), self.features(b))


# -- public ------------------------------------------------------------------------------------------------------------


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of signed maps over their pixels.

    Args:
        a, b: Maps of the same images, (N, H, W), or (N, H, W, C), which are summed over channels.

    Returns:
        float64 (N,), −1 to 1; tied pixels share their mean rank; NaN where a map is constant.

    Raises:
        AttribevalError: If the shapes differ, or a map is not finite, which is named.

    Differs from the code of Adebayo et al.: maps are not cut at a percentile, which would tie their highest pixels.
    """
    return SIMILARITIES["spearman"](a, b)


def spearman_absolute(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of how large attributions are: absolute values before the sum over channels.

    Arguments, result and errors as of `spearman`. It is what the paper leads with ("absolute value").
    """
    return SIMILARITIES["spearman_abs"](a, b)


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) of signed maps, each scaled to 0 … 1 by its minimum and maximum.

    Gaussian window of σ 1.5 (11 × 11 pixels), K₁ = .01, K₂ = .03, sample covariance, as scikit-image has it.

    Args:
        a, b: As of `spearman`, 11 pixels a side or more.

    Returns:
        float64 (N,), −1 to 1; NaN where a map is constant, as it has no scale. **Two unrelated maps do not have 0**:
        flat parts are alike in all maps, so compare with the control `random` and with methods of the same grain.

    Raises:
        AttribevalError: As `spearman`; or maps are too small.

    Differs from the code of Adebayo et al.: that scales the three channels together and averages their similarities
    (here they are summed first, so that maps of one and of three channels are comparable), and leaves scikit-image to
    take 2 for the range of floats (here it is 1, the range that they have).
    """
    return SIMILARITIES["ssim"](a, b)


def hog_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of histograms of oriented gradients (Dalal & Triggs 2005) of signed maps.

    Maps are scaled to 0 … 1; 9 orientations, cells of 16 × 16 pixels, blocks of 3 × 3 cells, as in the code of Adebayo
    et al. (the paper says Pearson's correlation).

    Args:
        a, b: As of `spearman`, 48 pixels a side or more.

    Returns:
        float64 (N,), −1 to 1; NaN where a map is constant.

    Raises:
        AttribevalError: As `spearman`; or maps are too small.
    """
    return SIMILARITIES["hog"](a, b)


def choose_similarities(names: Sequence[str] | None, size: tuple[int, int]) -> tuple[list[str], list[str]]:
    """Names of similarities, and of those left out because maps are too small for them.

    Args:
        names: None: all that maps of this size allow.
        size: (H, W).

    Raises:
        AttribevalError: If a name is unknown or given twice, there is none, or one that is named needs larger maps.
    """
    if names is None:
        small = [name for name, one in SIMILARITIES.items() if min(size) < one.least]
        return [name for name in SIMILARITIES if name not in small], small
    names = check_names(names)
    for name in names:
        check_size(size, SIMILARITIES[name].least, name)
    return names, []


def check_names(names: str | Sequence[str]) -> list[str]:
    """Names of similarities as a list; `AttribevalError` if one is unknown or given twice, or there is none."""
    names = [names] if isinstance(names, str) else list(names)
    if not names or len(set(names)) != len(names):
        raise AttribevalError(f"Expected names of similarities, each once. Received: {names}.")
    for name in names:
        if name not in SIMILARITIES:
            raise unknown("similarity", str(name), SIMILARITIES)
    return names


# -- features ----------------------------------------------------------------------------------------------------------


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks of each row, float32, which holds the halves of up to eight million pixels exactly."""
    return ranks(values.reshape(len(values), -1)).astype(np.float32)


def _signed_ranks(maps: np.ndarray) -> np.ndarray:
    return _ranks(_signed(maps))


def _absolute_ranks(maps: np.ndarray) -> np.ndarray:
    return _ranks(_signed(np.abs(maps)))


def _scaled_large(maps: np.ndarray) -> np.ndarray:
    maps = scaled(maps)
    check_size(maps.shape[1:], WINDOW, "ssim")
    return maps.astype(np.float32)


def _histograms(maps: np.ndarray) -> np.ndarray:
    """Ranks of the histograms of each map, NaN for one that is constant."""
    from skimage.feature import hog

    maps = scaled(maps)
    check_size(maps.shape[1:], _BLOCK * CELL, "hog")
    shape = {"orientations": 9, "pixels_per_cell": (CELL, CELL), "cells_per_block": (_BLOCK, _BLOCK)}
    found = _ranks(np.stack([hog(np.nan_to_num(one), **shape) for one in maps]))
    found[np.isnan(maps[:, 0, 0])] = np.nan
    return found


def _signed(maps: np.ndarray) -> np.ndarray:
    maps = checked_maps(maps, channels=True)
    return maps.sum(-1) if maps.ndim == 4 else maps


def scaled(maps: np.ndarray) -> np.ndarray:
    """Signed maps from 0 to 1, float64; NaN all over where a map is constant."""
    maps = _signed(maps)
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps - low, high - low, out=np.full_like(maps, np.nan), where=high > low)


def check_size(size: Sequence[int], least: int, name: str, remedy: str = "leave it out") -> None:
    if min(size) < least:
        raise AttribevalError(
            f"Expected maps of {least} pixels a side or more for {name}. Received: {size[0]} × {size[1]}: {remedy}."
        )


# -- comparisons -------------------------------------------------------------------------------------------------------


def structural(a: np.ndarray, b: np.ndarray, **how: bool) -> np.ndarray:
    """SSIM of maps `scaled` to 0..1, (N,), NaN where one is constant; options as of scikit-image."""
    from skimage.metrics import structural_similarity

    result = np.full(len(a), np.nan)
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if not (np.isnan(x[0, 0]) or np.isnan(y[0, 0])):
            result[i] = structural_similarity(x, y, gaussian_weights=True, data_range=1.0, **how)
    return result


SIMILARITIES: dict[str, Similarity] = {
    "spearman_abs": Similarity("Spearman of |map|", _absolute_ranks, pearson),
    "spearman": Similarity("Spearman of signed map", _signed_ranks, pearson),
    "ssim": Similarity("SSIM", _scaled_large, structural, WINDOW, zero=False),
    "hog": Similarity("Spearman of HOG", _histograms, pearson, _BLOCK * CELL),
}
