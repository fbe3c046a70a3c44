"""What `digit_scenes` is drawn from: photographs cut into tiles, digits made sharp, and colours."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from attribeval.errors import AttribevalError

# Files not named "<scene>.png". Decoders of JPEG differ in chroma upsampling; this one is not subsampled.
_FILES = {
    "cat": "chelsea.png",
    "galaxies": "hubble_deep_field.jpg",
    "garage": "motorcycle_left.png",
    "tissue": "ihc.png",
}


_TILE = 75  # photographs are cut into tiles of at least this side; a crop lies within one tile


_SHARPEN = 1.5  # times (ink - mean of its 8 neighbours) is added, so that small holes stay open and thin strokes whole


_INK = 5.0  # of 16: how much ink, after sharpening and smooth upscaling, makes a pixel part of the digit


_AREA = (0.2, 0.5)  # area of the digit's box, as a share of the image


_ASPECT = (0.85, 1.18)  # the digit's height / width is multiplied by this


_LONGEST = 15 / 16  # no side of the box is longer than this share of the image; binds for narrow digits ("one")


_CONTRAST = 90.0  # luma between the digit and the mean of its place, at least


_FIXED_POINT = 4096.0  # resampling weights are whole multiples of 1 / 4096


def read_photograph(scene: str) -> np.ndarray:
    """The photograph of a scene, uint8 (H, W, 3), from the installed scikit-image (which is not imported)."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise AttribevalError("digit_scenes takes its photographs from scikit-image: pip install scikit-image.")
    path = Path(spec.origin).parent / "data" / _FILES.get(scene, f"{scene}.png")
    if not path.is_file():
        raise AttribevalError(
            f"Expected the photograph {path.name} in the installed scikit-image. Received: no file {path}. Some "
            f"distributions leave the data out; the wheel has it: pip install --force-reinstall scikit-image."
        )
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def cut_tiles(shape: tuple[int, ...]) -> list[tuple[tuple[int, int, int, int], bool]]:
    """Cut a photograph into tiles: (x0, y0, x1, y1) in pixels, and whether it is a test tile.

    Every fourth is, so that no two touch, not even at a corner.
    """
    height, width = shape[:2]
    n_rows, n_columns = height // _TILE, width // _TILE
    ys = [k * height // n_rows for k in range(n_rows + 1)]
    xs = [k * width // n_columns for k in range(n_columns + 1)]
    return [
        ((xs[c], ys[r], xs[c + 1], ys[r + 1]), (r + 2 * c) % 4 == 3) for r in range(n_rows) for c in range(n_columns)
    ]


def sharp_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All digits: sharpened ink (1797, 12, 12) with a margin of 2, extents (x0, y0, x1, y1) when upscaled, labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    ink = np.pad(digits.images.astype(np.float64), ((0, 0), (2, 2), (2, 2)))  # whole numbers 0 to 16
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    around = sum(np.roll(ink, shift, axis=(1, 2)) for shift in shifts) / 8
    ink = ink + _SHARPEN * (ink - around)  # whole sixteenths
    per_pixel = 8
    fine = filter_weights(12, 0.0, 12.0, 12 * per_pixel, _cubic)
    inside = _upscale(ink, fine, fine) >= _INK
    extents = []
    for along in (np.asarray(inside.any(axis)) for axis in (1, 2)):  # columns with ink, rows with ink
        first, last = along.argmax(1), along.shape[1] - along[:, ::-1].argmax(1)
        extents.append((first / per_pixel, last / per_pixel))
    (x0, x1), (y0, y1) = extents
    return ink, np.stack([x0, y0, x1, y1], axis=1), digits.target


def render_digit(ink: np.ndarray, extent: np.ndarray, size: int, area: float, aspect: float) -> np.ndarray:
    """One digit at a drawn size: float64 (h, w), 0 off the digit, in (0, 1] on it (how much ink)."""
    x0, y0, x1, y1 = extent.tolist()
    ratio = (y1 - y0) / (x1 - x0) * (_ASPECT[0] + aspect * (_ASPECT[1] - _ASPECT[0]))
    pixels = (_AREA[0] + area * (_AREA[1] - _AREA[0])) * size * size
    height, width = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
    fit = min(1.0, _LONGEST * size / max(height, width))
    height, width = max(2, round(height * fit)), max(2, round(width * fit))
    values = _upscale(ink, filter_weights(12, y0, y1, height, _cubic), filter_weights(12, x0, x1, width, _cubic))
    return np.where(values >= _INK, np.minimum(values, 16.0) / 16.0, 0.0)


def draw_colour(place: np.ndarray, polarity: float, strength: float, rgb: list[float]) -> np.ndarray:
    """A colour (3,) that differs from its place, and from the grey of object_only, in luma (Rec. 601)."""
    sums = place.reshape(-1, 3).sum(0, dtype=np.int64).tolist()
    around = _luma(sums) / (len(place) * place.shape[1])
    # Bright from `lightest` up, dark from `darkest` down; both are possible on a place of middle brightness.
    lightest, darkest = max(around + _CONTRAST, 175.0), min(around - _CONTRAST, 80.0)
    bright = lightest <= 245.0 and (darkest < 10.0 or polarity < 0.5)
    hue = [0.1 + 0.9 * value for value in rgb]
    if bright:
        away_from_white = (255.0 - (lightest + strength * (250.0 - lightest))) / _luma(hue)
        colour = [max(255.0 - value * away_from_white, 0.0) for value in hue]
    else:
        away_from_black = (5.0 + strength * (darkest - 5.0)) / _luma(hue)
        colour = [min(value * away_from_black, 255.0) for value in hue]
    return np.array(colour)


def _luma(rgb: list[float]) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - t, 0.0)


def _cubic(t: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel (1981), a = -1/2, at t >= 0."""
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))


def filter_weights(n_in: int, start: float, stop: float, n_out: int, kernel) -> np.ndarray:
    """Resampling matrix (n_out, n_in) of whole numbers: the stretch start to stop of the input, in pixel edges.

    When shrinking, the kernel is widened by the step (antialiasing).
    """
    step = (stop - start) / n_out
    centres = start + (np.arange(n_out) + 0.5) * step
    distance = np.abs(centres[:, None] - (np.arange(n_in) + 0.5)) / max(step, 1.0)
    weights = kernel(distance)
    return np.floor(weights / weights.sum(1, keepdims=True) * _FIXED_POINT + 0.5)


def _upscale(ink: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Resample ink (..., 12, 12). Weights are whole and ink is sixteenths, so every sum is exact in any order."""
    return rows @ ink @ columns.T / (_FIXED_POINT * _FIXED_POINT)


def resample(crop: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Resample a square crop uint8 (CROP, CROP, 3) to (S, S, 3), exactly, as `_upscale` does."""
    sums = weights.sum(1)
    values = weights @ crop.astype(np.float64).transpose(2, 0, 1) @ weights.T / (sums[:, None] * sums)
    return np.floor(values.transpose(1, 2, 0) + 0.5).astype(np.uint8)
