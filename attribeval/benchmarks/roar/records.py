"""Records of one size in shards: images and packed rank levels, written in any order by anyone, read from anywhere.

    <folder>/<name>.json          shape and type of a record, how many there are, how many in a shard; its checksum
    <folder>/<name>-00000.bin     256 bytes that say how many records follow and their checksum, then the records

A shard is whole or not there, and carries its own checksum, so that processes on several machines may write one set:
who comes second finds the shard done, and two that write the same shard at once leave one of the two, never a mixture.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from attribeval.benchmarks.roar.shard_file import HEADER_BYTES, declare, fault, read_description, write_records
from attribeval.errors import AttribevalError

_SHARD_BYTES = 2**26
_OPEN_SHARDS = 128  # memory maps kept; each holds a file open


class CorruptRecords(AttribevalError):
    """A shard is missing, cut short or changed; `shard` says which, so that it alone can be written again."""

    def __init__(self, path: Path, shard: int, what: str):
        super().__init__(f"Expected {path} as it was written. Received {what}: write shard {shard} again.")
        self.path = path
        self.shard = shard


@dataclass(repr=False, eq=False)
class Records:
    """A set of records of one shape and type; make it with `create` or `open`.

    The last shard may have fewer than `shard_records`.
    """

    folder: Path
    name: str
    count: int
    shape: tuple[int, ...]
    dtype: np.dtype
    shard_records: int

    def __post_init__(self) -> None:
        self._maps: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Records({self.name!r}, {self.count} × {self.shape} {self.dtype}, {self.shards} shards)"

    def __reduce__(self):
        """Only what it is travels to another process; memory maps are opened there."""
        return Records, (self.folder, self.name, self.count, self.shape, self.dtype, self.shard_records)

    # -------------------------------------------------------------------------------------------- make and find

    @classmethod
    def create(
        cls,
        folder: str | PathLike,
        name: str,
        count: int,
        shape: Sequence[int],
        dtype: np.dtype | type | str,
        shard_records: int | None = None,
    ) -> Records:
        """Declare a set, or find it declared in the same way; its shards are then written in any order.

        Types are numeric, and kept little-endian. `shard_records=None` makes shards of one size, at most 64 MB.
        """
        dtype, shape = np.dtype(dtype).newbyteorder("<"), tuple(int(side) for side in shape)
        size = int(np.prod(shape)) * dtype.itemsize
        if count < 1 or size < 1 or dtype.kind not in "biuf":
            raise AttribevalError(f"Expected numeric records, 1 or more. Received: {count} × {shape} of {dtype}.")
        if shard_records is None:
            shards = -(-count // max(1, _SHARD_BYTES // size))
            shard_records = -(-count // shards)
        if shard_records < 1:
            raise AttribevalError(f"Expected 1 record per shard or more. Received: {shard_records}.")
        wanted = {"count": int(count), "shape": list(shape), "dtype": dtype.str, "shard_records": int(shard_records)}
        declare(folder, name, wanted)
        return cls(Path(folder), name, int(count), shape, dtype, int(shard_records))

    @classmethod
    def open(cls, folder: str | PathLike, name: str) -> Records:
        """Find a set that was declared before."""
        found = read_description(folder, name)
        dtype, shape = np.dtype(found["dtype"]), tuple(found["shape"])
        return cls(Path(folder), name, found["count"], shape, dtype, found["shard_records"])

    # ----------------------------------------------------------------------------------------------------- facts

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // self.shard_records)

    @property
    def files(self) -> list[Path]:
        """The shards' files in order, whether they are there or not."""
        return [self.folder / f"{self.name}-{k:05d}.bin" for k in range(self.shards)]

    def span(self, k: int) -> tuple[int, int]:
        """First record of shard `k`, and the one after its last."""
        if not 0 <= k < self.shards:
            raise AttribevalError(f"Expected a shard of {self.name}, 0 to {self.shards - 1}. Received: {k}.")
        return k * self.shard_records, min((k + 1) * self.shard_records, self.count)

    def missing(self) -> list[int]:
        """Shards that are not there, or not of the right length; `verify` also looks at every byte."""
        return [k for k in range(self.shards) if self._fault(k) is not None]

    # ----------------------------------------------------------------------------------------------------- write

    def write_shard(self, k: int, array: np.ndarray) -> bool:
        """Write shard `k`, (records, *shape) of the set's type, whole or not at all; False if it is there and whole."""
        start, stop = self.span(k)
        array = np.asarray(array)
        if array.shape != (stop - start, *self.shape) or array.dtype.newbyteorder("<") != self.dtype:
            raise AttribevalError(
                f"Expected {self.dtype} {(stop - start, *self.shape)} for shard {k} of {self.name}. "
                f"Received: {array.dtype} {array.shape}."
            )
        try:
            self.verify(k)
            return False
        except CorruptRecords:
            pass
        write_records(self.files[k], array.astype(self.dtype, copy=False))
        with self._lock:
            self._maps.pop(k, None)
        return True

    def verify(self, k: int | None = None, checksums: bool = True) -> None:
        """Make sure that shard `k`, or every shard, is there and whole; `CorruptRecords` names the first that is not.

        With `checksums=False` only lengths and headers are looked at.
        """
        for shard in range(self.shards) if k is None else [k]:
            wrong = self._fault(shard, checksums)
            if wrong is not None:
                raise CorruptRecords(self.files[shard], shard, wrong)

    def _fault(self, k: int, checksums: bool = False) -> str | None:
        start, stop = self.span(k)
        return fault(self.files[k], stop - start, self.record_bytes, checksums)

    # ------------------------------------------------------------------------------------------------------ read

    def shard(self, k: int) -> np.ndarray:
        """The records of shard `k`, memory-mapped and read-only, (records, *shape)."""
        with self._lock:
            if k in self._maps:
                self._maps.move_to_end(k)
                return self._maps[k]
        self.verify(k, checksums=False)
        start, stop = self.span(k)
        shape = (stop - start, *self.shape)
        mapped = np.memmap(self.files[k], self.dtype, mode="r", offset=HEADER_BYTES, shape=shape).view(np.ndarray)
        with self._lock:
            self._maps[k] = mapped
            while len(self._maps) > _OPEN_SHARDS:
                self._maps.popitem(last=False)
        return mapped

    def __getitem__(self, indices: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """One record (*shape), or several (n, *shape) in the order asked for, as arrays of their own."""
        if isinstance(indices, slice):
            indices = np.arange(*indices.indices(self.count))
        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.ndim == 0:
            return self[wanted[None]][0]
        out = np.empty((len(wanted), *self.shape), self.dtype)
        self.gather(wanted, out)
        return out

    def gather(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Copy records into `out` (n, *shape), in the order asked for."""
        outside = np.flatnonzero((indices < 0) | (indices >= self.count))
        if outside.size:
            raise AttribevalError(f"Expected records 0 to {self.count - 1}. Received: {indices[outside[0]]}.")
        shards, rows = np.divmod(indices, self.shard_records)
        maps = {k: self.shard(k) for k in np.unique(shards).tolist()}
        for place, (k, row) in enumerate(zip(shards.tolist(), rows.tolist(), strict=True)):
            out[place] = maps[k][row]
