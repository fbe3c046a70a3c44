"""The data set of a grid: read once, checked, and written into the run directory as records."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.benchmarks.roar.paper import GEOMETRIES, Geometry, short_side
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.datasets.geometry import load_crops
from attribeval.datasets.samples import Samples
from attribeval.datasets.streams import is_dataset
from attribeval.errors import AttribevalError, unknown
from attribeval.runs.store import take

_SHARDS = 16  # at least about so many, so that several processes share the maps of a small set
_SMALLEST, _LARGEST = 64, 1024  # images per shard
_AT_ONCE = 32  # images that are read as float32


@dataclass(frozen=True)
class Source:
    """Training and test images, of one size.

    Attributes:
        splits: `Samples` by "train" and "test".
        shape: (H, W, C) of the records.
        classes: Number of classes.
        geometry: How files become squares, see `paper.Treatment`.
    """

    splits: dict[str, Samples]
    shape: tuple[int, int, int]
    classes: int
    geometry: Geometry = "resized"

    @property
    def dtype(self) -> str:
        """Files and bytes are kept as uint8; other numbers as float32."""
        arrays = [s.images for s in self.splits.values() if isinstance(s.images, np.ndarray)]
        return "uint8" if all(array.dtype == np.uint8 for array in arrays) else "float32"

    def describe(self) -> dict[str, Any]:
        """What the grid remembers of the data: counts, shape, classes, and a hash of labels and some pixels."""
        digest = hashlib.blake2b(digest_size=8)
        for samples in self.splits.values():
            digest.update(samples.labels.tobytes())
            for i in np.unique(np.linspace(0, len(samples) - 1, 32).astype(int)):
                digest.update(np.ascontiguousarray(self.load(samples[int(i)])).tobytes())
        return {
            "name": "/".join(samples.name for samples in self.splits.values()),
            **{split: len(samples) for split, samples in self.splits.items()},
            "shape": list(self.shape),
            "classes": self.classes,
            "fingerprint": digest.hexdigest(),
            **({} if self.geometry == "resized" else {"geometry": self.geometry}),
        }

    def load(self, samples: Samples) -> np.ndarray:
        """Images as they are stored, (N, H, W, C) of `dtype`; a few at a time are float32."""
        out = np.empty((len(samples), *self.shape), self.dtype)
        for start in range(0, len(samples), _AT_ONCE):
            out[start : start + _AT_ONCE] = self._load(samples[start : start + _AT_ONCE])
        return out

    def _load(self, samples: Samples) -> np.ndarray:
        if self.geometry == "cropped" and not isinstance(samples.images, np.ndarray):
            side = self.shape[0]
            images = load_crops(samples, side, short_side(side), channels=self.shape[2])
        else:
            images = samples.load(size=self.shape[:2], channels=self.shape[2])
        if self.dtype == "uint8":
            return np.clip(np.rint(images), 0, 255).astype(np.uint8)
        _check_finite(images, samples)
        return images

    def write(self, run_dir: RunDir, progress: bool | None) -> int:
        """Write images and labels into the run directory; what is there and whole stays, what is not is named.

        Any number of processes do it side by side, shard by shard; each returns when all shards are there, and says how
        many images it wrote.
        """
        records = {}
        with run_dir.lock("images"):
            run_dir.write_labels(**{split: samples.labels for split, samples in self.splits.items()})
            for split, samples in self.splits.items():
                per_shard = int(np.clip(-(-len(samples) // _SHARDS), _SMALLEST, _LARGEST))
                records[split] = Records.create(
                    run_dir.path / "images", split, len(samples), self.shape, self.dtype, per_shard
                )
        parts = [(split, shard) for split, of_split in records.items() for shard in range(of_split.shards)]
        written, total = 0, sum(len(samples) for samples in self.splits.values())
        with progress_bars.bar(total, "images", progress) as bar:
            for number in take([f"images-{split}-{shard:05d}" for split, shard in parts], run_dir.path):
                split, shard = parts[number]
                start, stop = records[split].span(shard)
                written += self._write_shard(records[split], shard, self.splits[split][start:stop])
                bar.update(stop - start)
        return written

    def _write_shard(self, records: Records, shard: int, samples: Samples) -> int:
        """Write a shard that is not there and whole; return how many images were written."""
        try:
            records.verify(shard)
            return 0
        except CorruptRecords as error:
            if error.path.is_file():
                warnings.warn(f"{error} It is made again.", stacklevel=4)
        records.write_shard(shard, self.load(samples))
        return len(samples)


def read_source(
    dataset: Any, input_shape: tuple[int | None, ...], classes: int, geometry: Geometry = "resized"
) -> Source:
    """Find training and test images in what the user passed.

    Args:
        dataset: Something with `.train` and `.test`, or a pair: `Samples`, what has `.samples()` (digit scenes), or
            `tf.data.Dataset` and `PyDataset` of (image, label), read once (`Samples.from_dataset`).
        input_shape: (H, W, C) of the model; None for a side that is free.
        classes: Number of the model's outputs.
        geometry: How files become squares, see `paper.Treatment`; arrays are taken as they are.
    """
    if geometry not in GEOMETRIES:
        raise unknown("geometry of roar", str(geometry), GEOMETRIES)
    parts = (dataset.train, dataset.test) if hasattr(dataset, "train") and hasattr(dataset, "test") else dataset
    if not isinstance(parts, (tuple, list)) or len(parts) != 2:
        raise AttribevalError(
            "Expected a data set with .train and .test, or a pair of Samples (train, test). Received: "
            f"{type(dataset).__name__}."
        )
    if classes < 2:
        raise AttribevalError(
            "Expected a model with an output for each class, two or more. Received one output: end it in Dense(2)."
        )
    splits = {}
    for split, part in zip(SPLITS, parts, strict=True):
        if is_dataset(part):
            height, width = input_shape[:2]
            size = None if height is None or width is None else (height, width)
            part = Samples.from_dataset(part, size=size, name=split)
        samples = part.samples() if not isinstance(part, Samples) and hasattr(part, "samples") else part
        if not isinstance(samples, Samples):
            raise AttribevalError(
                f"Expected the {split} images as Samples. Received: {type(samples).__name__}: wrap arrays, "
                "Samples(images, labels)."
            )
        if len(samples) == 0:
            raise AttribevalError(f"Expected at least one {split} image. Received none.")
        splits[split] = samples
    for split, samples in splits.items():
        if samples.labels.max() >= classes:
            i = int(samples.labels.argmax())
            raise AttribevalError(
                f"Expected labels below {classes}, the number of the model's outputs. Received {samples.labels[i]} for "
                f"{split} image {samples.ids[i]!r}."
            )
    shape = _shape(splits, input_shape)
    if geometry == "cropped" and shape[0] != shape[1]:
        raise AttribevalError(
            f"Expected a model of square images for geometry='cropped'. Received one of {shape[0]}×{shape[1]}."
        )
    for samples in splits.values():
        if isinstance(samples.images, np.ndarray) and samples.images.dtype.kind == "f":
            for start in range(0, len(samples), _LARGEST):
                part = samples[start : start + _LARGEST]
                _check_finite(np.asarray(part.images), part)
    return Source(splits, shape, classes, geometry)


def _shape(splits: dict[str, Samples], input_shape: tuple[int | None, ...]) -> tuple[int, int, int]:
    height, width, channels = input_shape
    for split, samples in splits.items():
        in_memory = np.shape(samples.images) if isinstance(samples.images, np.ndarray) else None
        if in_memory and in_memory[3] != channels:
            raise AttribevalError(
                f"Expected {split} images of {channels} channels, as the model takes. Received: "
                f"{in_memory[3]}: repeat or drop channels, or build a model for these."
            )
        if not in_memory and channels not in (1, 3):
            raise AttribevalError(
                f"Expected a model of 1 or 3 channels for images from files. Received one of {channels}."
            )
        if height is None or width is None:
            if not in_memory:
                raise AttribevalError(
                    "Expected a model with a fixed input size for images from files. Received a free one: "
                    "Input((height, width, channels))."
                )
            height, width = in_memory[1:3]
    return int(height or 0), int(width or 0), int(channels or 0)


def _check_finite(images: np.ndarray, samples: Samples) -> None:
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        name = samples.ids[int(np.argmin(finite))]
        raise AttribevalError(f"Expected finite pixels. Received NaN or infinity in image {name!r}: repair or drop it.")
