"""Our own methods beside the field's libraries, on the user's model: how far they agree, and how long each takes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from attribeval.attributer import Attributer
from attribeval.backends.registry import BACKENDS
from attribeval.errors import AttribevalError
from attribeval.metrics.correlation import spearman

COLUMNS = ["backend", "method", "difference", "spearman", "seconds_ours", "seconds_theirs", "note"]
# Fewer samples than by default: what is compared is the computation, not the estimate.
_SAMPLES = {"lime": {"samples": 200}, "kernel_shap": {"samples": 200}, "partition_shap": {"samples": 200}}
# Where a library does something else on purpose, our method is asked to do the same.
_LIKE_THEIRS: dict[tuple[str, str], dict[str, Any]] = {
    ("deeplift", "deeplift"): {"maxpool": "gradient"},
    ("tf_keras_vis", "gradcam++"): {"alphas": "normalised"},
}
# Where the two cannot agree to rounding.
_REMARKS = {
    ("tf_keras_vis", "smoothgrad(gradient)"): "each draws its own noise",
    ("tf_keras_vis", "gradcam++"): "agrees behind global average pooling",
    ("tf_keras_vis", "scorecam"): "upsamples its masks with the corners aligned",
}


def example_images(shape: tuple[int | None, int | None, int]) -> list[Any]:
    """Three photographs of scikit-image (an astronaut, a cat, a cup of coffee), their middle squares, resized.

    PIL images, of the (H, W, C) that the model takes; a free side is 224.
    """
    from PIL import Image
    from skimage import data

    height, width = (side or 224 for side in shape[:2])
    images = []
    for photograph in (data.astronaut(), data.chelsea(), data.coffee()):
        side = min(photograph.shape[:2])
        top, left = ((length - side) // 2 for length in photograph.shape[:2])
        square = Image.fromarray(photograph[top : top + side, left : left + side])
        images.append(square.resize((width, height), Image.Resampling.BILINEAR))
    return images


def agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """How far two sets of maps (N, H, W, C) agree.

    The largest |difference| over the images, each divided by the range of our map of that image (0 if both maps are
    constant and equal); and the smallest Spearman correlation over the images (NaN where a map is constant).
    """
    a, b = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (ours, theirs))
    largest, extent = np.abs(a - b).max(1), np.ptp(a, axis=1)
    differences = np.divide(largest, extent, out=np.where(largest == 0, 0.0, np.inf), where=extent > 0)
    return float(differences.max()), float(spearman(a, b).min())


def crosscheck(attributer: Attributer, images: Any = None, targets: Any = None, *, seed: int = 0) -> pd.DataFrame:
    """Compute every method that a library has too with both, and compare.

    Both run once on the first image before they are timed, so that compiling does not count.

    Args:
        attributer: The model.
        images: As in `Attributer.explain`; None takes three photographs of scikit-image.
        targets: As in `Attributer.explain`.
        seed: Seed of everything random; masks and segments are the same for both.

    Returns:
        One row per (backend, method): difference (of the range of our map), spearman, seconds_ours, seconds_theirs,
        note. A pair that cannot run has no numbers and a note that says why.
    """
    if images is None:
        images = example_images(attributer.classifier.input_shape)
    raw = attributer.read(images)
    if targets is None:  # the same class for both, whatever happens
        targets = attributer.predict(raw).argmax(1).astype(np.int32)
    elif np.ndim(targets) == 0:
        targets = np.full(len(raw), targets)

    def timed(method: str, backend: str | None, options: dict[str, Any]) -> tuple[np.ndarray, float]:
        """The maps and the seconds that they took, after a first call that is not timed."""
        call = {"seed": seed, "progress": False, "backend": backend, **options}
        attributer.explain(raw[:1], method, targets[:1], **call)
        begun = time.perf_counter()
        maps = attributer.explain(raw, method, targets, **call)
        return maps.values, time.perf_counter() - begun

    rows = []
    for backend, methods in BACKENDS.items():
        for name in methods:
            options = _SAMPLES.get(name, {})
            special = _LIKE_THEIRS.get((backend, name), {})
            notes = [f"{key}={value!r}" for key, value in (options | special).items()]
            notes += [_REMARKS[backend, name]] if (backend, name) in _REMARKS else []
            row: dict[str, Any] = {"backend": backend, "method": name}
            try:
                ours, row["seconds_ours"] = timed(name, None, options | special)
                theirs, row["seconds_theirs"] = timed(name, backend, options)
                row["difference"], row["spearman"] = agreement(ours, theirs)
            except Exception as error:  # a library may raise anything; one that fails must not hide the others
                known = isinstance(error, AttribevalError)
                notes = [str(error) if known else f"{type(error).__name__}: {error}"]
            rows.append(row | {"note": "; ".join(notes)})
    return pd.DataFrame(rows, columns=COLUMNS)
