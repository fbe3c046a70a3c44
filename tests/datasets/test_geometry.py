"""Boxes under resizing and cropping, by hand; masks of every kind at any size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets import Samples
from attribeval.datasets.geometry import centre_crop, crop_boxes, crop_relative_boxes, scale_boxes
from attribeval.datasets.masks import ArrayMask, FileMask, Layers, PolygonMask, RunLengthMask, decode_counts
from attribeval.errors import AttribevalError


def test_scaling_by_hand():
    # From 375 × 500 (height × width) to 224 × 224.
    found = scale_boxes(np.array([[125, 75, 250, 375]]), (375, 500), (224, 224))
    np.testing.assert_allclose(found, [[56, 44.8, 112, 224]])
    np.testing.assert_allclose(scale_boxes(found / 224, (1, 1), (375, 500)), [[125, 75, 250, 375]])
    assert scale_boxes(np.zeros((0, 4)), (3, 4), (5, 6)).shape == (0, 4)
    with pytest.raises(AttribevalError, match="both positive"):
        scale_boxes(found, (0, 4), (5, 6))


def test_cropping_by_hand():
    boxes = np.array([[0, 0, 10, 10], [4, 5, 8, 9], [0, 0, 3, 20], [9, 2, 12, 4], [3, 0, 5, 3]])
    found = crop_boxes(boxes, (3, 3, 9, 9))
    # Cut to the window; inside it; only its edge touches; right of it; above it.
    assert found.tolist() == [[0, 0, 6, 6], [1, 2, 5, 6]]


def test_centre_crop_by_hand():
    # 375 × 500: the short side becomes 256, the long one 341.33; the square of 224 lies in the middle.
    assert centre_crop((375, 500), 224, 256) == ((256, 341), 16, 58)
    assert centre_crop((500, 375), 224) == ((299, 224), 37, 0)
    assert centre_crop((10, 10), 5, 5) == ((5, 5), 0, 0)
    assert centre_crop((3, 30), 3) == ((3, 30), 0, 13)
    # A box of the left half: in the resized image x 0..170.5, in the square 0..112.5 of 224.
    found = crop_relative_boxes(np.array([[0, 0, 0.5, 1]]), (375, 500), 224, 256)
    np.testing.assert_allclose(found, [[0, 0, 112.5 / 224, 1]])
    assert len(crop_relative_boxes(np.array([[0, 0, 0.1, 1]]), (375, 500), 224, 256)) == 0
    with pytest.raises(AttribevalError, match="no larger than the short side"):
        centre_crop((10, 10), 8, 7)


def test_array_masks_keep_their_pixels():
    array = np.array([[0, 1, 255], [1, 0, 1]], np.uint8)
    mask = ArrayMask(array)
    assert mask.at((2, 3)).tolist() == array.tolist()
    np.testing.assert_array_equal(mask.at((4, 6)), np.repeat(np.repeat(array, 2, 0), 2, 1))
    assert ArrayMask(array == 1).at((1, 1)).tolist() == [[0]]  # the centre, row 1, column 1
    for bad in (np.zeros(3, bool), np.zeros((2, 2)), np.array([[3]])):
        with pytest.raises(AttribevalError, match="Expected a mask"):
            ArrayMask(bad)


def test_polygons_by_hand_at_two_sizes():
    square = np.array([[2, 1], [6, 1], [6, 4], [2, 4]])
    mask = PolygonMask([square], (5, 8))
    expected = np.zeros((5, 8), int)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(mask.at((5, 8)), expected)
    np.testing.assert_array_equal(mask.at((10, 16)), np.repeat(np.repeat(expected, 2, 0), 2, 1))
    two = PolygonMask([square, square + np.array([2, 1])], (5, 8)).at((5, 8))
    assert two.sum() == 12 + 12 - 4
    triangle = PolygonMask([np.array([[0, 0], [8, 0], [0, 8]])], (8, 8)).at((8, 8))
    inside = np.add.outer(np.arange(8) + 0.5, np.arange(8) + 0.5)
    assert (triangle[inside < 8] == 1).all() and (triangle[inside > 8] == 0).all()  # centres on the line: either
    with pytest.raises(AttribevalError, match="three or more"):
        PolygonMask([np.array([[0, 0], [1, 1]])], (5, 8))


def encode(counts: list[int]) -> str:
    """COCO's string of run lengths, written again: five bits a character, lowest first."""
    text = ""
    for i, count in enumerate(counts):
        number = count - counts[i - 2] if i > 2 else count
        while True:
            group, number = number & 31, number >> 5
            more = not (number == 0 and not group & 16) and not (number == -1 and group & 16)
            text += chr((group | (32 if more else 0)) + 48)
            if not more:
                break
    return text


def test_run_lengths_by_hand_and_back():
    # Columns from left to right: 2 rows × 3 columns, background 1, object 3, background 2.
    assert RunLengthMask([1, 3, 2], (2, 3)).at((2, 3)).tolist() == [[0, 1, 0], [1, 1, 0]]
    assert decode_counts("13") == [1, 3]
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.integers(0, 10 ** rng.integers(1, 6), rng.integers(1, 12)).tolist()
        assert decode_counts(encode(counts)) == counts
        assert decode_counts(encode(counts).encode()) == counts
    with pytest.raises(AttribevalError, match="cover the image, 2 × 3"):
        RunLengthMask([1, 3], (2, 3))
    with pytest.raises(AttribevalError, match="cut off"):
        decode_counts("P")
    with pytest.raises(AttribevalError, match="character"):
        decode_counts("1 3")


def test_layers_and_files(tmp_path):
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[0, :2], b[:, 1] = True, True
    Image.fromarray(a).save(tmp_path / "object.png")
    Image.fromarray((b * 255).astype(np.uint8)).save(tmp_path / "ignore.png")
    found = FileMask([tmp_path / "object.png"], tmp_path / "ignore.png").at((4, 4))
    expected = np.where(a, 1, np.where(b, 255, 0))  # the object wins
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(Layers([ArrayMask(a)], [ArrayMask(b)]).at((4, 4)), expected)
    with pytest.raises(AttribevalError, match="no such file"):
        FileMask([tmp_path / "other.png"]).at((4, 4))


def test_samples_of_paths_have_masks_at_every_size(tmp_path):
    for i in range(2):
        Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(tmp_path / f"{i}.png")
    masks = [ArrayMask(np.eye(3, dtype=bool)), PolygonMask([np.array([[0, 0], [9, 0], [9, 6], [0, 6]])], (6, 9))]
    samples = Samples([tmp_path / "0.png", tmp_path / "1.png"], [0, 0], masks=masks)
    np.testing.assert_array_equal(samples.mask_at(0, (3, 3)), np.eye(3))
    assert samples[[1]].mask_at(0, (3, 4)).all() and samples.sizes() == [(6, 9), (6, 9)]
    arrays = Samples(np.zeros((1, 2, 2, 3)), [0], masks=np.array([[[True, False], [False, False]]]))
    np.testing.assert_array_equal(arrays.mask_at(0, (4, 4)), [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4])
    with pytest.raises(AttribevalError, match="Received int for image '1'"):
        Samples([tmp_path / "0.png", tmp_path / "1.png"], [0, 0], masks=[masks[0], 3])
    with pytest.raises(AttribevalError, match="has no masks"):
        Samples([tmp_path / "0.png"], [0]).mask_at(0, (3, 3))
