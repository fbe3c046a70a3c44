"""Samples: slicing, loading, boxes by hand, and every refusal with its message."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets.images import resize
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)


@pytest.fixture
def full(pixels) -> Samples:
    """Image i has i boxes, label 10 − i, and a mask with i + 1 pixels."""
    boxes = [[[0.0, 0.0, 1.0 / (k + 1), 0.5] for k in range(i)] for i in range(5)]
    masks = np.zeros((5, 4, 6), bool)
    for i in range(5):
        masks[i].ravel()[: i + 1] = True
    return Samples(
        pixels,
        [10, 9, 8, 7, 6],
        boxes=boxes,
        masks=masks,
        ids=list("abcde"),
        class_names=[f"class {i}" for i in range(11)],
        wnids=[f"n{i:08d}" for i in range(11)],
        name="five",
    )


@pytest.fixture
def files(tmp_path, pixels) -> list:
    paths = [tmp_path / f"photo.{i}.png" for i in range(5)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [4, 2, 0]),
        (3, [3]),
        (-1, [4]),
        ([4, 0], [4, 0]),
        (np.array([2, 1]), [2, 1]),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([], []),
    ],
)
def test_subset_keeps_everything_together(full, pixels, index, expected):
    part = full[index]
    assert len(part) == len(expected)
    assert part.ids == [list("abcde")[i] for i in expected]
    np.testing.assert_array_equal(part.labels, [10 - i for i in expected])
    assert [len(boxes) for boxes in part.boxes] == expected
    assert [mask.sum() for mask in part.masks] == [i + 1 for i in expected]
    np.testing.assert_array_equal(part.load(), pixels[expected])
    assert (part.name, part.class_names, part.wnids) == (full.name, full.class_names, full.wnids)


def test_subset_of_paths(files, pixels):
    samples = Samples(files, range(5), exif=True)
    assert samples.ids == [f"photo.{i}" for i in range(5)]
    part = samples[[3, 1]]
    assert part.ids == ["photo.3", "photo.1"] and part.exif and part.boxes is None and part.masks is None
    np.testing.assert_array_equal(part.load(), pixels[[3, 1]])
    assert [one.ids[0] for one in samples] == samples.ids  # iterating ends


def test_load_gives_raw_float32_and_leaves_the_array_alone(full, pixels):
    before = pixels.copy()
    loaded = full.load()
    assert loaded.dtype == np.float32
    loaded[:] = -1
    np.testing.assert_array_equal(pixels, before)
    floats = before.astype(np.float32)
    samples = Samples(floats, [0] * 5)
    samples.load()[:] = -1
    np.testing.assert_array_equal(floats, before)


def test_load_resizes_arrays_and_files_alike(full, files, pixels):
    expected = np.stack([resize(image, (8, 5)) for image in pixels])
    np.testing.assert_array_equal(full.load(size=(8, 5)), expected)
    assert np.abs(Samples(files, range(5)).load(size=(8, 5)) - expected).max() <= 1.01  # 8-bit rounding of each axis


def test_load_grey(files, pixels):
    grey = Samples(files, range(5)).load(channels=1)
    assert grey.shape == (5, 4, 6, 1)
    assert np.abs(grey[..., 0] - pixels @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_load_with_and_without_exif(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    Image.fromarray(pixels[0]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(Samples([tmp_path / "a.png"], [0]).load()[0], pixels[0])
    np.testing.assert_array_equal(Samples([tmp_path / "a.png"], [0], exif=True).load()[0], pixels[0, ::-1, ::-1])


def test_nothing_loads_as_nothing(full):
    assert full[[]].load().shape == (0, 4, 6, 3)
    assert full[[]].load(size=(2, 2)).shape == (0, 2, 2, 3)
    assert Samples(np.zeros((0, 4, 6, 1)), []).load().shape == (0, 4, 6, 1)
    assert Samples([], []).load(size=(2, 3), channels=1).shape == (0, 2, 3, 1)


def test_batches_are_the_whole_in_order(full, pixels):
    parts = list(full.batches(2))
    assert [part.ids for part, _ in parts] == [["a", "b"], ["c", "d"], ["e"]]
    np.testing.assert_array_equal(np.concatenate([images for _, images in parts]), pixels)
    with pytest.raises(AttribevalError, match=r"batch_size of at least 1. Received: 0"):
        next(full.batches(0))


def test_boxes_at_by_hand():
    samples = Samples(np.zeros((2, 4, 4, 3)), [0, 1], boxes=[[[0.25, 0.1, 0.5, 1.0], [0, 0, 1, 1]], []])
    first, second = samples.boxes_at((100, 200))  # height 100, width 200: x by 200, y by 100
    np.testing.assert_allclose(first, [[50, 10, 100, 100], [0, 0, 200, 100]])
    assert second.shape == (0, 4)


def test_the_callers_arrays_are_not_shared():
    labels, boxes = np.array([0, 1]), [np.array([[0, 0, 0.5, 0.5]]), np.array([[0, 0, 1.0, 1.0]])]
    samples = Samples(np.zeros((2, 4, 4, 3)), labels, boxes=boxes)
    labels[0] = 7
    boxes[0][:] = 9
    np.testing.assert_array_equal(samples.labels, [0, 1])
    np.testing.assert_array_equal(samples.boxes[0], [[0, 0, 0.5, 0.5]])


IMAGES = np.zeros((2, 4, 4, 3), np.float32)
GOOD = [[[0, 0, 0.5, 0.5]], [[0, 0, 0.5, 0.5]]]


@pytest.mark.parametrize(
    ("images", "labels", "options", "said"),
    [
        (IMAGES[0], [0, 1], {}, r"\(N, H, W, C\).*Received: \(4, 4, 3\)"),
        (np.array(["a.png"]), [0], {}, r"or a list of paths. Received: \(1,\)"),
        (IMAGES.astype(str), [0, 1], {}, "array of numbers"),
        ("a.png", [0], {}, "put it in a list"),
        (IMAGES, [0], {}, r"labels per image \(2\). Received: 1"),
        (IMAGES, [0, 1.0], {}, "ints .N,.. Received: float64"),
        (IMAGES, np.eye(2, dtype=int), {}, r"Received: int64 of shape \(2, 2\)"),
        (IMAGES, [0, -1], {}, "Received -1 for image number 1"),
        (IMAGES, [0, 2], {"class_names": ["x", "y"]}, "below 2.*Received 2 for image '1'"),
        (IMAGES, [0, 1], {"ids": ["a"]}, r"ids per image \(2\). Received: 1"),
        (IMAGES, [0, 1], {"ids": ["a", "a"]}, "Received 'a' more than once"),
        (["x/a.png", "y/a.png"], [0, 1], {}, "Received 'a' more than once: pass ids="),
        (IMAGES, [0, 1], {"boxes": GOOD[:1]}, "boxes per image"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, 1, 1]], [[0, 0, 1, 1, 5]]]}, r"\(1, 5\) for image number 1"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, 1, 1]], [0, 0, 1, 1]]}, r"\(4,\) for image number 1"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, 1, 1]], [[0, 0, 1, 1.5]]]}, r"1.5\] for image '1'"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, 1, 1]], [[-0.1, 0, 1, 1]]]}, r"\[-0.1, .*for image '1'"),
        (IMAGES, [0, 1], {"boxes": [[[0.5, 0, 0.5, 1]], [[0, 0, 1, 1]]]}, "x0 < x1.*for image '0'"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, 1, 1], [0, 0.6, 1, 0.5]], []], "ids": ["u", "v"]}, "for image 'u'"),
        (IMAGES, [0, 1], {"boxes": [[[0, 0, np.nan, 1]], []]}, "nan.*for image '0'"),
        (IMAGES, [0, 1], {"masks": np.zeros((2, 4, 4))}, r"bool. Received: \(2, 4, 4\), float64"),
        (IMAGES, [0, 1], {"masks": np.zeros((2, 4, 5), bool)}, r"\(2, 4, 4\), bool. Received: \(2, 4, 5\)"),
        (IMAGES, [0, 1], {"masks": np.zeros((1, 4, 4), bool)}, "masks per image"),
        (["a.png"], [0], {"masks": np.zeros((1, 4, 4), bool)}, "goes with an array of images. Received paths"),
    ],
)
def test_refusals(images, labels, options, said):
    with pytest.raises(AttribevalError, match=said):
        Samples(images, labels, **options)


def test_files_of_different_sizes(tmp_path, pixels):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    Image.fromarray(pixels[0][:3]).save(tmp_path / "b.png")
    samples = Samples([tmp_path / "a.png", tmp_path / "b.png"], [0, 1])
    with pytest.raises(AttribevalError, match=r"\(3, 6, 3\), \(4, 6, 3\).*pass size="):
        samples.load()
    assert samples.load(size=(4, 6)).shape == (2, 4, 6, 3)


def test_no_boxes(pixels):
    with pytest.raises(AttribevalError, match=r"'mine', 5 images.* has no boxes"):
        Samples(pixels, range(5), name="mine").boxes_at((2, 2))
