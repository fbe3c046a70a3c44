"""Streams that do not fit in memory: the same images, in a file that nobody sees; records written side by side."""

from __future__ import annotations

import errno
import gc
import tempfile
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.source import Source, read_source
from attribeval.datasets import Samples, spool
from attribeval.datasets.source import ImageSource
from attribeval.datasets.spool import Spool
from attribeval.errors import AttribevalError

PIXELS = np.random.default_rng(0).integers(0, 256, (23, 6, 5, 3), np.uint8)
LABELS = np.arange(23) % 4


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Everything above 300 bytes goes to a file, in a folder of its own."""
    monkeypatch.setattr(spool, "IN_MEMORY", 300)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def stream(batch=4):
    return tf.data.Dataset.from_tensor_slices((PIXELS, LABELS)).batch(batch)


@pytest.mark.parametrize("limit", [None, 1, 7, 23, 99])
def test_a_spooled_stream_is_the_stream(small, limit):
    samples = Samples.from_dataset(stream(), limit=limit)
    assert isinstance(samples.images, np.memmap) and not samples.images.flags.writeable
    np.testing.assert_array_equal(samples.images, PIXELS[:limit])
    np.testing.assert_array_equal(samples.labels, LABELS[:limit])
    np.testing.assert_array_equal(samples[[0]].load(), PIXELS[:1].astype(np.float32))
    assert list(small.iterdir()) == []  # the file has no name, so that a killed process leaves none
    images = samples.images
    del samples
    gc.collect()
    np.testing.assert_array_equal(images, PIXELS[:limit])  # it stays as long as an array of it


def test_few_images_stay_in_memory():
    samples = Samples.from_dataset(stream())
    assert not isinstance(samples.images, np.memmap)
    np.testing.assert_array_equal(samples.images, PIXELS)


def test_explaining_reads_a_spooled_stream_in_batches(small):
    source = ImageSource(stream(), (6, 5, 3))
    assert len(source) == 23
    np.testing.assert_array_equal(source.load(5, 9), PIXELS[5:9].astype(np.float32))


def test_tfrecords_stream(small, tmp_path):
    feature = tf.train.Feature
    path = str(tmp_path / "some.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for image, label in zip(PIXELS, LABELS, strict=True):
            png = tf.io.encode_png(image).numpy()
            features = {"image": feature(bytes_list=tf.train.BytesList(value=[png])),
                        "label": feature(int64_list=tf.train.Int64List(value=[label]))}  # fmt: skip
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())

    def parse(record):
        kinds = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        example = tf.io.parse_single_example(record, kinds)
        return tf.io.decode_png(example["image"]), example["label"]

    samples = Samples.from_dataset(tf.data.TFRecordDataset(path).map(parse))
    assert isinstance(samples.images, np.memmap)
    np.testing.assert_array_equal(samples.images, PIXELS)
    np.testing.assert_array_equal(samples.labels, LABELS)


def test_sizes_and_types_that_change_are_named(small):
    one = Spool()
    one.add(PIXELS[:4])
    with pytest.raises(
        AttribevalError, match=r"one size. Received: \[\(5, 5, 3\), \(6, 5, 3\)\].*Samples.from_dataset"
    ):
        one.add(PIXELS[4:8, :5])
    with pytest.raises(AttribevalError, match=r"one type. Received float32 after uint8"):
        one.add(PIXELS[4:8].astype(np.float32))


def test_a_full_disk_says_what_to_do(small, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(AttribevalError, match=r"full disk after 4 images: set TMPDIR to another, or take fewer"):
        Samples.from_dataset(stream())


def test_roar_takes_streams_and_resizes_them(small):
    source = read_source((stream(), stream(3)), (8, 8, 3), 4)
    assert source.shape == (8, 8, 3) and source.dtype == "uint8" and len(source.splits["train"]) == 23
    resized = Samples.from_dataset(stream(), size=(8, 8))
    np.testing.assert_array_equal(source.load(source.splits["train"]), resized.images)


class Slow(Source):
    """Counts the images that a writer reads, each in a little while."""

    read = 0

    def _load(self, samples):
        time.sleep(0.002 * len(samples))
        object.__setattr__(self, "read", self.read + len(samples))
        return super()._load(samples)


def test_two_writers_share_the_images(tmp_path):
    """Every image is written once; each writer has its part, and neither returns before all is there."""
    draw = np.random.default_rng(0)
    splits = {
        split: Samples(draw.integers(0, 256, (n, 4, 4, 3), np.uint8), np.arange(n) % 3)
        for split, n in (("train", 640), ("test", 192))
    }
    for folder in ("cells", "failures", "locks", "logs", "maps", "models"):
        (tmp_path / folder).mkdir()
    writers = [Slow(splits, (4, 4, 3), 3) for _ in range(2)]
    written, whole = [None, None], [False, False]

    def write(place):
        run_dir = RunDir(tmp_path)
        written[place] = writers[place].write(run_dir, False)
        whole[place] = not run_dir.missing_images()

    threads = [threading.Thread(target=write, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(written) == 832 and [one.read for one in writers] == written
    assert min(written) >= 0.25 * 832 and whole == [True, True]
    for split, samples in splits.items():
        records = RunDir(tmp_path).images(split)
        records.verify()
        np.testing.assert_array_equal(records[: len(samples)], samples.images)
        np.testing.assert_array_equal(RunDir(tmp_path).labels(split), samples.labels)


def test_a_writer_takes_over_what_a_dead_one_left(tmp_path):
    splits = {split: Samples(PIXELS, LABELS) for split in ("train", "test")}
    for folder in ("cells", "failures", "locks", "logs", "maps", "models"):
        (tmp_path / folder).mkdir()
    run_dir, source = RunDir(tmp_path), Source(splits, (6, 5, 3), 4)
    with run_dir.try_lock("images-test-00000") as free:
        assert free
        thread = threading.Thread(target=source.write, args=(run_dir, False))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive() and not run_dir.images("train").missing()  # it waits for the other's shard alone
    thread.join(30)
    assert not thread.is_alive() and not run_dir.missing_images()
    assert source.write(run_dir, False) == 0
