"""WSOL with a model: known answers, resumption, interruption, bad input."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from attribeval import AttribevalError, Attributer, Evaluator, Result
from attribeval.benchmarks.wsol.evaluate import evaluate
from attribeval.datasets import Samples
from attribeval.datasets.geometry import crop_relative_boxes
from attribeval.datasets.images import resize
from attribeval.methods.registry import build_method


@pytest.fixture(scope="module")
def bright():
    """Images that are black but for one bright rectangle, a quarter to half of the image, and its box."""
    rng = np.random.default_rng(0)
    images = np.zeros((70, 32, 32, 3), np.float32)
    boxes = []
    for image in images:
        height, width = rng.integers(8, 22, 2)
        y, x = rng.integers(0, 32 - height), rng.integers(0, 32 - width)
        image[y : y + height, x : x + width] = 1 + rng.random((height, width, 3))
        boxes.append(np.array([[x, y, x + width, y + height]]) / 32)
    return Samples(images, rng.integers(0, 2, len(images)), boxes=boxes, name="bright")


@pytest.fixture(scope="module")
def looks_at_brightness():
    """A net whose last convolution is the image itself, so that Grad-CAM is a rescaled image and must find the box."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(1, 1, activation="relu", kernel_initializer="ones", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, kernel_initializer="ones", name="dense"),
        ]
    )
    return Attributer(model)


def test_known_answers(looks_at_brightness, bright):
    result = Evaluator(looks_at_brightness, bright).wsol(["gradcam", "random"], targets="predicted")
    rows = result.table[result.table["metric"] == "MaxBoxAcc"].set_index("method")
    assert rows.loc["gradcam", "value"] == 1.0
    assert rows.loc["gradcam", "high"] == 1.0 and rows.loc["gradcam", "low"] == pytest.approx(70 / (70 + 1.959964**2))
    # The box is the map's own bounding box at threshold 0; the whole image is right where it covers half of it.
    area = np.array([np.prod(b[0, 2:] - b[0, :2]) for b in bright.boxes])
    assert rows.loc["whole image", "value"] == np.mean(area >= 0.5)
    inner = (1 - np.sqrt(0.5)) / 2, (1 + np.sqrt(0.5)) / 2
    centred = []
    for ((x0, y0, x1, y1),), a in zip(bright.boxes, area, strict=True):
        shared = max(0, min(x1, inner[1]) - max(x0, inner[0])) * max(0, min(y1, inner[1]) - max(y0, inner[0]))
        centred.append(shared / (a + 0.5 - shared) >= 0.5)
    assert rows.loc["centred box", "value"] == np.mean(centred)
    assert list(rows["value"]) == sorted(rows["value"], reverse=True)
    assert dict(rows["kind"]) == {
        "gradcam": "method", "random": "control", "sobel": "control", "whole image": "baseline",
        "centred box": "baseline", "centred Gaussian": "baseline",
    }  # fmt: skip
    # What is explained is not the labels, so the class in question is right only where the model is.
    assert "Top5Loc" not in set(result.table["metric"])
    top1 = result.table.set_index(["method", "metric"]).loc[("gradcam", "Top1Loc"), "value"]
    assert top1 == pytest.approx(result.settings["top1_accuracy"])
    assert result.summary[0].startswith("gradcam localises best") and "better than random" in result.summary[1]


def test_value_agrees_with_thresholding_slowly(small_model, bright):
    attributer = Attributer(small_model)
    result = Evaluator(attributer, bright[:40]).wsol(["gradient"], targets="label")
    maps = attributer.explain(bright[:40].load(), "gradient", bright[:40].labels).heatmap()
    best = 0
    for threshold in range(256):
        right = 0
        for heat, box in zip(maps, bright.boxes[:40], strict=True):
            heat = heat.astype(np.float64)
            levels = np.floor((heat - heat.min()) * 255 / np.ptp(heat))
            components, count = label(levels > threshold, np.ones((3, 3)))
            if count:
                largest = np.bincount(components.ravel())[1:].argmax()
                rows, columns = find_objects(components)[largest]
                found = np.array([columns.start, rows.start, columns.stop, rows.stop]) / 32
                sides = np.minimum(found[2:], box[0, 2:]) - np.maximum(found[:2], box[0, :2])
                shared = np.prod(np.maximum(sides, 0))
                union = np.prod(found[2:] - found[:2]) + np.prod(box[0, 2:] - box[0, :2]) - shared
                right += shared / union >= 0.5
        best = max(best, right / 40)
    rows = result.table.set_index(["method", "metric"])
    assert rows.loc[("gradient", "MaxBoxAcc"), "value"] == pytest.approx(best)


def test_accuracies(small_model, bright):
    result = Evaluator(Attributer(small_model), bright).wsol(["sobel"])
    output = small_model(bright.load()).numpy()
    order = np.argsort(-output, axis=1)
    assert result.settings["top1_accuracy"] == pytest.approx(np.mean(order[:, 0] == bright.labels))
    assert result.settings["top5_accuracy"] == pytest.approx(np.mean((order[:, :5] == bright.labels[:, None]).any(1)))
    assert "Top5Loc" in set(result.table["metric"]) and "(top-5: " in "\n".join(result.summary)


def test_of_two_classes_nothing_is_said_of_the_first_five(looks_at_brightness, bright):
    result = Evaluator(looks_at_brightness, bright).wsol(["sobel"])
    right = np.mean(looks_at_brightness.predict(bright).argmax(1) == bright.labels)
    assert "Top1Loc" in set(result.table["metric"]) and "Top5Loc" not in set(result.table["metric"])
    assert "top5_accuracy" not in result.settings
    (line,) = [line for line in result.summary if line.startswith("The model")]
    assert line.endswith(f"is right on {100 * right:.1f} % of the images.")
    with pytest.raises(AttribevalError, match="Top5Loc"):
        Evaluator(looks_at_brightness, bright).wsol(["sobel"], metrics=["Top5Loc"])


def test_an_interrupted_run_continues_without_repeating(looks_at_brightness, bright, tmp_path, monkeypatch):
    whole = Evaluator(looks_at_brightness, bright).wsol(["gradcam", "random"])
    evaluator = Evaluator(looks_at_brightness, bright)
    explained = []
    explain_many = Attributer.explain_many

    def counted(self, images, *args, **kwargs):
        if len(explained) == 2:
            explained.append("killed")
            raise KeyboardInterrupt
        explained.append(len(images))
        return explain_many(self, images, *args, **kwargs)

    monkeypatch.setattr(Attributer, "explain_many", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluator.wsol(["gradcam", "random"], run_dir=tmp_path)
    resumed = evaluator.wsol(["gradcam", "random"], run_dir=tmp_path)
    assert explained == [32, 32, "killed", 6]  # the two finished chunks were not explained again
    for column in ("method", "metric", "value", "low", "high"):
        assert list(resumed.table[column]) == list(whole.table[column])


def test_result_is_saved_and_loaded(looks_at_brightness, bright, tmp_path):
    result = Evaluator(looks_at_brightness, bright).wsol(["gradcam", "random"])
    back = Result.load(result.save(tmp_path / "result"))
    assert back.summary == result.summary and back.settings == json.loads(json.dumps(result.settings))
    np.testing.assert_allclose(back.table["value"], result.table["value"])
    np.testing.assert_array_equal(back.arrays["gradcam/hits"], result.arrays["gradcam/hits"])
    assert not list(tmp_path.rglob("*.tmp"))
    with pytest.raises(AttribevalError, match=r"Result\.save"):
        Result.load(tmp_path)


def test_bad_input(looks_at_brightness, bright):
    evaluator = Evaluator(looks_at_brightness, bright)
    with pytest.raises(AttribevalError, match="at least one method"):
        evaluator.wsol([])
    with pytest.raises(AttribevalError, match="'gradcam'"):
        evaluator.wsol(["grad_cam"])
    with pytest.raises(AttribevalError, match="label, predicted"):
        evaluator.wsol(["sobel"], targets="both")
    with pytest.raises(AttribevalError, match="iou"):
        evaluator.wsol(["sobel"], iou=0)
    no_boxes = Samples(bright.images, bright.labels)
    with pytest.raises(AttribevalError, match="without any"):
        Evaluator(looks_at_brightness, no_boxes).wsol(["sobel"])
    some_boxes = [bright.boxes[0], np.zeros((0, 4)), bright.boxes[2]]
    one_without = Samples(bright.images[:3], bright.labels[:3], boxes=some_boxes)
    with pytest.raises(AttribevalError, match="none for 1 of 3: 1"):
        Evaluator(looks_at_brightness, one_without).wsol(["sobel"], require_truth=True)
    strictly = Evaluator(looks_at_brightness, one_without).wsol(["sobel"], strict=True)  # that is no failure
    assert strictly.settings["skipped"] == ["1"] and strictly.settings["images"] == 2
    for options, said in [
        ({"metrics": ["PxAP"]}, "PxAP needs masks"),
        ({"geometry": "squashed"}, "Unknown geometry"),
        ({"protocol": "paper"}, "Unknown protocol"),
        ({"held_out": 1.5}, "between 0 and 1"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            evaluator.wsol(["sobel"], **options)
    with pytest.raises(AttribevalError, match="'whole image'"):
        evaluator.wsol({"whole image": build_method("sobel")})
    labels = np.array([0, 1, 9])
    other = Samples(bright.images[:3], labels, boxes=bright.boxes[:3])
    with pytest.raises(AttribevalError, match=r"0 to 1, the model's classes\. Received: 9 for image '2'"):
        Evaluator(looks_at_brightness, other).wsol(["sobel"])
    with pytest.raises(AttribevalError, match="empty"):
        Evaluator(looks_at_brightness, bright[:0]).wsol(["sobel"])
    with pytest.raises(AttribevalError, match=r"Attributer\(model\)"):
        Evaluator(looks_at_brightness.classifier.model, bright)
    with pytest.raises(AttribevalError, match="Samples"):
        Evaluator(looks_at_brightness, bright.images)


def test_images_without_a_box_are_left_out_and_counted(looks_at_brightness, bright):
    boxes = [np.zeros((0, 4)) if i == 1 else b for i, b in enumerate(bright.boxes[:20])]
    some = Samples(bright.images[:20], bright.labels[:20], boxes=boxes, name="bright")
    result = Evaluator(looks_at_brightness, some).wsol(["gradcam"], targets="predicted")
    kept = Evaluator(looks_at_brightness, bright[[i for i in range(20) if i != 1]]).wsol(
        ["gradcam"], targets="predicted"
    )
    assert (result.table["images"] == 19).all() and result.settings["skipped"] == ["1"]
    assert any("where it is scored: 1 of 20 images (1)" in line for line in result.summary)
    np.testing.assert_array_equal(result.table["value"], kept.table["value"])


def test_the_procedure_is_evaluate_on_the_models_maps(looks_at_brightness, bright):
    masks = np.array(bright.images.max(-1) > 0)
    data = Samples(bright.images[:40], bright.labels[:40], boxes=bright.boxes[:40], masks=masks[:40])
    result = Evaluator(looks_at_brightness, data).wsol(["gradient", "gradcam"], seed=2)
    maps = looks_at_brightness.explain_many(data.images, ["gradient", "gradcam", "sobel"], data.labels, seed=2)
    direct = evaluate(
        {name: one.heatmap() for name, one in maps.items()}, boxes=data.boxes_at((32, 32)), masks=masks[:40],
        labels=data.labels, seed=2,
    )  # fmt: skip
    assert {"PxAP", "MaxBoxAcc", "PixelAUC"} <= set(result.table["metric"])
    ours, theirs = (r.table.set_index(["method", "metric"])[["value", "low", "high"]] for r in (result, direct))
    shared = [key for key in theirs.index if key[0] != "random"]
    np.testing.assert_allclose(ours.loc[shared], theirs.loc[shared], rtol=1e-6)


def test_options_of_methods_and_what_was_measured_is_written_down(looks_at_brightness, bright):
    methods = {"few": build_method("smoothgrad(gradient)", {"samples": 2})}
    result = Evaluator(looks_at_brightness, bright[:12]).wsol(methods)
    assert result.settings["options"]["few"]["samples"] == 2
    assert {"few", "random", "sobel"} <= set(result.table["method"])


def test_full_geometry_scores_at_the_images_own_size(tmp_path, looks_at_brightness):
    """A wide photograph with a bright half: squashed for the model, scored at 20 × 60 pixels."""
    from PIL import Image

    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 30:] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = Samples([tmp_path / "a.png"], [0], boxes=[np.array([[0.5, 0, 1, 1]])])
    full = Evaluator(looks_at_brightness, data).wsol(["gradcam"], geometry="full", metrics=["EnergyInBox", "MaxBoxAcc"])
    heat = looks_at_brightness.explain(data, "gradcam", [0]).heatmap()[0]
    scored = resize(heat[..., None], (20, 60))[..., 0]
    rows = full.table.set_index(["method", "metric"])["value"]
    assert rows["gradcam", "EnergyInBox"] == pytest.approx(scored[:, 30:].sum() / scored.sum())
    assert rows["whole image", "EnergyInBox"] == 0.5 and rows["gradcam", "MaxBoxAcc"] == 1


def test_cropped_geometry_cuts_images_boxes_and_masks_alike(tmp_path, looks_at_brightness):
    from PIL import Image

    from attribeval.benchmarks.wsol.geometry import see
    from attribeval.datasets.masks import ArrayMask

    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[8:24, 30:64] = 200  # cut by the centre square, columns 16 to 48
    object_ = pixels[..., 0] > 0
    for name in "ab":
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    boxes = [np.array([[30 / 64, 8 / 32, 1, 24 / 32]]), np.array([[0, 0, 0.2, 1]])]  # the second lies outside
    data = Samples([tmp_path / "a.png", tmp_path / "b.png"], [0, 0], boxes=boxes, masks=[ArrayMask(object_)] * 2)
    seen = see(looks_at_brightness, data, "cropped", "fixed")
    assert seen.items == [0] and seen.boxes[0].tolist() == [[14, 8, 32, 24]]
    np.testing.assert_array_equal(seen.images[0], pixels[:, 16:48])
    np.testing.assert_array_equal(seen.masks[0], object_[:, 16:48])
    np.testing.assert_allclose(crop_relative_boxes(boxes[0], (32, 64), 32) * 32, seen.boxes[0])
    result = Evaluator(looks_at_brightness, data).wsol(["gradcam"], geometry="cropped")
    assert result.settings["skipped"] == ["b"] and (result.table["images"] == 1).all()
    assert result.table.set_index(["method", "metric"]).loc[("gradcam", "MaxBoxAcc"), "value"] == 1


def test_saliency_metric_and_colour_model_are_scored_when_named(looks_at_brightness, bright):
    pytest.importorskip("cv2")
    data = Samples(bright.images[:12] * 100, bright.labels[:12], boxes=bright.boxes[:12])
    metrics = ["SaliencyMetric", "ColourModel"]
    result = Evaluator(looks_at_brightness, data).wsol(["gradcam"], metrics=metrics, targets="predicted")
    rows = result.table.set_index(["method", "metric"])["value"]
    output = looks_at_brightness.predict(data.images)
    # The whole image: the mean negative logarithm of the probability of the class in question.
    chance = np.exp(output - output.max(1, keepdims=True))  # the model ends in logits
    chance = (chance / chance.sum(1, keepdims=True)).max(1)
    assert rows["whole image", "SaliencyMetric"] == pytest.approx(-np.log(chance).mean(), rel=1e-5)
    assert rows["gradcam", "ColourModel"] == 1  # black and bright: any seed finds the rectangle
    assert ("whole image", "ColourModel") not in rows.index
    first = result.table[result.table["metric"] == "SaliencyMetric"]["value"]
    assert list(first) == sorted(first)  # lower is better
