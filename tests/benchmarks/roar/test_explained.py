"""The model of `checkpoint=` in the run directory: whole, or written again, never half of it explained."""

import errno
import warnings

import numpy as np
import pytest

from attribeval.benchmarks.roar import explained
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.errors import AttribevalError


def test_a_damaged_checkpoint_is_refused_and_written_again(tmp_path, monkeypatch):
    """A bit flipped, the second half cut off, emptied: said once; what is loaded has the given weights."""
    import keras

    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    for folder in ("models", "locks"):
        (tmp_path / folder).mkdir()
    run_dir = RunDir(tmp_path)
    with pytest.raises(AttribevalError, match="No such file"):
        explained.load(run_dir)
    explained.keep(run_dir, model)
    file = explained.file_of(run_dir)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (bytes(flipped), whole[: len(whole) // 2], b""):
        file.write_bytes(damaged)
        with pytest.raises(AttribevalError, match=r"explained\.keras as it was written.*again with its checkpoint"):
            explained.load(run_dir)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            explained.keep(run_dir, model)
        said = [str(one.message) for one in caught if "damaged" in str(one.message)]
        assert len(said) == 1 and "explained.keras is damaged" in said[0] and "written again" in said[0]
        for weight, read in zip(model.weights, explained.load(run_dir).weights, strict=True):
            np.testing.assert_array_equal(weight, read)
    before = file.stat().st_mtime_ns
    explained.keep(run_dir, model)
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in file.parent.iterdir()] == ["explained.keras"]
    # HDF5 ends the process where the disk is full: room is asked for before it writes.
    file.unlink()
    asked = []

    def full(_, start, size):
        asked.append(size - start)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        explained.keep(run_dir, model)
    assert asked[0] > 4 * (48 * 2 + 2) and not list(file.parent.iterdir())
