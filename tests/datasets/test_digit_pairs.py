"""Pairs of embedded scenes against the scenes that they are made of, and the two nets that ship for them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from attribeval import Attributer, scores
from attribeval.datasets import digit_pairs, digit_scenes
from attribeval.errors import AttribevalError
from attribeval.models import zoo

NETS = Path(zoo.__file__).parent / "digit_nets"


@pytest.fixture(scope="module")
def split():
    return digit_scenes(n_train=1, n_test=101).test


@pytest.fixture(scope="module")
def pairs(split):
    return digit_pairs(split)


def test_each_half_is_its_scene(split, pairs):
    kept = [i for i in range(0, 100, 2) if split.objects[i] != split.objects[i + 1]]
    assert len(pairs) == len(kept) < 50
    for k, i in enumerate(kept):
        for side, scene in enumerate((i, i + 1)):
            half = np.s_[:, 64 * side : 64 * (side + 1)]
            np.testing.assert_array_equal(pairs.images[k][half], split.images[scene])
            np.testing.assert_array_equal(pairs.masks[k, side][half], split.masks[scene])
            assert pairs.masks[k, side].sum() == split.masks[scene].sum()
            rows, columns = (np.flatnonzero(pairs.masks[k, side].any(axis)) for axis in (1, 0))
            assert pairs.boxes[k, side].tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert pairs.objects[k, side] == split.objects[scene]
            assert set(pairs.pixels[k][half].ravel().tolist()) == {10, split.objects[scene]}
            np.testing.assert_array_equal(pairs.pixels[k][half] != 10, split.masks[scene])


def test_samples_ask_about_each_digit(pairs):
    samples = pairs.samples()
    assert len(samples) == 2 * len(pairs) and samples.ids[:2] == ["test_00000_left", "test_00000_right"]
    for item in range(6):
        pair, side = divmod(item, 2)
        np.testing.assert_array_equal(samples.images[item], pairs.images[pair])
        np.testing.assert_array_equal(samples.masks[item], pairs.masks[pair, side])
        assert samples.labels[item] == pairs.objects[pair, side]
        np.testing.assert_allclose(samples.boxes[item] * [128, 64, 128, 64], pairs.boxes[pair, side][None])


def test_no_pair_is_refused(split):
    alike = type(split)(**{**vars(split), "objects": np.zeros_like(split.objects)})
    with pytest.raises(AttribevalError, match="neighbours of different digits"):
        digit_pairs(alike)


@pytest.mark.parametrize("name", zoo.PAIRS)
def test_shipped_nets_are_small_and_say_nothing_that_keras_3_10_refuses(name):
    path = NETS / f"{name}.keras"
    assert path.stat().st_size < 220_000
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    for key in ("input_axes", "output_axes", "renorm", "quantization_config"):
        assert key not in config


def test_the_segmenter_finds_the_digits(pairs):
    model = keras.models.load_model(NETS / "digit_segmenter.keras", compile=False, safe_mode=True)
    found = model.predict(pairs.images, verbose=0)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    found, true = found.argmax(-1), pairs.pixels
    iou = [((found == k) & (true == k)).sum() / ((found == k) | (true == k)).sum() for k in range(11)]
    assert np.mean(iou[:10]) > 0.75 and iou[10] > 0.95


def test_the_detector_finds_the_digits(pairs):
    model = keras.models.load_model(NETS / "digit_detector.keras", compile=False, safe_mode=True)
    outputs = model.predict(np.repeat(pairs.images, 2, 0), verbose=0)
    found = scores.most_certain(outputs, pairs.objects.ravel())
    true = pairs.boxes.reshape(-1, 4) / [128, 64, 128, 64]
    low, high = np.maximum(found.boxes[:, :2], true[:, :2]), np.minimum(found.boxes[:, 2:], true[:, 2:])
    both = np.maximum(high - low, 0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (found.boxes, true)]
    iou = both / (sum(areas) - both)
    assert (iou > 0.5).mean() > 0.9 and iou.mean() > 0.75


def test_a_score_for_one_digit_does_not_light_up_on_the_other(pairs):
    """Of each digit's Grad-CAM at least three quarters of what lies on the digits lies on its own, for both nets."""
    samples = pairs.samples()[:8]
    box = scores.detection(np.concatenate(samples.boxes), samples.labels)
    for one, targets in [
        (Attributer("digit_segmenter", score=scores.segmentation()), samples.labels),
        (Attributer("digit_detector", score=box), np.arange(8)),
    ]:
        maps = one.explain(samples.images, "gradcam", targets, progress=False).values[..., 0]
        own = (maps * samples.masks).sum((1, 2))
        other = (maps * samples.masks.reshape(4, 2, 64, 128)[:, ::-1].reshape(8, 64, 128)).sum((1, 2))
        assert np.mean(own / (own + other)) > 0.75
