"""Every WSOL score on plain arrays: hand-worked cases, closed forms, slow rewrites, the field's libraries."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from attribeval.benchmarks.wsol.baselines import BASELINES, baseline
from attribeval.benchmarks.wsol.measure import largest_box
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation import colour_model
from attribeval.metrics.localisation.boxes import fill_boxes
from attribeval.metrics.localisation.energy_in_box import energy_inside
from attribeval.metrics.localisation.heuristics import (
    ENERGIES,
    MEANS,
    VALUES,
    cam_box,
    extents,
    fong_boxes,
)
from attribeval.metrics.localisation.pixels import (
    check_mask,
    histograms,
    mask_ious,
    pixel_auc,
    pxap,
    reference_bins,
)
from attribeval.metrics.localisation.pointing_game import hits_by_class, pointing_hit
from attribeval.metrics.localisation.relevance_rank_accuracy import relevance_rank
from attribeval.metrics.localisation.saliency_metric import saliency_metric, salient_box


def slow_extent(mask: np.ndarray) -> list[int]:
    pixels = [(x, y) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    if not pixels:
        return [0, 0, 0, 0]
    xs, ys = zip(*pixels, strict=True)
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


# -- boxes by single papers --------------------------------------------------------------------------------------------


def test_cams_twenty_per_cent_by_hand():
    # Levels 0 to 1000: a blob of 1000s and 250s, a far blob of more, weaker pixels, and a background of 10.
    heat = np.full((10, 20), 10.0)
    heat[1:4, 1:4] = 1000
    heat[4, 1:4] = 250
    heat[6:10, 10:20] = 100  # above 20 of 255 (78.4), below 20 % of the maximum (200)
    assert cam_box(heat, "maximum").tolist() == [1, 1, 4, 5]
    assert cam_box(heat, "absolute").tolist() == [10, 6, 20, 10]
    # Of 200 pixels 148 are 10, so the 20 % quantile is 10, and what lies above it is the larger blob.
    assert cam_box(heat, "quantile").tolist() == [10, 6, 20, 10]
    with pytest.raises(AttribevalError, match="reading of CAM's 20 %"):
        cam_box(heat, "otsu")


def test_fongs_thresholds_equal_a_slow_rewrite():
    rng = np.random.default_rng(0)
    for _ in range(4):
        heat = rng.random((9, 12)) ** 4
        for rule, alphas in [("mean", MEANS), ("value", VALUES), ("energy", ENERGIES)]:
            found = fong_boxes(heat, rule)
            for alpha, box in zip(alphas, found, strict=True):
                if rule == "mean":
                    mask = heat > alpha * heat.mean()
                elif rule == "value":
                    mask = heat > heat.min() + alpha * (heat.max() - heat.min())
                else:
                    mask, held = np.zeros(heat.shape, bool), 0.0
                    for place in np.argsort(-heat, axis=None):
                        mask.ravel()[place] = True
                        held += heat.ravel()[place]
                        if held >= alpha * heat.sum():
                            break
                assert box.tolist() == slow_extent(mask), (rule, alpha)
    assert (fong_boxes(np.zeros((3, 3)), "energy") == 0).all()
    with pytest.raises(AttribevalError, match="rule of Fong"):
        fong_boxes(heat, "median")


def test_the_whole_salient_region_has_no_components():
    levels = np.zeros((8, 8), np.uint8)
    levels[1, 1], levels[6, 5] = 200, 100
    boxes = extents(levels, np.arange(256))
    assert boxes[99].tolist() == [1, 1, 6, 7] and boxes[150].tolist() == [1, 1, 2, 2] and boxes[200].tolist() == [0] * 4
    rng = np.random.default_rng(1)
    heat = rng.standard_normal((7, 6))
    for threshold, box in zip([-1, 0, 1, 9], extents(heat, np.array([-1, 0, 1, 9])), strict=True):
        assert box.tolist() == slow_extent(heat > threshold)


# -- pixels ------------------------------------------------------------------------------------------------------------


def test_pxap_is_the_average_precision_of_all_pixels():
    rng = np.random.default_rng(2)
    counts, scores, truth = np.zeros((2, 256)), [], []
    for _ in range(5):
        levels = rng.integers(0, 256, (12, 15)).astype(np.uint8)
        mask = (rng.random((12, 15)) < 0.3).astype(np.uint8)
        mask[rng.random((12, 15)) < 0.2] = 255
        counts += histograms(levels, mask, 256)
        scores.append(levels[mask != 255])
        truth.append(mask[mask != 255])
    area, precision, recall = pxap(counts)
    # Average precision is Σ (R_k − R_{k−1}) · P_k over all distinct scores, the same sum.
    assert area == pytest.approx(average_precision_score(np.concatenate(truth), np.concatenate(scores)), abs=1e-12)
    assert recall[-1] == 1 and precision[-1] == pytest.approx(np.concatenate(truth).mean())


def test_pxap_equals_the_reference_formula_with_its_thousand_thresholds():
    rng = np.random.default_rng(3)
    heat = rng.random((40, 50)).astype(np.float32)
    heat = (heat - heat.min()) / (heat.max() - heat.min())
    heat[0, :30] = heat[0, 0].round(2)  # values on edges of bins
    mask = (rng.random((40, 50)) < 0.4).astype(np.uint8)
    edges = np.append(np.arange(0, 1, 0.001), [1.0, 2.0, 3.0])
    true, _ = np.histogram(heat[mask == 1].astype(float), edges)
    false, _ = np.histogram(heat[mask == 0].astype(float), edges)
    tp, fp = true[::-1].cumsum(), false[::-1].cumsum()
    some = (tp + fp) != 0
    precision, recall = tp / np.maximum(tp + fp, 1), tp / true.sum()
    expected = (precision[1:] * np.diff(recall))[some[1:]].sum()
    assert pxap(histograms(reference_bins(heat.astype(float)), mask, 1001))[0] == pytest.approx(expected, abs=1e-12)


def test_pxap_by_hand():
    # Object pixels at levels 2, 1; background at 1, 0, 0: P/R points 1 at ½, ⅔ at 1: area ½ + ½ · ⅔.
    counts = np.array([[2, 1, 0], [0, 1, 1]])
    assert pxap(counts)[0] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert pxap(np.array([[3, 0, 0], [2, 0, 0]]))[0] == pytest.approx(2 / 5)  # a constant map: the object's share
    assert pxap(np.stack([counts, counts]))[0].shape == (2,)


def test_mask_iou_at_every_threshold():
    rng = np.random.default_rng(4)
    levels = rng.integers(0, 9, (10, 10)).astype(np.uint8)
    mask = (rng.random((10, 10)) < 0.4).astype(np.uint8)
    mask[0] = 255
    found = mask_ious(histograms(levels, mask, 256))
    for threshold in range(256):
        predicted = (levels >= threshold) & (mask != 255)
        truth = mask == 1
        assert found[threshold] == pytest.approx((predicted & truth).sum() / (predicted | truth).sum())


def test_pixel_auc_is_scikit_learns():
    rng = np.random.default_rng(5)
    for heat in (rng.standard_normal((11, 13)), rng.integers(0, 4, (11, 13)).astype(float), np.ones((11, 13))):
        mask = (rng.random((11, 13)) < 0.3).astype(np.uint8)
        mask[5] = 255
        used = mask != 255
        assert pixel_auc(heat, mask) == pytest.approx(roc_auc_score(mask[used], heat[used]))
    assert math.isnan(pixel_auc(heat, np.ones((11, 13), np.uint8)))


def test_masks_are_checked():
    assert check_mask(np.array([[True, False]]), (1, 2)).tolist() == [[1, 0]]
    for bad, said in [
        (np.ones((2, 2), bool), "the map's size"),
        (np.array([[1, 7]]), "255"),
        (np.array([[0.5, 1]]), "float64"),
        (np.array([[0, 255]]), "without"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            check_mask(bad, (1, 2))


# -- pointing, energy --------------------------------------------------------------------------------------------------


def test_pointing_game_by_hand():
    region = np.zeros((40, 40), bool)
    region[10:20, 10:20] = True
    heat = np.zeros((40, 40))
    for (y, x), tolerance, expected in [
        ((10, 10), 0, 1),
        ((9, 10), 0, 0),
        ((9, 10), 1, 1),
        ((23, 23), 5.7, 1),  # 4 · √2 = 5.66 from the corner pixel (19, 19)
        ((23, 23), 5.6, 0),
        ((34, 19), 15, 1),  # exactly 15
        ((35, 19), 15, 0),
    ]:
        heat[:] = 0
        heat[y, x] = 1
        assert pointing_hit(heat, region, tolerance) == expected
    heat[:] = 0
    heat[12, 12] = heat[0, 39] = 1  # two equal maxima, one hits
    assert pointing_hit(heat, region, 3) == 0.5
    assert pointing_hit(np.zeros((40, 40)), region, 0) == 100 / 1600  # chance


def test_mean_of_classes_by_hand():
    hits, labels = np.array([1, 0, 1, 1, 0.5]), np.array([7, 7, 7, 2, 9])
    images = hits_by_class(hits, labels)
    mean = (2 / 3 + 1 + 0.5) / 3
    assert images.mean() == pytest.approx(mean)
    np.testing.assert_allclose(images, mean + 5 / 9 * np.array([1 / 3, -2 / 3, 1 / 3, 0.75, -0.75]))
    assert (hits_by_class(np.ones(5), labels) == 1).all()
    np.testing.assert_allclose(hits_by_class(hits, np.arange(5)), hits)  # one image in every class: their mean


def test_energy_and_rank_by_hand():
    heat = np.array([[4.0, 3, 0], [2, -9, 1]])
    region = np.array([[True, False, False], [True, True, False]])
    assert energy_inside(heat, region) == 6 / 10  # the negative value counts as nothing
    assert energy_inside(np.zeros((2, 3)), region) == 3 / 6
    assert relevance_rank(heat, region) == 2 / 3  # highest three: 4, 3, 2
    ties = np.array([[5.0, 1, 1], [1, 1, 0]])  # 5 and two of four ones, of which two lie inside
    assert relevance_rank(ties, region) == pytest.approx((1 + 2 * 2 / 4) / 3)
    assert relevance_rank(np.ones((2, 3)), region) == pytest.approx(3 / 6)
    assert relevance_rank(region * 1.0, region) == 1


def test_boxes_are_filled_by_pixel_centres():
    inside = fill_boxes(np.array([[0.4, 0.6, 2.5, 2]]), (3, 4))
    assert inside.tolist() == [[False] * 4, [True, True, False, False], [False] * 4]  # centres .5, 1.5; 1.5
    assert fill_boxes(np.array([[1.6, 1.6, 1.7, 1.7]]), (3, 4)).sum() == 1  # smaller than a pixel: the nearest
    assert fill_boxes(np.array([[3.9, 2.9, 4, 3]]), (3, 4))[2, 3]
    both = fill_boxes(np.array([[0, 0, 1, 1], [2, 1, 4, 3]]), (3, 4))
    assert both.sum() == 1 + 4
    assert largest_box(np.array([[0, 0, 1, 1], [2, 1, 4, 3], [0, 0, 4, 1]])).tolist() == [[2, 1, 4, 3]]


# -- Dabkowski, Simonyan, baselines ------------------------------------------------------------------------------------


def test_saliency_metric_by_hand():
    image = np.arange(10 * 20 * 3, dtype=np.float32).reshape(10, 20, 3)
    seen = []

    def predict(crops):
        seen.append(crops)
        return np.array([0.5, 0.25, 0.125])

    boxes = [np.array([0, 0, 20, 10]), np.array([5, 0, 10, 10]), np.array([0, 0, 1, 1])]
    found = saliency_metric([image] * 3, boxes, predict)
    # The whole image: the negative log-likelihood. A quarter: log ¼ − log ¼ = 0. A pixel: its area counts as .05.
    np.testing.assert_allclose(found, [math.log(2), 0, math.log(0.05) + math.log(8)])
    np.testing.assert_array_equal(seen[0][0], image)
    np.testing.assert_array_equal(seen[0][2], np.broadcast_to(image[0, 0], image.shape))  # stretched
    with pytest.raises(AttribevalError, match="item 0"):
        saliency_metric([image], [np.array([3, 3, 3, 9])], predict)
    with pytest.raises(AttribevalError, match="1 probabilities"):
        saliency_metric([image], boxes[:1], predict)


def test_salient_box_by_hand():
    heat = np.zeros((6, 8))
    heat[2, 3], heat[4, 6], heat[0, 0] = 10, 6, 4
    assert salient_box(heat).tolist() == [3, 2, 7, 5]
    assert salient_box(heat, 0.3).tolist() == [0, 0, 7, 5]
    assert salient_box(np.ones((6, 8))).tolist() == [0, 0, 8, 6]


def test_colour_model_finds_the_whole_object_from_a_part():
    pytest.importorskip("cv2")
    rng = np.random.default_rng(6)
    image = rng.normal([30, 120, 40], 6, (60, 80, 3))
    image[15:45, 20:55] = rng.normal([200, 60, 50], 6, (30, 35, 3))
    y, x = np.mgrid[:60, :80]
    heat = np.exp(-((y - 30) ** 2 + (x - 37) ** 2) / 200)  # a bump of the middle of the object
    assert (heat > 0.5).sum() < 0.5 * 30 * 35
    box = colour_model.colour_model_box(np.clip(image, 0, 255), heat)
    np.testing.assert_allclose(box, [20, 15, 55, 45], atol=1)
    assert colour_model.colour_model_hit(np.clip(image, 0, 255), heat, np.array([[20.0, 15, 55, 45]]), 0.9)
    np.testing.assert_array_equal(box, colour_model.colour_model_box(np.clip(image, 0, 255), heat))  # the same again
    assert colour_model.colour_model_box(image.clip(0, 255), np.ones((60, 80))).tolist() == [0, 0, 0, 0]
    with pytest.raises(AttribevalError, match="the map's size"):
        colour_model.colour_model_box(image[:9], heat)


def test_without_opencv_the_colour_model_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError("No module named 'cv2'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(AttribevalError, match=r'pip install "attribeval\[opencv\]"'):
        colour_model.colour_model_box(np.zeros((2, 2, 3)), np.zeros((2, 2)))


def test_baselines_by_hand():
    heat, box = baseline("whole image", (6, 8))
    assert heat.all() and box.tolist() == [0, 0, 8, 6]
    heat, box = baseline("centred box", (60, 80))
    assert heat.sum() == pytest.approx(2400, rel=0.05) and np.prod(box[2:] - box[:2]) == pytest.approx(2400)
    np.testing.assert_array_equal(heat, heat[::-1, ::-1])
    heat, box = baseline("centred Gaussian", (60, 80))
    assert box is None and np.unravel_index(heat.argmax(), heat.shape) in [(29, 39), (30, 39), (29, 40), (30, 40)]
    assert heat[29, 59] / heat[29, 39] == pytest.approx(np.exp(-0.5 * (19.5**2 - 0.5**2) / 20**2), rel=1e-5)
    assert len(BASELINES) == 3
