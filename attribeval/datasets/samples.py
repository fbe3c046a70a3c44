"""Images with what is known about them: label, boxes, masks. What every reader returns and every benchmark takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np

from attribeval.datasets.given import box_array, check_boxes, check_masks, class_indices, of_one_size, stacked
from attribeval.datasets.images import image_size, read_image, resize
from attribeval.datasets.listing import first_twice
from attribeval.datasets.masks import ArrayMask, Mask
from attribeval.datasets.streams import read_dataset
from attribeval.errors import AttribevalError


class Samples:
    """An immutable, sliceable set of labelled images, read from disk only when asked.

    Args:
        images: Either one array (N, H, W, C), any numeric dtype, raw pixel values; or a list of N arrays (H, W, C) of
            one size; or N paths.
        labels: Class of each image: indices, ints (N,) or (N, 1), or, with `class_names`, names.
        boxes: For each image a float array (k, 4) of ground-truth boxes `x0, y0, x1, y1` *relative to the image*
            (0 to 1, edges, x to the right, y down), so that they hold at every size. None: no boxes known.
        masks: For each image the object's pixels: bool (N, H, W) with array images of that size; or N masks that are
            drawn at the size wanted (`datasets.masks`: arrays, polygons, run lengths, files). None: not known.
        ids: A name for each image, unique. Default: file stems, or "0", "1", ….
        class_names: Name of each class, by class index. None: not known.
        wnids: WordNet id of each class, by class index, for ImageNet. None: not applicable.
        exif: Whether paths are turned upright by their EXIF tag. False for ImageNet, whose boxes ignore the tag.
        name: What tables and reports call this set.

    Raises:
        AttribevalError: If lengths disagree, ids repeat, or a box is empty or outside its image (naming the image).

    Example:
        >>> images = np.zeros((3, 8, 16, 3), np.uint8)
        >>> samples = Samples(images, labels=[0, 1, 1], boxes=[[[0, 0, 0.5, 1]], [], [[0.5, 0.5, 1, 1]]])
        >>> samples[samples.labels == 1]
        Samples('samples', 2 images)
        >>> samples.boxes_at((8, 16))[2].tolist()
        [[8.0, 4.0, 16.0, 8.0]]
    """

    def __init__(
        self, images: np.ndarray | Sequence[str | PathLike], labels: Sequence[int] | Sequence[str] | np.ndarray, *,
        boxes: Sequence[np.ndarray] | None = None, masks: np.ndarray | Sequence[Mask] | None = None,
        ids: Sequence[str] | None = None, class_names: Sequence[str] | None = None, wnids: Sequence[str] | None = None,
        exif: bool = False, name: str = "samples",
    ):  # fmt: skip
        images = stacked(images)
        if isinstance(images, np.ndarray):
            if images.ndim != 4 or images.dtype.kind not in "buif":
                raise AttribevalError(
                    f"Expected an array of numbers (N, H, W, C), or a list of paths. Received: {images.shape}, "
                    f"{images.dtype}."
                )
            default_ids = [str(i) for i in range(len(images))]
        else:
            if isinstance(images, str | PathLike):
                raise AttribevalError(f"Expected a list of paths. Received one: {str(images)!r}: put it in a list.")
            images = list(images)
            default_ids = [PurePath(path).stem for path in images]
            if isinstance(masks, np.ndarray):
                raise AttribevalError(
                    "An array of masks goes with an array of images. Received paths: give a list of masks, such as "
                    "[datasets.masks.ArrayMask(mask), ...]."
                )
        self.images = images
        self.labels = class_indices(labels, class_names)
        self.ids = list(ids) if ids is not None else default_ids
        self.boxes = None if boxes is None else [box_array(b, i) for i, b in enumerate(boxes)]
        self.masks = masks if masks is None or isinstance(masks, np.ndarray) else list(masks)
        self.class_names = None if class_names is None else list(class_names)
        self.wnids = None if wnids is None else list(wnids)
        self.exif = exif
        self.name = name
        self._check()

    @classmethod
    def from_dataset(
        cls, dataset: Iterable[Any], labels: Sequence[int] | np.ndarray | None = None, *,
        size: tuple[int, int] | None = None, limit: int | None = None, class_names: Sequence[str] | None = None,
        wnids: Sequence[str] | None = None, name: str = "samples",
    ) -> Samples:  # fmt: skip
        """Read a `tf.data.Dataset`, a Keras `PyDataset`, or another iterable of (image, label), once.

        A data set that shuffles anew at each pass is read in the order of this pass, and keeps it from then on.

        Args:
            dataset: Elements image, (image, label), (image, label, weight), or {"image": …, "label": …}, batched or
                not; see `datasets.streams.read_dataset`. It must have an end, or `limit` must be given.
            labels: Class index of each image, if the data set has none, or in place of its own.
            size: (height, width) to resize to. None: the images must have one size.
            limit: Read only the first so many images.
            class_names: Default: those that `keras.utils.image_dataset_from_directory` attached.
            wnids, name: As in `Samples`.

        Returns:
            Samples with the images in one array, of their own dtype: in memory up to 64 MB, else a read-only map of a
            temporary file (in TMPDIR) that goes with it, so that memory does not grow with their number.

        Raises:
            AttribevalError: If there are no labels, the data set has no end, or an element is none of the above.
        """
        read = read_dataset(dataset, size=size, limit=limit)
        labels = read.labels if labels is None else labels
        if labels is None:
            raise AttribevalError("Expected a data set of images and labels. Received images alone: pass labels=.")
        return cls(
            read.images,
            labels,
            class_names=read.class_names if class_names is None else class_names,
            wnids=wnids,
            name=name,
        )

    def _check(self) -> None:
        n = len(self.images)
        for what in ("labels", "ids", "boxes", "masks"):
            values = getattr(self, what)
            if values is not None and len(values) != n:
                raise AttribevalError(f"Expected one entry of {what} per image ({n}). Received: {len(values)}.")
        if len(set(self.ids)) != n:
            raise AttribevalError(f"Expected unique ids. Received {first_twice(self.ids)!r} more than once: pass ids=.")
        if self.class_names is not None and n and self.labels.max() >= len(self.class_names):
            i = int(self.labels.argmax())
            raise AttribevalError(
                f"Expected labels below {len(self.class_names)}, the number of class_names. Received {self.labels[i]} "
                f"for image {self.ids[i]!r}."
            )
        check_masks(self.masks, self.images, self.ids)
        check_boxes(self.boxes or [], self.ids)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> Samples:
        """A subset: by slice, by an array of ints or bools, or by one int (a set of one)."""
        order = np.atleast_1d(np.arange(len(self))[index])

        def pick(values):
            if values is None or isinstance(values, np.ndarray):
                return None if values is None else values[order]
            return [values[i] for i in order]

        return Samples(
            pick(self.images), self.labels[order], boxes=pick(self.boxes), masks=pick(self.masks), ids=pick(self.ids),
            class_names=self.class_names, wnids=self.wnids, exif=self.exif, name=self.name,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Samples({self.name!r}, {len(self)} images)"

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import samples_html

        return samples_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    def load(self, size: tuple[int, int] | None = None, channels: int = 3) -> np.ndarray:
        """Read the images.

        Args:
            size: (height, width) to resize to (bilinear, the whole image, as PIL does). None: as they are, which
                needs all of them to have one size.
            channels: 3 (RGB) or 1 (grey), for images read from paths.

        Returns:
            float32 (N, H, W, C), raw pixel values (0 to 255 for files).

        Raises:
            AttribevalError: If a file is no image or is truncated, or sizes differ while `size` is None.
        """
        if isinstance(self.images, np.ndarray):
            arrays = [np.asarray(image, dtype=np.float32) for image in self.images]
            if size is not None and self.images.shape[1:3] != tuple(size):
                arrays = [resize(image, size) for image in arrays]
            channels = self.images.shape[3]
        else:
            arrays = [read_image(path, size=size, channels=channels, exif=self.exif) for path in self.images]
        if not arrays:
            empty = self.images.shape[1:3] if isinstance(self.images, np.ndarray) else (0, 0)
            return np.zeros((0, *(size or empty), channels), np.float32)
        return of_one_size(arrays, "pass size=(height, width)")

    def batches(
        self, batch_size: int, size: tuple[int, int] | None = None, channels: int = 3
    ) -> Iterator[tuple[Samples, np.ndarray]]:
        """Yield (subset, its images as float32) in order, `batch_size` at a time; memory holds one batch."""
        if batch_size < 1:
            raise AttribevalError(f"Expected batch_size of at least 1. Received: {batch_size}.")
        for start in range(0, len(self), batch_size):
            part = self[start : start + batch_size]
            yield part, part.load(size=size, channels=channels)

    def boxes_at(self, size: tuple[int, int]) -> list[np.ndarray]:
        """The boxes of every image in pixels of an image of (height, width): float64 (k, 4) x0, y0, x1, y1 edges."""
        if self.boxes is None:
            raise AttribevalError(f"{self!r} has no boxes: read it with annotations, or pass boxes=.")
        height, width = size
        return [boxes * np.array([width, height, width, height], dtype=np.float64) for boxes in self.boxes]

    def mask_at(self, item: int, size: tuple[int, int]) -> np.ndarray:
        """The mask of one image at (height, width): uint8, 0 background, 1 object, 255 not to be scored."""
        if self.masks is None:
            raise AttribevalError(f"{self!r} has no masks: pass masks=.")
        mask = self.masks[item]
        return (ArrayMask(mask) if isinstance(mask, np.ndarray) else mask).at(size)

    def native_mask(self, item: int) -> np.ndarray | None:
        """As `mask_at`, at the size that the mask was made at; None if a mask of one's own does not say it."""
        mask = None if self.masks is None else self.masks[item]
        if isinstance(mask, np.ndarray):
            mask = ArrayMask(mask)
        size = getattr(mask, "native", None)
        return None if mask is None or size is None else mask.at(size)

    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of every image as it is; of files the header is read, and with `exif` the turn is made."""
        if isinstance(self.images, np.ndarray):
            return [self.images.shape[1:3]] * len(self)
        if self.exif:
            return [read_image(path, exif=True).shape[:2] for path in self.images]
        return [image_size(path) for path in self.images]
