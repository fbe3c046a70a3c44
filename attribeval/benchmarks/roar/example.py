"""One image of a run as its models saw it: at every fraction, by every estimator (figures 1, 7 and 8 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.benchmarks.roar.fills import BLUR, constant_fill, impute
from attribeval.benchmarks.roar.grid import Grid
from attribeval.benchmarks.roar.ranks import Mode, decode, mask_rule
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.common.blur import gaussian_blur
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError


def example_arrays(run_dir: RunDir, grid: Grid, item: int = 0) -> dict[str, np.ndarray]:
    """What pictures of one test image need; small beside the pictures themselves.

    Returns:
        "example/item"; "example/image" (H, W, C) raw; "example/estimators", names; "example/ranks" uint8, a row of
        packed levels each; "example/colour" (C,) and "example/filled" (H, W, C) float32: what replaces a value where
        that is the same at all fractions, empty with fill "linear"; "example/seed" (1, 2). Nothing at all where no
        ranking is done.
    """
    images = run_dir.images("test")
    if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < images.count:
        raise AttribevalError(f"Expected the number of a test image, 0 to {images.count - 1}. Received: {item!r}.")
    found: dict[str, np.ndarray] = {}
    for label in grid.rankings():
        try:
            found[label] = Records.open(run_dir.ranks_folder(label), "test")[item]
        except (CorruptRecords, AttribevalError):  # not made yet, or to be made again
            continue
    if not found:
        return {}
    image = images[item]
    raw = image.astype(np.float32)
    mean = run_dir.channel_mean()
    colour = constant_fill(grid.fill, image.shape[2], mean)
    filled = np.zeros((0, *image.shape[1:]), np.float32)
    if colour is not None:
        filled = np.broadcast_to(colour, image.shape).astype(np.float32)
    elif grid.fill == "blur":
        filled = gaussian_blur(tf.constant(raw[None]), [BLUR * min(raw.shape[:2])])[0].numpy()[0]
    return {
        "example/item": np.array(item),
        "example/image": image,
        "example/estimators": np.array(list(found)),
        "example/ranks": np.stack(list(found.values())),
        "example/filled": filled,
        "example/colour": mean if colour is None else colour,
        "example/seed": image_seeds(raw[None], 0),
    }


def modified(
    arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], estimator: str, fraction: float, mode: Mode
) -> np.ndarray:
    """The example image with a fraction removed, or kept, by an estimator, as it is trained on (before augmentation).

    `arrays` are those of a result, with `example_arrays`; float32 (H, W, C), in the image's scale.
    """
    image = arrays["example/image"].astype(np.float32)
    fractions = list(settings["fractions"])
    row = [str(name) for name in arrays["example/estimators"]].index(estimator)
    ranked = image.size if settings["per"] == "value" else image.shape[0] * image.shape[1]
    table = mask_rule(len(fractions), fractions.index(fraction), mode).table()
    mask = decode(arrays["example/ranks"][row][None], table, ranked).reshape(*image.shape[:2], -1)
    if settings["fill"] != "linear":
        return np.where(mask, arrays["example/filled"], image).astype(np.float32)
    byte = arrays["example/image"].dtype == np.uint8
    span = np.array([255.0 if byte else np.ptp(image)])
    return impute(image[None], mask[None], arrays["example/seed"], span, arrays["example/colour"])[0]
