"""Whatever a caller passes as `images`, read a few at a time and checked: float32 (N, H, W, C), finite, right size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.given import of_one_size
from attribeval.datasets.images import from_pil, read_image
from attribeval.datasets.samples import Samples
from attribeval.datasets.streams import is_dataset, read_dataset
from attribeval.errors import AttribevalError

_PATHS = (str, PathLike)


class ImageSource:
    """Images of one size, from an array, a tensor, `Samples`, PIL images or paths.

    Arrays, tensors and data sets must have the size that the model takes; files and PIL images are resized to it
    (bilinear, the whole image). Files are read when their batch comes, and not kept. Data sets that come as a stream
    are read once, in one pass, and kept in their own dtype (above 64 MB in a temporary file): nobody can ask them for a
    batch again. Their labels are unused.

    Args:
        images: Array or tensor (N, H, W, C) or one image (H, W, C); `Samples`; a path or PIL image, or a list of
            them; `tf.data.Dataset` or Keras `PyDataset`, batched or not, with or without labels.
        shape: (H, W, C) that the model takes; None for a free side.

    Raises:
        AttribevalError: If there is no image, the shape is not the model's, or a data set has no end.
    """

    def __init__(self, images: Any, shape: tuple[int | None, int | None, int]):
        self.shape = shape
        height, width, self._channels = shape
        self._size = None if height is None or width is None else (height, width)
        if isinstance(images, _PATHS) or _is_pil(images):
            images = [images]
        if isinstance(images, Samples):
            self._images: Any = images
        elif is_dataset(images):
            self._images = self._as_array(read_dataset(images).images, stream=True)
        elif isinstance(images, Sequence) and images and all(isinstance(i, _PATHS) or _is_pil(i) for i in images):
            self._images = list(images)
        else:
            self._images = self._as_array(images)
        if len(self._images) == 0:
            raise AttribevalError("Expected at least one image. Received an empty batch.")

    def _as_array(self, images: Any, stream: bool = False) -> np.ndarray:
        try:
            array = np.asarray(images)
        except ValueError as error:  # a list of arrays of several sizes
            raise AttribevalError(f"Expected images of one size. Received: {error}. Resize them first.") from error
        if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
            raise AttribevalError(
                "Expected images as a numeric array (N, H, W, C), paths or PIL images. "
                f"Received: {type(images).__name__} of dtype {array.dtype}."
            )
        if np.iscomplexobj(array):
            raise AttribevalError("Expected real pixel values. Received: complex numbers.")
        if array.size == 0 and (array.ndim != 4 or len(array) == 0):
            raise AttribevalError(f"Expected at least one image. Received an empty batch of shape {array.shape}.")
        if array.ndim == 3 and fits(array.shape, self.shape):
            array = array[None]
        if array.ndim != 4 or not fits(array.shape[1:], self.shape):
            want = ", ".join("any" if side is None else str(side) for side in self.shape)
            raise AttribevalError(
                f"Expected images of shape (N, {want}), channels last, the size that the model takes. "
                f"Received: {array.shape}.{_remedy(array.shape, self.shape, stream)}"
            )
        return array

    def __len__(self) -> int:
        return len(self._images)

    @property
    def names(self) -> tuple[list[str] | None, list[str] | None]:
        """Ids and paths of the images; None where they have none."""
        if isinstance(self._images, Samples):
            files = None if isinstance(self._images.images, np.ndarray) else [str(p) for p in self._images.images]
            return list(self._images.ids), files
        if isinstance(self._images, list) and all(isinstance(image, _PATHS) for image in self._images):
            return [Path(path).name for path in self._images], [str(path) for path in self._images]
        return None, None

    def load(self, start: int, stop: int) -> np.ndarray:
        """Images start … stop − 1, float32, all finite; read-only where they are a part of the caller's array."""
        if isinstance(self._images, np.ndarray):
            batch = np.asarray(self._images[start:stop], dtype=np.float32)
            batch.flags.writeable = False
        elif isinstance(self._images, Samples):
            batch = self._images[start:stop].load(size=self._size, channels=self._channels)
        else:
            batch = of_one_size([self._read(image) for image in self._images[start:stop]], "resize them to one")
        if not fits(batch.shape[1:], self.shape):
            raise AttribevalError(f"Expected images of shape {self.shape}. Received: {batch.shape[1:]}.")
        if not all_finite(batch):
            finite = np.isfinite(batch).all(axis=(1, 2, 3))
            bad = (start + np.flatnonzero(~finite)).tolist()
            raise AttribevalError(
                f"Expected finite pixels. Received NaN or infinity in image{'s' if len(bad) > 1 else ''} "
                f"{', '.join(map(str, bad[:10]))}: repair or drop {'them' if len(bad) > 1 else 'it'}."
            )
        return batch

    def _read(self, image: Any) -> np.ndarray:
        if _is_pil(image):
            return from_pil(image, size=self._size, channels=self._channels)
        return read_image(image, size=self._size, channels=self._channels)


class Repeated:
    """The images of a source, each so many times in a row."""

    def __init__(self, source: ImageSource, times: int):
        self.shape = source.shape
        self._source, self._times = source, times

    @property
    def names(self) -> tuple[list[str] | None, list[str] | None]:
        """As `ImageSource.names`, each as often as its image."""
        ids, paths = self._source.names
        repeated = [None if of is None else [one for one in of for _ in range(self._times)] for of in (ids, paths)]
        return repeated[0], repeated[1]

    def __len__(self) -> int:
        return len(self._source) * self._times

    def load(self, start: int, stop: int) -> np.ndarray:
        """As `ImageSource.load`; an image is read once, however often it comes."""
        first = start // self._times
        several = np.repeat(self._source.load(first, -(-stop // self._times)), self._times, axis=0)
        return several[start - first * self._times : stop - first * self._times]


@dataclass(frozen=True, eq=False)
class Photographs:
    """Which images of a source maps were made from; they are read when they are drawn, and nothing is copied before.

    Attributes:
        source: The caller's own images: an array that is changed later is drawn as it is then.
        order: Their numbers in the source, ints (N,).
    """

    source: ImageSource | Repeated
    order: np.ndarray

    @classmethod
    def of(cls, source: ImageSource | Repeated) -> Photographs:
        """All images of a source."""
        return cls(source, np.arange(len(source)))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Photographs:
        return Photographs(self.source, self.order[index])

    def load(self) -> np.ndarray:
        """The images, float32 (N, H, W, C), as the maps' method saw them before preprocessing."""
        return np.concatenate([self.source.load(int(i), int(i) + 1) for i in self.order])


def all_finite(values: np.ndarray) -> bool:
    """Whether no value is NaN or infinite; by their sum, which is quicker to have than a mask of all of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _is_pil(image: Any) -> bool:
    return type(image).__module__.startswith("PIL.")


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape is the one wanted; None there is any length."""
    return len(shape) == len(wanted) and all(w is None or s == w for s, w in zip(shape, wanted, strict=True))


def _remedy(shape: tuple[int, ...], wanted: tuple[int | None, ...], stream: bool) -> str:
    channels = wanted[-1]
    if channels == 1 and len(shape) in (2, 3) and fits(shape[-2:], wanted[:2]):
        return " Grey images have a channel, too: images[..., None]."
    if len(shape) >= 3 and channels == 3 and (shape[-1] == 1 or shape[1:] == wanted[:2]):
        repeat = "" if shape[-1] == 1 else "[..., None]"
        return f" Grey images: repeat the channel, np.repeat(images{repeat}, 3, axis=-1)."
    if len(shape) == 4 and shape[1] in (1, 3) and shape[-1] not in (1, 3):
        return " Channels come last: np.moveaxis(images, 1, -1)."
    if len(shape) in (3, 4) and shape[-1] == channels and None not in wanted:
        if stream:
            return f" Samples.from_dataset(dataset, size={wanted[:2]}) resizes them."
        resize = f"keras.ops.image.resize(images, {wanted[:2]})"
        return f" Resize them, {resize}, or pass paths or PIL images, which are resized."
    return ""
