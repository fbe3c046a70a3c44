"""Contours and components of all thresholds at once, against OpenCV's findContours and slow labelling, threshold by
threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from attribeval.benchmarks.wsol.measure import measure
from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.benchmarks.wsol.reference import bicubic, reference_boxes, reference_map
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import iou
from attribeval.metrics.localisation.component_tree import swept
from attribeval.metrics.localisation.contours import GAINS, best_overlaps, reference_contours, without_holes

cv2 = pytest.importorskip("cv2")
DELTAS = (0.3, 0.5, 0.7)


def inclusive_iou(box, truth) -> float:
    """Both boxes as first and last pixel, last pixels counted in."""
    width = min(box[2], truth[2]) - max(box[0], truth[0]) + 1
    height = min(box[3], truth[3]) - max(box[1], truth[1]) + 1
    shared = max(0, width) * max(0, height)
    area = (box[2] - box[0] + 1) * (box[3] - box[1] + 1) + (truth[2] - truth[0] + 1) * (truth[3] - truth[1] + 1)
    return shared / (area - shared)


def slow(levels: np.ndarray, truth: list[list[int]]) -> tuple[list, list, list, list]:
    """The definition, with findContours at every threshold: IoU of V1 and V2, box and area of the largest contour."""
    height, width = levels.shape
    first, best, boxes, areas = [], [], [], []
    for threshold in range(255):
        mask = (levels > threshold).astype(np.uint8) * 255
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        drawn = []
        for contour in contours:
            x, y, w, h = cv2.boundingRect(contour)
            drawn.append([x, y, min(x + w, width - 1), min(y + h, height - 1)])
        if contours:
            chosen = max(range(len(contours)), key=lambda i: cv2.contourArea(contours[i]))
            x, y, w, h = cv2.boundingRect(contours[chosen])
            boxes.append([x, y, x + w, y + h])
            areas.append(cv2.contourArea(contours[chosen]))
        else:
            drawn, chosen = [[0, 0, 0, 0]], 0
            boxes.append([0, 0, 0, 0])
            areas.append(0)
        overlaps = [max(inclusive_iou(box, t) for t in truth) for box in drawn]
        first.append(overlaps[chosen])
        best.append(max(overlaps))
    return first, best, boxes, areas


def largest_contours(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Box and polygon area of the largest contour at every threshold."""
    boxes, doubled, _ = swept(without_holes(levels), GAINS, last=True)
    return boxes, doubled / 2


def maps(rng: np.random.Generator, height: int, width: int) -> dict[str, np.ndarray]:
    """Levels of every kind that a map can have."""
    noise = rng.random((height, width))
    smooth = ndimage.gaussian_filter(noise, 2)
    one_pixel = np.zeros((height, width))
    one_pixel[rng.integers(height), rng.integers(width)] = 1
    border = np.zeros((height, width))
    border[[0, -1]] = border[:, [0, -1]] = 1
    lines = np.zeros((height, width))
    lines[rng.integers(height)] = 0.5
    lines[:, rng.integers(width)] = 1
    diagonal = (np.indices((height, width)).sum(0) % 2) * rng.random((height, width)).round(1)
    kinds = {
        "smooth": smooth,
        "noise": noise,
        "perforated": smooth * (rng.random((height, width)) > 0.3),
        "plateaus": rng.integers(0, 4, (height, width)),
        "sparse": rng.random((height, width)) < 0.1,
        "holes": rng.random((height, width)) < 0.7,
        "one pixel": one_pixel,
        "border": border + (noise > 0.9),
        "thin lines": lines,  # no polygon area at all: every contour ties
        "diagonal neighbours": diagonal,
        "constant": np.ones((height, width)),
    }
    kinds = {name: values.astype(float) for name, values in kinds.items()}
    return {name: (255 * (v - v.min()) / max(np.ptp(v), 1e-9)).astype(np.uint8) for name, v in kinds.items()}


def test_contours_equal_opencv_at_every_threshold():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(28):
        height, width = rng.integers(1, 26, 2)
        for kind, levels in maps(rng, height, width).items():
            truth = []
            for _ in range(rng.integers(1, 4)):
                (x0, x1), (y0, y1) = np.sort(rng.integers(0, width, 2)), np.sort(rng.integers(0, height, 2))
                truth.append([x0, y0, x1, y1])
            first, best, boxes, areas = slow(levels, truth)
            edges = np.array(truth, float) + np.array([0, 0, 1, 1])
            drawn, best_of_all = reference_contours(levels, edges)
            found, polygon = largest_contours(levels)
            np.testing.assert_array_equal(found[:255], boxes, err_msg=kind)
            np.testing.assert_array_equal(polygon[:255], areas, err_msg=kind)
            np.testing.assert_array_equal(iou(drawn, edges).max(1)[:255], first, err_msg=kind)
            np.testing.assert_array_equal(best_of_all[:255], best, err_msg=kind)
            seen += 1
    assert seen > 300


def test_nested_rings_with_islands_by_hand():
    levels = np.zeros((11, 13), np.uint8)
    levels[1:10, 1:12] = 100  # a block …
    levels[3:8, 3:10] = 0  # … with a hole …
    levels[5, 5] = 200  # … and an island in it
    drawn, best = reference_contours(levels, np.array([[2.0, 2, 12, 10]]))
    assert drawn[50].tolist() == [1, 1, 13, 11]  # one longer, up to the border
    # The hole's contour runs through the pixels around it: x 2..10, y 2..8, drawn to 11 and 9 and counted in.
    assert best[50] == 1.0
    _, areas = largest_contours(levels)
    assert areas[50] == 8 * 10  # through pixel centres, hole filled
    assert areas[150] == 0  # the island is one pixel: a polygon without area
    overlaps = best_overlaps(levels, np.array([[5.0, 5, 6, 6]]))
    assert overlaps[50] == overlaps[150] == 1.0  # components: the island is one, exactly
    assert not overlaps[200:].any()


def test_ties_go_to_the_contour_that_opencv_lists_first():
    levels = np.zeros((9, 9), np.uint8)
    levels[1:3, 1:3] = levels[5:7, 5:7] = 9
    assert largest_contours(levels)[0][0].tolist() == [5, 5, 7, 7]
    levels[0, 8], levels[1, 7] = 9, 9  # a diagonal pair: no area
    assert largest_contours(levels)[0][0].tolist() == [5, 5, 7, 7]


def test_best_overlaps_equal_labelling():
    rng = np.random.default_rng(1)
    for _ in range(6):
        for levels in maps(rng, 17, 14).values():
            truth = np.array([[2.5, 1, 9, 12], [0, 0, 5, 5.25]])
            found = best_overlaps(levels, truth)
            for threshold in range(255):
                labels, count = ndimage.label(levels > threshold, np.ones((3, 3)))
                slices = ndimage.find_objects(labels)
                boxes = np.array([[x.start, y.start, x.stop, y.stop] for y, x in slices]).reshape(-1, 4)
                assert found[threshold] == (iou(boxes, truth).max() if count else 0)


def reference_scores(heatmap: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> tuple[list, list]:
    """V1 and V2 from a map of any size as the reference code computes them, thresholds .000 … .999, with OpenCV."""
    resized = cv2.resize(heatmap, (224, 224), interpolation=cv2.INTER_CUBIC)
    if np.isnan(resized).any() or resized.min() == resized.max():
        resized = np.zeros_like(resized)
    else:
        resized = resized - resized.min()
        resized = resized / resized.max()
    levels = (resized * 255).astype(np.uint8)
    height, width = size
    truth = [[int(x0 * 224 / width), int(y0 * 224 / height), int(x1 * 224 / width), int(y1 * 224 / height)]
             for x0, y0, x1, y1 in boxes.tolist()]  # fmt: skip
    first, best, _, _ = slow(levels, truth)
    used = sorted({int(t * int(levels.max())) for t in np.arange(0, 1, 0.001)})
    return [first[t] for t in used], [best[t] for t in used]


@pytest.mark.parametrize("side", [224, 14])
def test_reference_protocol_scores_as_the_reference_code_does(side):
    """Map for map: best V1 over thresholds at IoU .5, and at .3, .5, .7 for V2, from map to hits."""
    rng = np.random.default_rng(side)
    heatmaps, boxes = [], []
    for kind in range(10):
        heat = ndimage.gaussian_filter(rng.standard_normal((side, side)), side / 12).astype(np.float32)
        if kind == 0:
            heat[:] = 3
        elif kind == 1:
            heat[2, 2] = np.nan
        elif kind == 2:
            heat = np.zeros_like(heat)
            heat[side // 2, side // 3] = 1
        elif kind == 3:
            heat *= rng.random((side, side)) > 0.4
        heatmaps.append(np.abs(heat))
        x0, y0 = rng.integers(0, side // 2, 2)
        boxes.append(np.array([[x0, y0, x0 + side // 3, y0 + side // 3], [0, 0, side, side // 2]], float))
    wanted = {"hits", "hits_v2"}
    found = measure(heatmaps, boxes, None, wanted, protocol="reference")
    for item, (heatmap, truth) in enumerate(zip(heatmaps, boxes, strict=True)):
        first, best = reference_scores(heatmap, truth, (side, side))
        hits = found["hits"][item][: len(first)] if len(first) > 1 else found["hits"][item][:1]
        np.testing.assert_array_equal(hits, np.array(first) >= 0.5)
        for delta, row in zip(DELTAS, found["hits_v2"][item], strict=True):
            np.testing.assert_array_equal(row[: len(best)], np.array(best) >= delta)
    assert 0.05 < found["hits_v2"].mean() < 0.95


def test_bicubic_is_opencvs():
    rng = np.random.default_rng(2)
    for shape in [(7, 7), (14, 10), (300, 280), (224, 50), (1, 9)]:
        array = rng.standard_normal(shape).astype(np.float32)
        theirs = cv2.resize(array, (224, 224), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_allclose(bicubic(array, (224, 224)), theirs, atol=2e-5)


def test_reference_boxes_by_hand():
    # 500 × 375 (width × height): 125 · 224 / 500 = 56 exactly, 100 · 224 / 375 = 59.7 is cut to 59.
    box = reference_boxes(np.array([[125.0, 100, 250, 375]]), (375, 500))
    assert box.tolist() == [[56, 59, 113, 225]]  # last pixels 112 and 224, counted in
    for width in (333, 500, 499):  # whole numbers must not fall below themselves
        for x in range(width):
            assert reference_boxes(np.array([[x, 0, width, 1]]), (1, width))[0, 0] == int(float(x) * 224 / width)


def test_reference_maps_by_hand():
    ramp = np.tile(np.arange(224, dtype=np.float32), (224, 1))
    expected = np.arange(224, dtype=np.float32) * 2 / np.float32(446)
    np.testing.assert_array_equal(reference_map(ramp * 2 - 5)[0], expected)
    ramp[3, 3] = np.nan
    assert not reference_map(ramp).any() and not reference_map(np.ones((30, 20))).any()
    ramp[3, 3] = np.inf
    with pytest.raises(AttribevalError, match="infinity"):
        reference_map(ramp)


def test_a_map_of_its_box_is_right_in_both_versions():
    """The known answer of the reference code: V1 = V2 = 100 for the box that grows by the pixel it adds."""
    heatmap = np.zeros((224, 224), np.float32)
    heatmap[30:100, 20:90] = 1
    truth = [np.array([[20.0, 30, 90, 100]])]  # as the code's whole numbers: first pixel 20, last 90, one more
    found = measure([heatmap], truth, None, {"hits", "hits_v2"}, iou=1.0, protocol="reference")
    assert found["hits"][0, :255].all() and found["hits_v2"][0, :, :255].all()


def test_every_metric_has_its_arrays_measured():
    rng = np.random.default_rng(3)
    wanted = {need for metric in METRICS.values() if not metric.asked for need in metric.needs}
    wanted -= {"labels", "top1", "top5", "folds"}
    mask = np.zeros((20, 30), np.uint8)
    mask[5:12, 8:20] = 1
    for protocol in ("fixed", "reference"):
        found = measure([rng.random((20, 30))], [np.array([[8.0, 5, 20, 12]])], [mask], wanted, protocol=protocol)
        assert set(found) == wanted
