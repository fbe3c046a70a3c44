"""Two parts of one data set, and the NumPy file that such sets often come in."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """A part of a data set, for training or for tests: images, and what is known of each; item i of every array is i.

    Attributes:
        name: "train" or "test".
        images: (N, H, W, C).
    """

    name: str
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        return f"{type(self).__name__}({self.name!r}, {len(self)} images of {height} x {width})"


class TrainTest(NamedTuple):
    """Images to train on, and images to test on."""

    train: Samples
    test: Samples


def npz(path: str | PathLike) -> TrainTest:
    """Read a NumPy file with images and labels, as `keras.datasets` has them.

    Args:
        path: A `.npz` file with `x_train`, `x_test`: images (N, H, W, C) or (N, H, W) for grey; `y_train`, `y_test`:
            class indices, ints (N,) or (N, 1); and, if wanted, `classes`: their names.

    Returns:
        `TrainTest` of `Samples`, named after the file.

    Raises:
        AttribevalError: If the file cannot be read, or lacks one of the arrays.
    """
    path = Path(path)
    arrays = read_arrays(path, "a .npz file")
    missing = [name for name in ("x_train", "y_train", "x_test", "y_test") if name not in arrays]
    if missing:
        raise AttribevalError(
            f"Expected x_train, y_train, x_test and y_test in {path}. Received a file without {', '.join(missing)}; it "
            f"has {', '.join(arrays) or 'nothing'}."
        )
    names = [str(name) for name in arrays["classes"]] if "classes" in arrays else None
    return TrainTest(*(_part(arrays, part, names, f"{path.stem}_{part}") for part in ("train", "test")))


def read_arrays(path: str | PathLike, form: str) -> dict[str, np.ndarray]:
    """Arrays by name from a file of `numpy.savez`; `form` says what it should be, for the message."""
    try:
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AttribevalError(f"Expected {form}. Received {path}: {type(error).__name__}: {error}.") from error


def _part(arrays: dict[str, np.ndarray], part: str, class_names: list[str] | None, name: str) -> Samples:
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.ndim not in (3, 4):
        raise AttribevalError(f"Expected x_{part} as images (N, H, W, C) or (N, H, W). Received: {images.shape}.")
    images = images[..., None] if images.ndim == 3 else images
    return Samples(images, labels, class_names=class_names, name=name)
