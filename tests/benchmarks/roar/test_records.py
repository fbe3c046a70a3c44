"""Records in shards: what is written is read, what is broken is named, what is there is left alone."""

from __future__ import annotations

import errno
import multiprocessing
import pickle

import numpy as np
import pytest
from helpers.shards import write_all

from attribeval import AttribevalError, sealed
from attribeval.benchmarks.roar import records as module
from attribeval.benchmarks.roar import shard_file
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.benchmarks.roar.shard_file import HEADER_BYTES


def write(records: Records, data: np.ndarray) -> None:
    for k in range(records.shards):
        assert records.write_shard(k, data[slice(*records.span(k))])


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 256, (23, 5, 4, 3), np.uint8)


@pytest.fixture
def stored(tmp_path, data):
    records = Records.create(tmp_path / "set", "images", 23, (5, 4, 3), np.uint8, shard_records=5)
    write(records, data)
    return records


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.bool_, ">f4"])
def test_read_back_in_any_order(tmp_path, dtype):
    data = np.random.default_rng(0).integers(0, 2, (23, 5, 4, 3)).astype(dtype)
    records = Records.create(tmp_path, "images", 23, (5, 4, 3), dtype, shard_records=5)
    write(records, data)
    again = Records.open(tmp_path, "images")
    assert len(again) == 23 and again.shards == 5 and again.shape == (5, 4, 3)
    assert again.dtype == np.dtype(dtype).newbyteorder("<")
    assert data.nbytes == 23 * again.record_bytes
    np.testing.assert_array_equal(again[0:23], data)
    np.testing.assert_array_equal(again[4:16], data[4:16])
    order = [22, 0, 7, 7, 11, 5]
    np.testing.assert_array_equal(again[order], data[order])
    np.testing.assert_array_equal(again[3], data[3])
    np.testing.assert_array_equal(again[20:2:-4], data[20:2:-4])
    np.testing.assert_array_equal(again.shard(4), data[20:])
    assert len(again[3:3]) == 0


def test_what_is_read_is_the_readers_own(stored, data):
    got = stored[0:3]
    got[:] = 0
    np.testing.assert_array_equal(stored[0:3], data[:3])
    with pytest.raises(ValueError):
        stored.shard(0)[0] = 1


def test_many_more_shards_than_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_SHARDS", 3)
    data = np.arange(40, dtype=np.int64)[:, None]
    records = Records.create(tmp_path, "numbers", 40, (1,), np.int64, shard_records=1)
    write(records, data)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(records[order], data[order])
    assert len(records._maps) == 3


def test_shards_are_of_one_size_and_at_most_64_mb(tmp_path):
    images = Records.create(tmp_path, "images", 1_281_167, (224, 224, 3), np.uint8)
    sizes = [stop - start for start, stop in map(images.span, range(images.shards))]
    assert sum(sizes) == 1_281_167 and max(sizes) * 150528 <= 2**26 and max(sizes) * 150528 > 0.99 * 2**26
    assert set(sizes[:-1]) == {images.shard_records} and images.shards == 2880
    assert Records.create(tmp_path, "few", 450, (224, 224, 3), np.uint8).shard_records == 225
    assert Records.create(tmp_path, "large", 3, (2**27,), np.uint8).shard_records == 1


def test_any_order_any_process_and_only_what_is_missing(tmp_path, data):
    records = Records.create(tmp_path, "images", 23, (5, 4, 3), np.uint8, shard_records=5)
    assert records.missing() == [0, 1, 2, 3, 4]
    records.write_shard(3, data[15:20])
    other = Records.create(tmp_path, "images", 23, (5, 4, 3), np.uint8, shard_records=5)
    assert other.missing() == [0, 1, 2, 4]
    assert not other.write_shard(3, np.zeros_like(data[15:20]))  # there and whole: left alone
    np.testing.assert_array_equal(other[15:20], data[15:20])
    with pytest.raises(CorruptRecords, match="no such file") as caught:
        other[0:23]
    assert caught.value.shard == 0 and "images-00000.bin" in str(caught.value)


def test_processes_that_write_the_same_shards_at_once_leave_whole_ones(tmp_path):
    records = Records.create(tmp_path, "images", 40, (64, 64), np.uint8, shard_records=2)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        written = pool.starmap(write_all, [(tmp_path, 0), (tmp_path, 1)])
    records.verify()
    assert sum(written) >= records.shards
    candidates = [np.random.default_rng(seed).integers(0, 256, (40, 64, 64), np.uint8) for seed in (0, 1)]
    for k in range(records.shards):
        assert any((records.shard(k) == data[slice(*records.span(k))]).all() for data in candidates)
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_a_changed_byte_is_found_named_and_repaired(stored, data, place):
    path = stored.files[2]
    raw = bytearray(path.read_bytes())
    at = {"first": HEADER_BYTES, "last": len(raw) - 1, "middle": (len(raw) + HEADER_BYTES) // 2}[place]
    raw[at] ^= 1
    path.write_bytes(raw)
    stored.verify(1)
    stored.verify(2, checksums=False)
    for k in (2, None):
        with pytest.raises(CorruptRecords, match=r"images-00002.bin.*checksum.*write shard 2 again") as caught:
            stored.verify(k)
        assert caught.value.shard == 2 and caught.value.path == path
    assert stored.write_shard(2, data[10:15])
    stored.verify()
    np.testing.assert_array_equal(stored[0:23], data)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes instead of"),
        (lambda path: path.write_bytes(b""), "0 bytes instead of"),
        (lambda path: path.write_bytes(b"x" * path.stat().st_size), "header"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_other_damage_is_found_without_reading_everything(stored, data, damage, words):
    damage(stored.files[4])
    assert stored.missing() == [4]
    fresh = Records.open(stored.folder, "images")
    for look in (fresh.verify, lambda: fresh.verify(4, checksums=False), lambda: fresh[20:21]):
        with pytest.raises(CorruptRecords, match=f"images-00004.bin.*{words}") as caught:
            look()
        assert caught.value.shard == 4
    fresh.write_shard(4, data[20:])
    fresh.verify()
    np.testing.assert_array_equal(fresh[0:23], data)


def test_a_shard_of_another_place_is_not_taken_for_this_one(stored):
    stored.files[4].write_bytes(stored.files[0].read_bytes())  # five records where three belong
    with pytest.raises(CorruptRecords):
        stored.verify(4)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, data, monkeypatch, number):
    records = Records.create(tmp_path, "images", 23, (5, 4, 3), np.uint8, shard_records=5)
    records.write_shard(0, data[:5])
    before = sorted(path.name for path in tmp_path.iterdir())
    real = shard_file.write_atomic

    class Full:
        """A file on a disk that has room for a header only."""

        def __init__(self, file):
            self.file = file

        def write(self, part):
            if len(part) > HEADER_BYTES or self.file.tell():
                self.file.write(bytes(part)[:7])
                raise OSError(number, "No space left on device")
            self.file.write(part)

    monkeypatch.setattr(shard_file, "write_atomic", lambda path, write: real(path, lambda file: write(Full(file))))
    needed = HEADER_BYTES + 5 * 60
    with pytest.raises(
        AttribevalError, match=rf"{needed:,} bytes at .*images-00001.bin.*full disk \([\d,]+ bytes free"
    ):
        records.write_shard(1, data[5:10])
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    monkeypatch.setattr(shard_file, "write_atomic", real)
    assert records.missing() == [1, 2, 3, 4]
    records.verify(0)
    assert records.write_shard(1, data[5:10])


def test_other_faults_of_the_disk_are_not_called_full(tmp_path, data, monkeypatch):
    records = Records.create(tmp_path, "images", 23, (5, 4, 3), np.uint8, shard_records=5)

    def broken(path, write):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shard_file, "write_atomic", broken)
    with pytest.raises(OSError, match="Input/output"):
        records.write_shard(1, data[5:10])


def test_a_folder_of_other_records_says_what_differs(stored):
    with pytest.raises(AttribevalError, match=r"count 23 instead of 24, dtype \|u1 instead of <f4"):
        Records.create(stored.folder, "images", 24, (5, 4, 3), np.float32, shard_records=5)
    manifest = stored.folder / "images.json"
    written = manifest.read_bytes()
    manifest.write_bytes(sealed.json_bytes(sealed.read_json(written) | {"format": "attribeval records 9"}))
    with pytest.raises(AttribevalError, match="format 'attribeval records 9'"):
        Records.open(stored.folder, "images")
    manifest.write_bytes(sealed.json_bytes({"format": "attribeval records 1"}))
    with pytest.raises(AttribevalError, match="without it"):
        Records.open(stored.folder, "images")
    for damaged in (written[:40], b"", written.replace(b"23", b"24")):
        manifest.write_bytes(damaged)
        with pytest.raises(AttribevalError, match=r"images\.json.*without it"):
            Records.open(stored.folder, "images")
        with pytest.warns(UserWarning, match=r"images\.json is damaged.*made again"):
            Records.create(stored.folder, "images", 23, (5, 4, 3), np.uint8, shard_records=5)
        assert manifest.read_bytes() == written
    with pytest.raises(AttribevalError, match="no such file"):
        Records.open(stored.folder, "ranks")


def test_bad_input(stored, data, tmp_path):
    for wrong in (data[:4], data[:5].astype(np.float32), data[:5, :4]):
        with pytest.raises(AttribevalError, match="for shard 0 of images"):
            stored.write_shard(0, wrong)
    with pytest.raises(AttribevalError, match=r"0 to 4\. Received: 5"):
        stored.write_shard(5, data[:5])
    for wrong in ([0, 23], [-1]):
        with pytest.raises(AttribevalError, match="records 0 to 22"):
            stored[wrong]
    with pytest.raises(AttribevalError, match="numeric records"):
        Records.create(tmp_path, "none", 0, (3,), np.uint8)
    with pytest.raises(AttribevalError, match="numeric records"):
        Records.create(tmp_path, "objects", 3, (3,), object)


def test_it_travels_to_other_processes(stored, data):
    stored[0:23]  # with memory maps open
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stored))[0:23], data)
