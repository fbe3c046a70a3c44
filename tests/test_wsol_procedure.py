"""WSOL with a model: known answers, resumption, interruption, bad input."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from attribeval import AttribevalError, Attributer, Evaluator, Result
from attribeval.datasets import Samples


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
    rows = result.table.set_index("method")
    assert rows.loc["gradcam", "value"] == 1.0
    assert (rows.loc["gradcam", ["low", "high"]] == 1.0).all()
    # The box is the map's own bounding box at threshold 0; the whole image is right where it covers half of it.
    area = np.array([np.prod(b[0, 2:] - b[0, :2]) for b in bright.boxes])
    assert rows.loc["whole image", "value"] == np.mean(area >= 0.5)
    inner = (1 - np.sqrt(0.5)) / 2, (1 + np.sqrt(0.5)) / 2
    centred = []
    for ((x0, y0, x1, y1),), a in zip(bright.boxes, area, strict=True):
        shared = max(0, min(x1, inner[1]) - max(x0, inner[0])) * max(0, min(y1, inner[1]) - max(y0, inner[0]))
        centred.append(shared / (a + 0.5 - shared) >= 0.5)
    assert rows.loc["centred box", "value"] == np.mean(centred)
    assert list(result.table["value"]) == sorted(result.table["value"], reverse=True)
    assert dict(rows["kind"]) == {
        "gradcam": "method", "random": "control", "whole image": "baseline", "centred box": "baseline",
    }  # fmt: skip
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
    assert result.table.set_index("method").loc["gradient", "value"] == pytest.approx(best)


def test_accuracies(small_model, bright):
    result = Evaluator(Attributer(small_model), bright).wsol(["sobel"])
    output = small_model(bright.load()).numpy()
    order = np.argsort(-output, axis=1)
    assert result.settings["top1_accuracy"] == pytest.approx(np.mean(order[:, 0] == bright.labels))
    assert result.settings["top5_accuracy"] == pytest.approx(np.mean((order[:, :5] == bright.labels[:, None]).any(1)))


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chunk-0000000.npz", "chunk-0000032.npz", "settings.json"]
    resumed = evaluator.wsol(["gradcam", "random"], run_dir=tmp_path)
    assert explained == [32, 32, "killed", 6]  # the two finished chunks were not explained again
    for column in ("method", "value", "low", "high"):
        assert list(resumed.table[column]) == list(whole.table[column])
    with pytest.raises(AttribevalError, match="another run's folder"):
        evaluator.wsol(["gradcam"], run_dir=tmp_path)


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
    with pytest.raises(AttribevalError, match="'label' or 'predicted'"):
        evaluator.wsol(["sobel"], targets="both")
    with pytest.raises(AttribevalError, match="iou"):
        evaluator.wsol(["sobel"], iou=0)
    no_boxes = Samples(bright.images, bright.labels)
    with pytest.raises(AttribevalError, match="without any"):
        Evaluator(looks_at_brightness, no_boxes).wsol(["sobel"])
    some_boxes = [bright.boxes[0], np.zeros((0, 4)), bright.boxes[2]]
    one_without = Samples(bright.images[:3], bright.labels[:3], boxes=some_boxes)
    with pytest.raises(AttribevalError, match="none for 1 of 3: 1"):
        Evaluator(looks_at_brightness, one_without).wsol(["sobel"])
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
