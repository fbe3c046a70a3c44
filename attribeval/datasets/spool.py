"""Images of a stream, kept for as many passes as it takes: in memory while they are few, else in a temporary file."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full

IN_MEMORY = 2**26  # bytes; above, images go to the folder for temporary files


class Spool:
    """Takes batches of images of one shape and type, and gives them back as one array.

    The file has no name, so that it goes with the last array that maps it, however the process ends.
    """

    def __init__(self) -> None:
        self._batches: list[np.ndarray] = []
        self._file: Any = None
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype = np.dtype(np.uint8)
        self._count = 0

    def add(self, batch: np.ndarray) -> None:
        """Keep a batch (B, H, W, C) of the same size and type as those before; an empty one is nothing."""
        if not len(batch):
            return
        if not self._count:
            self._shape, self._dtype = batch.shape[1:], batch.dtype
        if batch.shape[1:] != self._shape:
            raise AttribevalError(
                f"Expected images of one size. Received: {sorted([self._shape, batch.shape[1:]])}: map the data set to "
                "one, or read it with Samples.from_dataset(dataset, size=(height, width))."
            )
        if batch.dtype != self._dtype:
            raise AttribevalError(
                f"Expected images of one type. Received {batch.dtype} after {self._dtype}: map the data set to one."
            )
        self._count += len(batch)
        self._batches.append(batch)
        if self._file is not None or sum(one.nbytes for one in self._batches) > IN_MEMORY:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="attribeval-")  # noqa: SIM115 - lives as long as its array
            for batch in self._batches:
                self._file.write(np.ascontiguousarray(batch))
            self._file.flush()
            self._batches.clear()
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise AttribevalError(
                f"Expected room for the data set's images in {tempfile.gettempdir()}, the folder for temporary files. "
                f"Received a full disk after {self._count:,} images: set TMPDIR to another, or take fewer (limit=)."
            ) from error

    def array(self, limit: int | None = None) -> np.ndarray:
        """All images, or the first so many, (N, H, W, C): in memory, or a read-only map of the file."""
        count = self._count if limit is None else min(limit, self._count)
        if self._file is None:
            return np.concatenate(self._batches)[:count]
        return np.memmap(self._file, np.dtype(self._dtype), mode="r", shape=(count, *self._shape))
