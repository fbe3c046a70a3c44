"""TensorFlow Datasets: any of its image classification sets by name, as it lies on disk."""

from __future__ import annotations

from os import PathLike
from typing import Any

from attribeval.datasets.samples import Samples
from attribeval.datasets.wnids import is_wnid
from attribeval.errors import AttribevalError


def tfds(
    name: str,
    split: str = "test",
    data_dir: str | PathLike | None = None,
    *,
    size: tuple[int, int] | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Samples:
    """Read a data set of TensorFlow Datasets ("imagenet2012", "food101", …) whose elements have "image" and "label".

    The images are read once, in the order of the files, and kept with 8 bits a value (224 × 224 × 3 is 147 kB): up to
    64 MB in memory, more in a temporary file (in TMPDIR). Take a part of a large set by `limit` or by a slice in
    `split`, "validation[:500]".

    Args:
        name: As `tensorflow_datasets.load` takes it.
        split: As `tensorflow_datasets.load` takes it.
        data_dir: Where the prepared data lie. None: TensorFlow Datasets' own folder.
        size: (height, width) to resize to; needed where images differ in size, as in most sets of photographs.
        limit: Read only the first so many images.
        download: Whether a set that is not there is fetched and prepared.

    Returns:
        `Samples`; labels as the set has them. Of ImageNet, whose class names are WNIDs in Keras' order, they are in
        `wnids`; of others in `class_names`.

    Raises:
        AttribevalError: If tensorflow_datasets is not installed, the set is not there or not known, or its elements
            are no labelled images.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise AttribevalError(
            f"TensorFlow Datasets reads {name!r}. It is not installed: pip install 'attribeval[tfds]'."
        ) from error
    where = None if data_dir is None else str(data_dir)
    try:
        dataset, info = tensorflow_datasets.load(
            name, split=split, data_dir=where, download=download, shuffle_files=False, with_info=True
        )
    except Exception as error:  # its errors have no common class; those of files and names are all of these
        raise AttribevalError(
            f"Expected a data set of TensorFlow Datasets and a part of it, prepared in {where or 'its own folder'}. "
            f"Received {name!r}, {split!r}: {_first_line(error)} Pass data_dir=, or download=True to fetch it."
        ) from error
    names = _class_names(info, name)
    wnids = names if names and all(map(is_wnid, names)) else None
    return Samples.from_dataset(
        dataset, size=size, limit=limit, class_names=None if wnids else names, wnids=wnids, name=name
    )


def _class_names(info: Any, name: str) -> list[str] | None:
    features = info.features
    if not {"image", "label"} <= set(features):
        raise AttribevalError(
            f'Expected a data set with the features "image" and "label". Received {name!r} with {sorted(features)}.'
        )
    return getattr(features["label"], "names", None)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."
