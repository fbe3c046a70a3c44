"""Scores of arrays from end to end: slow rewrites, honest thresholds, intervals, comparisons, every refusal."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from scipy import ndimage

from attribeval.benchmarks.wsol.evaluate import evaluate
from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.benchmarks.wsol.summary import Unpacked, compare, folds, pack
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import iou
from attribeval.metrics.localisation.component_tree import largest_components
from attribeval.metrics.localisation.maxboxacc import hits, quantise
from attribeval.metrics.localisation.pixels import histograms, pixel_auc, pxap
from attribeval.metrics.localisation.pointing_game import pointing_hit
from attribeval.results.comparisons import holm, t_interval
from attribeval.results.over_images import wilson_interval
from attribeval.results.result import Result


@pytest.fixture(scope="module")
def data():
    """Thirty images with an object each: its box, mask, label, a good map, a poor one and the image itself."""
    rng = np.random.default_rng(0)
    n, side = 30, 24
    masks = np.zeros((n, side, side), bool)
    boxes = []
    for mask in masks:
        h, w = rng.integers(6, 16, 2)
        y, x = rng.integers(0, side - h), rng.integers(0, side - w)
        mask[y : y + h, x : x + w] = True
        boxes.append(np.array([[x, y, x + w, y + h]], float))
    boxes[3] = np.concatenate([boxes[3], [[0, 0, 2, 3]]])
    good = np.array([ndimage.gaussian_filter(m * 1.0, 2) for m in masks]) + 0.02 * rng.random(masks.shape)
    poor = np.array([ndimage.gaussian_filter(rng.random((side, side)), 1) for _ in masks]) + 0.02 * masks
    return {
        "maps": {"good": good, "poor": poor}, "boxes": boxes, "masks": masks, "labels": rng.integers(0, 4, n),
        "top1": rng.random(n) < 0.7, "top5": np.ones(n, bool), "images": masks * 100.0 + rng.random(masks.shape),
    }  # fmt: skip


@pytest.fixture(scope="module")
def result(data):
    return evaluate(**data, seed=3)


def value(result: Result, method: str, metric: str) -> float:
    rows = result.table[(result.table["method"] == method) & (result.table["metric"] == metric)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def test_the_table_has_a_row_for_every_method_and_metric(result):
    named = {m for m in METRICS if not METRICS[m].asked}
    rows = {"good", "poor", "random", "sobel", "whole image", "centred box", "centred Gaussian"}
    assert {(r.method, r.metric) for r in result.table.itertuples()} == {(a, b) for a in rows for b in named}
    assert not result.table["value"].isna().any()
    assert ((result.table["low"] <= result.table["high"]) & (result.table["value"] >= 0)).all()
    for metric, rows in result.table.groupby("metric", sort=False):
        assert list(rows["value"]) == sorted(rows["value"], reverse=True), metric
    kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
    assert kinds == {"good": "method", "poor": "method", "random": "control", "sobel": "control",
                     "whole image": "baseline", "centred box": "baseline", "centred Gaussian": "baseline"}  # fmt: skip


def test_values_of_boxes_are_those_of_the_metric_itself(result, data):
    for name, maps in data["maps"].items():
        found = hits(maps, data["boxes"])
        assert value(result, name, "MaxBoxAcc") == found.mean(0).max()
        top1 = (found & data["top1"][:, None]).mean(0).max()
        assert value(result, name, "Top1Loc") == pytest.approx(top1)
        assert value(result, name, "Top5Loc") == value(result, name, "MaxBoxAcc")
        largest = [b[np.argmax((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]))][None] for b in data["boxes"]]
        assert value(result, name, "MaxBoxAccLargest") == hits(maps, largest).mean(0).max()
        np.testing.assert_array_equal(result.arrays[f"{name}/hits"], found)


def test_v2_equals_labelling_slowly(result, data):
    right = np.zeros((3, 30, 256), bool)
    for i, (heat, truth) in enumerate(zip(data["maps"]["poor"], data["boxes"], strict=True)):
        levels = quantise(heat)
        for t in range(255):
            labels, count = ndimage.label(levels > t, np.ones((3, 3)))
            drawn = [[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(labels)]
            if count:
                best = iou(np.array(drawn), truth).max()
                right[:, i, t] = best >= np.array([0.3, 0.5, 0.7])
    assert value(result, "poor", "MaxBoxAccV2") == pytest.approx(right.mean(1).max(1).mean())
    np.testing.assert_allclose(result.arrays["poor/curve V2"], right.mean(1))


def test_held_out_thresholds_are_chosen_on_other_images(result, data):
    """The score rewritten: for each fold the best threshold of the other folds, then the hits of that fold."""
    fold = folds(30, 5, 3)
    assert sorted(np.bincount(fold)) == [6] * 5
    for name, maps in data["maps"].items():
        found = hits(maps, data["boxes"])
        right = 0
        for k in range(5):
            accuracies = [found[fold != k, t].mean() for t in range(256)]
            right += found[fold == k, int(np.argmax(accuracies))].sum()
        assert value(result, name, "BoxAcc") == pytest.approx(right / 30)
        assert value(result, name, "BoxAcc") <= value(result, name, "MaxBoxAcc")


def test_a_share_of_the_images_may_choose_for_the_rest(data):
    result = evaluate(data["maps"]["poor"], boxes=data["boxes"], metrics=["BoxAcc"], held_out=0.4, seed=1)
    found, fold = hits(data["maps"]["poor"], data["boxes"]), folds(30, 0.4, 1)
    assert (fold == -1).sum() == 12
    threshold = found[fold == -1].mean(0).argmax()
    row = result.table[result.table["method"] == "maps"].iloc[0]
    assert row["value"] == pytest.approx(found[fold == 0, threshold].mean()) and row["images"] == 18


def test_intervals_are_those_of_hits_at_the_best_threshold_and_of_means(result, data):
    found = hits(data["maps"]["poor"], data["boxes"])
    row = result.table.query("method == 'poor' and metric == 'MaxBoxAcc'").iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(wilson_interval(int(found.sum(0).max()), 30))
    scores = [
        pixel_auc(heat, mask.astype(np.uint8)) for heat, mask in zip(data["maps"]["poor"], data["masks"], strict=True)
    ]
    row = result.table.query("method == 'poor' and metric == 'PixelAUC'").iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(t_interval(scores))


def test_what_images_contribute_is_the_scores_derivative(result, data):
    """The value is the mean of the contributions; of scores that are no means, by repeating one image a little."""
    for name, images in result.arrays.items():
        if name.endswith("/images"):
            method, metric, _ = name.split("/")
            assert value(result, method, metric) == pytest.approx(np.nanmean(images), rel=1e-12)
    counts = np.stack([histograms(quantise(heat), mask.astype(np.uint8), 256)
                       for heat, mask in zip(data["maps"]["poor"], data["masks"], strict=True)])  # fmt: skip
    right, classes = (result.arrays["poor/PointingGame/images"], data["labels"])
    pointing = np.array(
        [pointing_hit(heat, mask, 15) for heat, mask in zip(data["maps"]["poor"], data["masks"], strict=True)]
    )
    for item in (0, 7, 29):
        for of_weights, images in (
            (lambda w: float(pxap(np.tensordot(w, counts, 1))[0]), result.arrays["poor/PxAP/images"]),
            (
                lambda w: np.mean([np.average(pointing[classes == c], weights=w[classes == c]) for c in set(classes)]),
                right,
            ),
        ):
            more, less = np.ones(30), np.ones(30)
            more[item], less[item] = 1.001, 0.999
            slope = (of_weights(more) - of_weights(less)) / 0.002
            assert images[item] == pytest.approx(of_weights(np.ones(30)) + 30 * slope, abs=1e-4)


def test_baselines_have_known_answers(result, data):
    share = data["masks"].mean((1, 2))
    single = np.array([len(b) == 1 for b in data["boxes"]])
    assert value(result, "whole image", "PxAP") == pytest.approx(share.mean())
    assert value(result, "whole image", "RelevanceMass") == pytest.approx(share.mean())
    assert value(result, "whole image", "PixelAUC") == 0.5
    assert value(result, "whole image", "MaxMaskIoU") == pytest.approx(share.mean())
    covered = [max((b[2] - b[0]) * (b[3] - b[1]) for b in boxes) / 24**2 for boxes in data["boxes"]]
    assert value(result, "whole image", "MaxBoxAcc") == np.mean(np.array(covered) >= 0.5)
    assert single.sum() == 29


def test_good_beats_poor_and_the_difference_is_tested(result):
    for metric in ("MaxBoxAcc", "PxAP", "PixelAUC", "RelevanceRank", "EnergyInBox"):
        assert value(result, "good", metric) > value(result, "poor", metric)
    table = compare(result, "MaxBoxAcc", ["random", "centred box"])
    row = table.query("method == 'good' and other == 'random'").iloc[0]
    assert row["difference"] == pytest.approx(value(result, "good", "MaxBoxAcc") - value(result, "random", "MaxBoxAcc"))
    assert row["low"] > 0 and row["p_holm"] < 0.05 and (table["p_holm"] >= table["p"]).all()
    assert len(compare(result)) == 7 * 6 / 2
    assert result.summary[0].startswith("good localises best")
    with pytest.raises(AttribevalError, match="metric of this result"):
        compare(result, "MaxBocAcc")
    with pytest.raises(AttribevalError, match="row of MaxBoxAcc"):
        compare(result, against=["rnd"])


def test_comparisons_survive_saving(result, tmp_path):
    back = Result.load(result.save(tmp_path))
    np.testing.assert_allclose(compare(back)["p"], compare(result)["p"])
    back.arrays = {name: values for name, values in back.arrays.items() if not name.endswith("/images")}
    with pytest.raises(AttribevalError, match="scores of MaxBoxAcc by image"):
        compare(back)


def test_masks_or_boxes_alone(data):
    only_masks = evaluate(data["maps"], masks=data["masks"])
    assert set(only_masks.table["metric"]) == {"PxAP", "MaxMaskIoU", "MaskIoU", "PixelAUC", "RelevanceMass",
                                               "RelevanceRank", "PointingGame"}  # fmt: skip
    only_boxes = evaluate(data["maps"], boxes=data["boxes"])
    assert "PxAP" not in set(only_boxes.table["metric"]) and "sobel" not in set(only_boxes.table["method"])
    named = evaluate(data["maps"], boxes=data["boxes"], metrics=["EnergyInBox", "MaxBoxAcc"])
    assert list(dict.fromkeys(named.table["metric"])) == ["EnergyInBox", "MaxBoxAcc"]


def test_maps_of_several_sizes_and_any_number_of_threads(data):
    maps = [np.repeat(m, 2, axis=0) if i % 2 else m for i, m in enumerate(data["maps"]["good"])]
    boxes = [b * [1, 2, 1, 2] if i % 2 else b for i, b in enumerate(data["boxes"])]
    one = evaluate(maps, boxes=boxes, n_jobs=1)
    many = evaluate(maps, boxes=boxes, n_jobs=4)
    assert one.table.equals(many.table)
    whole = evaluate(data["maps"]["good"], boxes=data["boxes"])
    assert value(one, "maps", "MaxBoxAcc") == value(whole, "maps", "MaxBoxAcc")  # IoU knows nothing of the scale


def test_images_without_a_box_are_left_out_and_counted_or_an_error(data):
    boxes = [np.zeros((0, 4)) if i in (4, 9) else b for i, b in enumerate(data["boxes"])]
    ids = [f"photo {i}" for i in range(30)]
    result = evaluate(data["maps"], boxes=boxes, labels=data["labels"], ids=ids)
    assert (result.table["images"] == 28).all() and result.settings["skipped"] == ["photo 4", "photo 9"]
    assert any("where it is scored: 2 of 30 images (photo 4, photo 9)" in line for line in result.summary)
    kept = [i for i in range(30) if i not in (4, 9)]
    without = evaluate({k: v[kept] for k, v in data["maps"].items()}, boxes=[boxes[i] for i in kept])
    assert value(result, "poor", "MaxBoxAccV2") == value(without, "poor", "MaxBoxAccV2")
    with pytest.raises(AttribevalError, match=r"none for 2 of 30: photo 4, photo 9: .*require_truth=False"):
        evaluate(data["maps"], boxes=boxes, ids=ids, require_truth=True)
    with pytest.raises(AttribevalError, match=r"none for 30 of 30: .*: score images of which some have boxes\."):
        evaluate(data["maps"], boxes=[np.zeros((0, 4))] * 30)


def test_masks_without_a_pixel_of_the_object_are_left_out_and_counted(data):
    masks = np.where(np.isin(np.arange(30), (4, 9))[:, None, None], False, data["masks"])
    result = evaluate(data["maps"], boxes=data["boxes"], masks=masks, labels=data["labels"], seed=3)
    kept = [i for i in range(30) if i not in (4, 9)]
    without = evaluate(
        {name: maps[kept] for name, maps in data["maps"].items()}, boxes=[data["boxes"][i] for i in kept],
        masks=data["masks"][kept], labels=data["labels"][kept], seed=3,
    )  # fmt: skip
    assert result.settings["skipped"] == ["4", "9"] and result.settings["images"] == 28
    of_maps = [one.table[one.table["kind"] != "control"].reset_index(drop=True) for one in (result, without)]
    assert of_maps[0].equals(of_maps[1])
    assert any("where it is scored: 2 of 30 images (4, 9)" in line for line in result.summary)


def test_pairs_of_one_photograph_are_called_pairs(data):
    """Two classes of one photograph are two items; words count both."""
    photographs = [f"{i // 2}.jpg" for i in range(30)]
    said = evaluate(data["maps"], boxes=data["boxes"], photographs=photographs).summary
    assert "30 image–class pairs" in said[0] and " images" not in said[0]
    assert any(line.endswith("30 image–class pairs of 15 images.") for line in said)
    alone = evaluate(data["maps"], boxes=data["boxes"], photographs=[f"{i}.jpg" for i in range(30)]).summary
    assert "30 images" in alone[0] and not any("pairs of 30" in line for line in alone)


def test_nan_is_an_error_but_scores_as_nothing_in_the_reference(data):
    maps = data["maps"]["good"].copy()
    maps[2, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match=r"item 2: .*NaN"):
        evaluate(maps, boxes=data["boxes"])
    found = evaluate(maps, boxes=data["boxes"], protocol="reference", metrics=["MaxBoxAcc"])
    assert not found.arrays["maps/hits"][2].any() and found.arrays["maps/hits"][1].any()
    maps[2, 0, 0] = np.inf
    with pytest.raises(AttribevalError, match=r"item 2: .*infinity"):
        evaluate(maps, boxes=data["boxes"], protocol="reference")


def test_bad_input_is_named(data):
    maps, boxes, masks = data["maps"], data["boxes"], data["masks"]

    def bad_boxes(box):
        return [np.array([box], float) if i == 5 else b for i, b in enumerate(boxes)]

    for options, said in [
        ({"boxes": boxes[:7]}, r"boxes of 30 images. Received: 7"),
        ({"boxes": boxes, "masks": masks[:7]}, r"masks of 30 images. Received: 7"),
        ({"boxes": bad_boxes([9, 2, 4, 8])}, r"Image '5': .*\[9.0, 2.0, 4.0, 8.0\].*not x, y, width"),
        ({"boxes": bad_boxes([4, 2, 4, 8])}, "Image '5': .*empty box"),
        ({"boxes": bad_boxes([4, 2, 9, 80])}, "Image '5': .*inside the heatmap of 24×24.*scale"),
        ({"masks": masks[:, :20]}, r"Image '0': .*\(24, 24\). Received: \(20, 24\)"),
        (
            {"masks": np.where(np.arange(30)[:, None, None] == 6, False, masks), "require_truth": True},
            "none for '6'.*require",
        ),
        ({"masks": np.zeros_like(masks)}, "pixel of the object. Received none"),
        ({}, "boxes or masks. Received neither"),
        ({"boxes": boxes, "metrics": ["PxAP"]}, "PxAP needs masks"),
        ({"boxes": boxes, "metrics": ["Top1Loc"]}, "Top1Loc needs top1"),
        ({"boxes": boxes, "metrics": ["MaxBoxAc"]}, "Unknown metric of wsol: 'MaxBoxAc'.*'MaxBoxAcc'"),
        ({"boxes": boxes, "metrics": ["SaliencyMetric"]}, r"SaliencyMetric needs a model .*Evaluator\.wsol"),
        ({"boxes": boxes, "protocol": "paper"}, "Unknown protocol"),
        ({"boxes": boxes, "iou": 50}, "iou_threshold"),
        ({"boxes": boxes, "held_out": 1}, "2 or more folds"),
        ({"boxes": boxes, "tolerance": -1}, "tolerance in pixels, 0 or more. Received: -1"),
        ({"boxes": boxes, "tolerance": "near"}, "tolerance in pixels, 0 or more. Received: 'near'"),
        ({"boxes": boxes, "n_jobs": 0}, "n_jobs >= 1"),
        ({"boxes": boxes, "images": data["images"][:, :9]}, "image '0' of its map's size"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            evaluate(maps, **options)
    with pytest.raises(AttribevalError, match="at least one method"):
        evaluate({}, boxes=boxes)
    with pytest.raises(AttribevalError, match=r"maps of 'b' of 30 images. Received: 3"):
        evaluate({"a": maps["good"], "b": maps["good"][:3]}, boxes=boxes)
    with pytest.raises(AttribevalError, match=r"one size per image: \(24, 24\) as of 'a' for image '0'"):
        evaluate({"a": maps["good"], "b": maps["good"][:, :20]}, boxes=boxes)
    with pytest.raises(AttribevalError, match=r"image '0' by 'maps'.*Reduce the channels"):
        evaluate(maps["good"][..., None], boxes=boxes)


def test_too_few_images_for_folds_have_no_held_out_rows(data):
    result = evaluate(data["maps"]["good"][:6], boxes=data["boxes"][:6])
    assert "BoxAcc" not in set(result.table["metric"]) and "MaxBoxAcc" in set(result.table["metric"])


def test_packing_keeps_hits():
    rng = np.random.default_rng(0)
    arrays = {"hits": rng.random((5, 256)) < 0.5, "v2": rng.random((5, 3, 21)) < 0.5, "x": rng.random(5),
              "flag": rng.random(5) < 0.5}  # fmt: skip
    packed = pack(arrays)
    assert sum(v.nbytes for v in packed.values()) < 0.2 * sum(v.nbytes for v in arrays.values())
    back = Unpacked(packed)
    assert set(back) == set(arrays)
    for name in arrays:
        np.testing.assert_array_equal(back[name], arrays[name])


def test_equal_areas_of_random_rows_do_not_depend_on_the_order_of_images(data):
    """The random row's map depends on the image's number and the seed, not on the chunk."""
    a = evaluate(data["maps"]["good"], boxes=data["boxes"], seed=5)
    b = evaluate(data["maps"]["good"], boxes=data["boxes"], seed=6)
    assert not np.array_equal(a.arrays["random/hits"], b.arrays["random/hits"])
    drawn = quantise(np.random.default_rng([5, 7]).random((24, 24), np.float32))
    expected = (iou(largest_components(drawn)[0], data["boxes"][7]) >= 0.5).any(1)
    np.testing.assert_array_equal(a.arrays["random/hits"][7, :255], expected[:255])


# -- what may be claimed -----------------------------------------------------------------------------------------------


def peaks(places: np.ndarray, side: int = 12) -> np.ndarray:
    """Maps that are hot in the object's box (place 1) or in the opposite corner (place 0)."""
    maps = np.zeros((len(places), side, side))
    for heat, inside in zip(maps, places, strict=True):
        heat[(slice(0, 5), slice(0, 5)) if inside else (slice(7, 12), slice(7, 12))] = 1
    return maps


def boxes_of(n: int) -> list[np.ndarray]:
    return [np.array([[0, 0, 5, 5.0]])] * n


def test_one_image_shows_nothing():
    result = evaluate(peaks(np.ones(1)), boxes=boxes_of(1), metrics=["MaxBoxAcc"])
    (said,) = [line for line in result.summary if line.startswith("maps is ")]
    assert "not tested against random and centred box (fewer than 2 images)" in said and "better" not in said
    row = result.table.iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(wilson_interval(1, 1)) and row["low"] < 0.25
    assert compare(result)["p"].isna().all()
    maps = {"in": peaks(np.ones(1)), "out": peaks(np.zeros(1))}
    for metric in ("MaxBoxAcc", "EnergyInBox"):
        said = evaluate(maps, boxes=boxes_of(1), metrics=[metric]).summary
        assert said[0] == "One image shows no difference between methods: none is called best, and nothing is tested."
        assert not any(word in line for line in said[1:] for word in (" best by", "localises best", "better", "worse"))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_images_that_all_agree_are_no_evidence(n):
    result = evaluate({"in": peaks(np.ones(n)), "out": peaks(np.zeros(n))}, boxes=boxes_of(n), metrics=["MaxBoxAcc"])
    row = compare(result, against=["out"]).query("method == 'in'").iloc[0]
    assert row["difference"] == 1 and row["p"] == 2.0 ** (1 - n) and row["low"] < row["high"] == 1
    assert not any("better than" in line for line in result.summary)
    assert any(f"{n} images cannot show any difference" in line for line in result.summary)


def test_a_score_that_one_image_lacks_is_left_out_and_counted(data):
    masks = data["masks"].copy()
    masks[4] = True  # the object fills its frame: no pixel of the background to compare with
    result = evaluate(data["maps"], masks=masks, metrics=["PixelAUC", "RelevanceMass"])
    kept = np.arange(30) != 4
    without = evaluate({k: v[kept] for k, v in data["maps"].items()}, masks=masks[kept], metrics=["PixelAUC"])
    rows = result.table[result.table["metric"] == "PixelAUC"].set_index("method")
    assert (rows["images"] == 29).all() and rows["value"].notna().all()
    for name in ("good", "poor", "whole image"):
        expected = without.table.set_index("method").loc[name, ["value", "low", "high"]].astype(float)
        np.testing.assert_allclose(rows.loc[name, ["value", "low", "high"]].astype(float), expected)
    pair, before = (compare(r, "PixelAUC", ["poor"]).query("method == 'good'").iloc[0] for r in (result, without))
    assert pair["p"] == before["p"] > 0 and pair["difference"] == pytest.approx(before["difference"])
    assert not any("nan" in line for line in result.summary)
    assert any("left out: PixelAUC (1 of 30 images)" in line for line in result.summary)


def test_ties_are_ties_and_best_is_tested_against_its_neighbours():
    n = 40
    near = np.arange(n) >= 2
    maps = {"a": peaks(np.ones(n)), "b": peaks(np.ones(n)), "near": peaks(near), "far": peaks(np.zeros(n))}
    result = evaluate(maps, boxes=boxes_of(n), metrics=["MaxBoxAcc"])
    assert result.summary[0].startswith(
        "a and b localise equally well, best: their boxes meet the object in 100.0 % of 40"
    )
    assert "Not told apart from the best by these images: near (p corrected for 6 pairs of" in result.summary[0]
    alone = evaluate({"a": maps["a"], "far": maps["far"]}, boxes=boxes_of(n), metrics=["MaxBoxAcc"])
    assert (
        alone.summary[0].startswith("a localises best")
        and "these images tell it from every other method" in alone.summary[0]
    )


def test_one_sentence_for_all_with_the_same_verdicts():
    """Verdicts by all 2ⁿ signs and Holm's rule by hand; every method stands in the sentence of its verdicts, once."""
    n = 12
    maps = {"a": peaks(np.ones(n)), "b": peaks(np.arange(n) > 0), "c": peaks(np.zeros(n)), "d": peaks(np.arange(n) > 7)}
    result = evaluate(maps, boxes=boxes_of(n), metrics=["MaxBoxAcc"])
    hits = {name: result.arrays[f"{name}/MaxBoxAcc/images"] for name in (*maps, "random", "centred box")}
    signs = np.array(list(itertools.product((-1, 1), repeat=n)))
    pairs = [(a, b) for a in maps for b in ("random", "centred box")]
    p = {}
    for one, other in pairs:
        difference = hits[one] - hits[other]
        p[one, other] = (np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9).mean()
    for rank, pair in enumerate(sorted(pairs, key=p.get)):
        p[pair] = p[pair] * (len(pairs) - rank)  # Holm's, up to its running maximum, which changes no verdict here
    groups = {}
    for name in maps:
        verdict = tuple(
            "not distinguishable from" if p[name, other] >= 0.05
            else "better than" if hits[name].sum() > hits[other].sum() else "worse than"
            for other in ("random", "centred box")
        )  # fmt: skip
        groups.setdefault(verdict, []).append(name)
    said = [line for line in result.summary[1:] if re.match(r"[abcd](, [abcd])*( and [abcd])? (is|are) ", line)]
    assert len(said) == len(groups) and {"a", "b"} <= set(groups["better than", "better than"])
    for (random, box), names in groups.items():
        (line,) = [line for line in said if set(re.split(", | and ", re.split(" is | are ", line)[0])) == set(names)]
        assert random in line and box in line
        if random == box == "better than":
            gains = [hits[name].mean() - hits[other].mean() for name in names for other in ("random", "centred box")]
            least, most = (f"{100 * end(gains):.1f}" for end in (min, max))
            assert f"better than random and centred box (by {least} to {most} points of MaxBoxAcc)" in line


def test_edges_are_a_control_wherever_noise_is():
    n = 30
    images = np.zeros((n, 12, 12))
    images[:, 1:4, 1:4] = 1  # edges that fill the box
    result = evaluate(peaks(np.ones(n)), boxes=boxes_of(n), images=images, metrics=["MaxBoxAcc"])
    (said,) = [line for line in result.summary if line.startswith("maps is ")]
    assert "better than random" in said and "not distinguishable from sobel." in said


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.9, 0.6])), [1, 1])
    with pytest.raises(AttribevalError, match="0 to 1"):
        holm(np.array([1.2]))
