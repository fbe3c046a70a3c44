"""WSOL metrics on plain arrays, against slow labelling of every threshold and hand-worked boxes."""

from __future__ import annotations

import csv
import subprocess
import sys
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from defusedxml import ElementTree
from scipy import ndimage

from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import box_error, centred_box, iou, whole_image_box
from attribeval.metrics.localisation.component_tree import largest_components
from attribeval.metrics.localisation.maxboxacc import hits, predicted_boxes, quantise


def slow_largest_component(mask: np.ndarray, structure: np.ndarray) -> tuple[list[int], int]:
    """Label one mask; the component with the most pixels, of equal ones the one whose first pixel comes first."""
    labels, count = ndimage.label(mask, structure)
    if count == 0:
        return [0, 0, 0, 0], 0
    flat = labels.ravel().tolist()
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    best = min(range(1, count + 1), key=lambda label: (-areas[label], flat.index(label)))
    rows, columns = ndimage.find_objects(labels)[best - 1]
    return [columns.start, rows.start, columns.stop, rows.stop], int(areas[best])


def scaled(values: np.ndarray) -> np.ndarray:
    """Random values stretched over all 256 levels."""
    return ((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)


def all_maps() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    maps = []
    for _ in range(12):
        height, width = rng.integers(2, 30, 2)
        noise = rng.random((height, width))
        smooth = ndimage.gaussian_filter(noise, 2)
        maps.append(scaled(smooth))
        maps.append(scaled(noise))  # perforated at every level
        maps.append(scaled(smooth) // 40 * 40)  # plateaus
        maps.append(scaled(smooth) * (rng.random((height, width)) > 0.3).astype(np.uint8))  # smooth with pinholes
        maps.append(rng.integers(0, 3, (height, width)).astype(np.uint8) * 127)  # many components of equal area
    for shape in [(1, 40), (40, 1), (1, 1), (1, 2)]:
        maps.append(rng.integers(0, 256, shape).astype(np.uint8))
    maps += [np.full((5, 7), value, np.uint8) for value in (0, 1, 128, 255)]  # constant
    one_pixel = np.zeros((6, 6), np.uint8)
    one_pixel[2, 4] = 9
    checkers = (np.indices((9, 8)).sum(0) % 2 * 200).astype(np.uint8)  # diagonal neighbours only
    rings = np.zeros((15, 15), np.uint8)  # rings inside the holes of rings, brighter inwards
    for depth in range(0, 8, 2):
        rings[depth : 15 - depth, depth : 15 - depth] = 50 * (depth // 2 + 1)
        rings[depth + 1 : 14 - depth, depth + 1 : 14 - depth] = 0
    frame = np.zeros((8, 11), np.uint8)  # touches all four borders
    frame[[0, -1]] = frame[:, [0, -1]] = 255
    valley = np.minimum(np.abs(np.arange(30) - 15) * 17, 255).astype(np.uint8)  # two equal halves joining at the end
    return [*maps, one_pixel, checkers, rings, 255 - rings, frame, 255 - frame, valley[None], valley[:, None]]


MAPS = all_maps()


def test_largest_components_equal_labelling_of_every_threshold():
    assert len(MAPS) >= 60
    for number, levels in enumerate(MAPS):
        boxes, areas = largest_components(levels)
        for threshold in range(256):
            box, area = slow_largest_component(levels > threshold, np.ones((3, 3)))
            assert (boxes[threshold].tolist(), areas[threshold]) == (box, area), (number, threshold)


def test_largest_components_by_hand():
    levels = np.array([[9, 0, 0, 7], [0, 9, 0, 7], [0, 0, 0, 7]], np.uint8)
    boxes, areas = largest_components(levels)
    assert boxes[0].tolist() == [3, 0, 4, 3] and areas[0] == 3  # the column, larger than the diagonal pair
    assert boxes[7].tolist() == boxes[8].tolist() == [0, 0, 2, 2] and areas[8] == 2  # two pixels, touching at a corner
    assert boxes[9].tolist() == [0, 0, 0, 0] and areas[9] == 0
    levels[1, 0], levels[1, 1] = 9, 0
    levels[2, 2:] = 9
    boxes, _ = largest_components(levels)
    assert boxes[8].tolist() == [0, 0, 1, 2]  # equal areas: the first in raster order


def test_largest_components_take_any_layout_and_leave_it_alone():
    levels = np.random.default_rng(1).integers(0, 256, (12, 17)).astype(np.uint8)
    expected = largest_components(levels)[0]
    read_only = levels.copy()
    read_only.flags.writeable = False
    for same in (read_only, np.asfortranarray(levels), np.repeat(levels, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(largest_components(same)[0], expected)


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.zeros(3, np.uint8), np.zeros((0, 3), np.uint8), [[1]]])
def test_largest_components_refuse_other_arrays(bad):
    with pytest.raises(AttribevalError, match="uint8 array"):
        largest_components(bad)


def test_component_tree_works_without_a_writable_cache_folder():
    program = """
import tempfile
def refuse(*args, **kwargs):
    raise PermissionError("read-only")
tempfile.TemporaryFile = refuse  # with this numba tests whether a folder can be written
import numpy as np
from attribeval.metrics.localisation import component_tree
assert component_tree._sweep.stats.cache_path is None
boxes, areas = component_tree.largest_components(np.array([[0, 5, 5]], np.uint8))
print(boxes[4].tolist(), areas[4], boxes[5].tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[1, 0, 3, 1] 2 [0, 0, 0, 0]"


def test_iou_by_hand():
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 0, 0], [0.5, 0.5, 1.5, 1.0]])
    truth = np.array([[0, 0, 4, 4], [0, 0, 8, 4], [1, 1, 3, 3]])
    expected = [
        [1, 16 / 32, 4 / 16],
        [4 / 28, 8 / 40, 1 / 19],
        [0, 16 / 32, 0],  # shares only an edge with the first
        [0, 0, 0],  # the box of nothing
        [0.5 / 16, 0.5 / 32, 0],
    ]
    np.testing.assert_allclose(iou(boxes, truth), expected, rtol=1e-15)
    assert iou([[0, 0, 0, 0]], [[0, 0, 0, 0]]) == 0
    assert iou(np.zeros((0, 4)), truth).shape == (0, 3)


def test_iou_counts_pixels():
    rng = np.random.default_rng(2)
    corners = np.sort(rng.integers(0, 20, (2, 30, 2, 2)), axis=-1)  # (side, box, axis, low/high)
    a, b = (np.concatenate([boxes[:, :, 0], boxes[:, :, 1]], axis=1) for boxes in corners)

    def pixels(x0, y0, x1, y1):
        return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}

    for i, row in enumerate(iou(a, b)):
        for j, value in enumerate(row):
            one, other = pixels(*a[i]), pixels(*b[j])
            assert value == (len(one & other) / len(one | other) if one | other else 0)


def test_iou_names_bad_boxes():
    with pytest.raises(AttribevalError, match=r"boxes .*row 1.*not x, y, width"):
        iou([[0, 0, 1, 1], [5, 5, 2, 9]], [[0, 0, 1, 1]])
    with pytest.raises(AttribevalError, match=r"ground_truth .*row 0"):
        iou([[0, 0, 1, 1]], [[0, 0, np.nan, 1]])
    with pytest.raises(AttribevalError, match=r"shape \(k, 4\)"):
        iou([0, 0, 1, 1], [[0, 0, 1, 1]])


def test_baseline_boxes_by_hand():
    assert whole_image_box((30, 40)).tolist() == [0, 0, 40, 30]
    x0, y0, x1, y1 = centred_box((30, 40))
    assert (x1 - x0) * (y1 - y0) == pytest.approx(600)  # half the area
    assert (x1 - x0) / (y1 - y0) == pytest.approx(40 / 30)
    assert (x0 + x1, y0 + y1) == pytest.approx((40, 30))
    assert iou([whole_image_box((30, 40))], [[x0, y0, x1, y1]]) == pytest.approx(0.5)
    with pytest.raises(AttribevalError, match="both positive"):
        whole_image_box((0, 4))


def test_box_error_of_the_baselines_by_hand():
    # In a 10×10 image: IoU of the whole image = area / 100; the centred box is [1.46, 8.54]², of area 50.
    truth = [
        np.array([[0, 0, 10, 5]]),  # whole .5: right, just; centred: 7.07·3.54 = 25 of 75: wrong
        np.array([[0, 0, 7, 7]]),  # whole .49: wrong; centred: 5.54² = 30.7 of 68.3: wrong
        np.array([[0, 0, 1, 1], [2, 2, 8, 8]]),  # whole .01, .36: wrong; centred: any box counts, 36 of 50: right
        np.array([[0, 0, 10, 10]]),  # whole 1: right; centred .5, but for rounding: left to the next line
    ]
    assert box_error(whole_image_box((10, 10)), truth) == 2 / 4
    assert box_error(centred_box((10, 10)), truth[:3]) == 2 / 3
    assert box_error(centred_box((1, 1)), [boxes / 10 for boxes in truth[:3]]) == 2 / 3  # relative boxes: the same
    assert box_error(whole_image_box((10, 10)), truth, iou_threshold=0.4) == 1 / 4
    one_per_image = np.array([[0, 0, 10, 5], [0, 0, 7, 7], [0, 0, 2, 2], [5, 5, 6, 6]])
    assert box_error(one_per_image, truth) == 2 / 4  # IoU 1, 1, 1/4, 1/100


def test_box_error_names_bad_input():
    with pytest.raises(AttribevalError, match="none for item 1"):
        box_error([0, 0, 1, 1], [np.array([[0, 0, 1, 1]]), np.zeros((0, 4))])
    with pytest.raises(AttribevalError, match="item 0"):
        box_error([0, 0, 1, 1], [np.array([[0, 0, 0, 1]])])
    with pytest.raises(AttribevalError, match="at least one image"):
        box_error([0, 0, 1, 1], [])
    with pytest.raises(AttribevalError, match=r"\(1, 4\). Received: \(2, 4\)"):
        box_error(np.ones((2, 4)), [np.array([[0, 0, 1, 1]])])
    with pytest.raises(AttribevalError, match="iou_threshold"):
        box_error([0, 0, 1, 1], [np.array([[0, 0, 1, 1]])], iou_threshold=50)


def slow_levels(heatmap: np.ndarray) -> np.ndarray:
    """⌊255 · (v − min) / (max − min)⌋ in exact fractions."""
    values = [[Fraction(v) for v in row] for row in heatmap.tolist()]
    low, high = min(map(min, values)), max(map(max, values))
    if low == high:
        return np.zeros(heatmap.shape, np.uint8)
    return np.array([[floor(255 * (v - low) / (high - low)) for v in row] for row in values], np.uint8)


def test_quantise_is_exact():
    rng = np.random.default_rng(3)
    for span in (1, 3, 51, 254, 255, 256, 1000):
        heatmap = rng.integers(-span, span + 1, (9, 9))
        np.testing.assert_array_equal(quantise(heatmap), slow_levels(heatmap))
    for _ in range(5):
        heatmap = rng.standard_normal((9, 9)).astype(np.float32)
        np.testing.assert_array_equal(quantise(heatmap), slow_levels(heatmap))
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(quantise(every), every)
    np.testing.assert_array_equal(quantise(every.astype(np.float32) / 64 - 1), every)


def test_hits_equal_slow_labelling_in_fractions():
    rng = np.random.default_rng(4)
    heatmaps, truth = [], []
    for _ in range(20):
        heatmaps.append(ndimage.gaussian_filter(rng.standard_normal((14, 18)), rng.choice([0.1, 1, 3])))
        corners = [sorted(rng.choice(edge, 2, replace=False)) for edge in (19, 15) * rng.integers(1, 4)]
        truth.append(
            np.array([[x0, y0, x1, y1] for (x0, x1), (y0, y1) in zip(corners[::2], corners[1::2], strict=True)])
        )
    heatmaps = np.array(heatmaps, np.float32)
    truth[0], heatmaps[0, :7], heatmaps[0, 7:] = np.array([[0, 0, 18, 14]]), 1, -1  # IoU exactly 1/2
    before = heatmaps.copy()
    heatmaps.flags.writeable = False

    found = hits(heatmaps, truth)
    assert found.shape == (20, 256) and found.dtype == bool and found[0, :255].all()
    for item in range(20):
        levels = slow_levels(heatmaps[item])
        for threshold in range(256):
            (x0, y0, x1, y1), _ = slow_largest_component(levels > threshold, np.ones((3, 3)))
            expected = False
            for a0, b0, a1, b1 in truth[item].tolist():
                shared = max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))
                union = (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - shared
                expected |= Fraction(shared, union) >= Fraction(1, 2)
            assert found[item, threshold] == expected, (item, threshold)
    np.testing.assert_array_equal(heatmaps, before)
    for n_jobs in (1, 3, 50):
        np.testing.assert_array_equal(hits(heatmaps, truth, n_jobs=n_jobs), found)
    assert 0.05 < found.mean() < 0.95  # the case is neither trivial


def test_map_equal_to_the_box_is_always_right():
    heatmaps = np.zeros((3, 20, 30), np.float32)
    boxes = [[[3, 4, 12, 9]], [[0, 0, 30, 20 - 1]], [[29, 19, 30, 20]]]
    for heatmap, ((x0, y0, x1, y1),) in zip(heatmaps, boxes, strict=True):
        heatmap[y0:y1, x0:x1] = 0.3
    found = hits(heatmaps, boxes, iou_threshold=1.0)
    assert found[:, :255].all() and not found[:, 255].any()


def test_constant_map_is_never_a_hit():
    found = hits(np.stack([np.full((8, 8), 7.0), np.zeros((8, 8))]), [[[0, 0, 8, 8]]] * 2)
    assert not found.any()


def test_hits_at_other_iou_thresholds():
    heatmap = np.zeros((1, 10, 10))
    heatmap[0, :, :3] = 1  # IoU .3 with the whole image
    assert hits(heatmap, [[[0, 0, 10, 10]]], iou_threshold=0.3)[0, :255].all()
    assert not hits(heatmap, [[[0, 0, 10, 10]]], iou_threshold=0.31).any()


def test_hits_name_bad_input():
    maps = np.random.default_rng(5).random((3, 6, 8))
    good = [np.array([[0, 0, 4, 4]])] * 3
    broken = maps.copy()
    broken[1, 2, 3], broken[2, 0, 0] = np.nan, np.inf
    with pytest.raises(AttribevalError, match=r"item 1: .*NaN"):
        hits(broken, good, n_jobs=3)
    with pytest.raises(AttribevalError, match=r"item 0: .*infinity"):
        hits(broken[2:], good[:1])
    with pytest.raises(AttribevalError, match=r"each of 3 heatmaps. Received: 2"):
        hits(maps, good[:2])
    with pytest.raises(AttribevalError, match="none for item 2"):
        hits(maps, [*good[:2], []])
    with pytest.raises(AttribevalError, match=r"empty box \[2.0, 0.0, 2.0, 4.0\] for item 1"):
        hits(maps, [good[0], [[2, 0, 2, 4]], good[2]])
    with pytest.raises(AttribevalError, match="item 0"):
        hits(maps, [[[4, 0, 2, 4]], *good[1:]])
    with pytest.raises(AttribevalError, match=r"inside the heatmap of 6×8.*item 2.*scale"):
        hits(maps, [*good[:2], [[0, 0, 4, 7]]])
    with pytest.raises(AttribevalError, match=r"\(N, H, W\). Received: \(3, 6, 8, 1\)"):
        hits(maps[..., None], good)
    with pytest.raises(AttribevalError, match="real numbers"):
        hits(maps.astype(complex), good)
    with pytest.raises(AttribevalError, match="iou_threshold"):
        hits(maps, good, iou_threshold=0)
    with pytest.raises(AttribevalError, match="n_jobs"):
        hits(maps, good, n_jobs=0)
    assert hits(maps[:0], []).shape == (0, 256)


@pytest.mark.real
def test_baseline_errors_on_imagenet_boxes(real_data):
    """Real boxes, several per image, in pixels and relative, against integers and plain Python.

    The published 59.66 % and 46.28 % are of all 50,000 images; a selection of them may be easier.
    """
    in_pixels, relative, sizes, whole_wrong, centred_wrong = [], [], [], [], []
    with open(real_data / "ILSVRC" / "LOC_val_solution.csv", newline="") as file:
        for row in csv.DictReader(file):
            path = real_data / "ILSVRC" / "Annotations" / "CLS-LOC" / "val" / f"{row['ImageId']}.xml"
            size = ElementTree.parse(path).find("size")
            width, height = int(size.find("width").text), int(size.find("height").text)
            numbers = [int(v) for v in row["PredictionString"].split() if not v.startswith("n")]
            boxes = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
            sizes.append((height, width))
            in_pixels.append(np.array(boxes))
            relative.append(np.array(boxes) / [width, height, width, height])
            # IoU with the whole image is the area's share of it.
            whole_wrong.append(all(2 * (x1 - x0) * (y1 - y0) < width * height for x0, y0, x1, y1 in boxes))
            right = False
            for x0, y0, x1, y1 in boxes:
                shared_x = min(x1, width / 2 + width / 8**0.5) - max(x0, width / 2 - width / 8**0.5)
                shared_y = min(y1, height / 2 + height / 8**0.5) - max(y0, height / 2 - height / 8**0.5)
                shared = max(shared_x, 0) * max(shared_y, 0)
                right |= shared >= 0.5 * ((x1 - x0) * (y1 - y0) + width * height / 2 - shared)
            centred_wrong.append(not right)
    for baseline, wrong in [(whole_image_box, whole_wrong), (centred_box, centred_wrong)]:
        assert 0.2 < np.mean(wrong) < 0.7
        assert box_error(np.array([baseline(size) for size in sizes]), in_pixels) == np.mean(wrong)
        assert box_error(baseline((1, 1)), relative) == np.mean(wrong)


def test_predicted_boxes_are_those_that_score():
    rng = np.random.default_rng(6)
    heatmaps = ndimage.gaussian_filter(rng.random((4, 12, 15)), (0, 2, 2))
    found = predicted_boxes(heatmaps, 100)
    for heatmap, box in zip(heatmaps, found, strict=True):
        assert box.tolist() == slow_largest_component(slow_levels(heatmap) > 100, np.ones((3, 3)))[0]
    assert (predicted_boxes(heatmaps, 255) == 0).all()
    with pytest.raises(AttribevalError, match="0 to 255"):
        predicted_boxes(heatmaps, 300)
