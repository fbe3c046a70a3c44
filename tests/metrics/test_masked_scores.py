"""Average drop, increase and gain, IROF and sufficiency: by hand and against their definitions written again."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.average_drop import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    changes,
    confidence_change,
)
from attribeval.metrics.faithfulness.fills import filled
from attribeval.metrics.faithfulness.irof import Irof, irof, segment_labels
from attribeval.metrics.faithfulness.sufficiency import Sufficiency, sufficiency
from attribeval.metrics.subject import Explained, Subject

RNG = np.random.default_rng(7)
IMAGES = RNG.uniform(0, 255, (4, 8, 10, 3)).astype(np.float32)
MAPS = RNG.normal(size=(4, 8, 10))
TARGETS = np.array([1, 2, 0, 3])
SEEDS = RNG.integers(-(2**31), 2**31, (4, 2), dtype=np.int32)
WEIGHTS = RNG.normal(size=(240, 4))
LABELS = np.tile(np.arange(8)[:, None] // 3 * 2 + np.arange(10) // 5, (4, 1, 1))  # 6 segments


def logits(images):
    return np.tanh(images.reshape(len(images), -1) / 255 @ WEIGHTS / 3)


def softmax(images):
    powers = np.exp(logits(images))
    return powers / powers.sum(1, keepdims=True)


def subject_and_explained(maps=MAPS):
    subject = Subject(IMAGES, TARGETS, lambda images: (logits(images), softmax(images)), SEEDS)
    heat = maps.astype(np.float32)
    return subject, Explained(heat[..., None], heat, explain=None)


# --- average drop, increase, gain ------------------------------------------------------------------------------------


def test_changes_by_hand():
    found = changes(np.array([0.8, 0.5, 0.2, 0.0, 1.0, 0.5]), np.array([0.2, 0.5, 0.6, 0.3, 0.9, np.nan]))
    np.testing.assert_allclose(found.drop, [0.75, 0, 0, np.nan, 0.1, np.nan], rtol=1e-12)
    np.testing.assert_allclose(found.increase, [0, 0, 1, 1, 0, np.nan])
    np.testing.assert_allclose(found.gain, [0, 0, 0.5, 0.3, np.nan, np.nan], rtol=1e-12)


@pytest.mark.parametrize("fill", ["black", "mean"])
def test_confidence_change_written_again(fill):
    found = confidence_change(MAPS, IMAGES.astype(np.float64), softmax, TARGETS, SEEDS, fill=fill, batch_size=3)
    for i in range(4):
        scaled = (MAPS[i] - MAPS[i].min()) / (MAPS[i].max() - MAPS[i].min())
        hidden = filled(IMAGES[i : i + 1], fill, SEEDS[i : i + 1])[0]
        product = scaled[..., None] * IMAGES[i] + (1 - scaled[..., None]) * hidden
        p, o = softmax(IMAGES[i : i + 1])[0, TARGETS[i]], softmax(product[None])[0, TARGETS[i]]
        assert found.drop[i] == pytest.approx(max(0, p - o) / p, abs=1e-6)
        assert found.increase[i] == (o > p)
        assert found.gain[i] == pytest.approx(max(0, o - p) / (1 - p), abs=1e-6)


def test_a_mask_of_the_evidence_loses_nothing_and_its_reverse_everything():
    image = np.full((1, 2, 2, 1), 1.0)
    evidence = np.array([[[1.0, 0.0], [0.0, 1.0]]])

    def predict(images):
        return ((images[..., 0] * evidence).sum((1, 2)) * 0.25)[:, None]  # clean: 0.5

    given = image, predict, np.array([0]), SEEDS[:1]
    assert confidence_change(evidence, *given) == (0, 0, 0)
    assert confidence_change(1 - evidence, *given) == (1, 0, 0)


def test_confidence_change_does_not_see_scale_and_shift_and_a_constant_map_has_none():
    maps = MAPS.copy()
    maps[1] = 3.0
    asked = []

    def predict(images):
        asked.append(len(images))
        return softmax(images)

    found = confidence_change(maps, IMAGES, predict, TARGETS, SEEDS)
    assert np.isnan([column[1] for column in found]).all() and asked == [4, 3]
    again = confidence_change(5 * maps - 2, IMAGES, softmax, TARGETS, SEEDS)
    np.testing.assert_allclose(found, again, atol=1e-6)
    nothing = confidence_change(0 * maps, IMAGES, softmax, TARGETS, SEEDS)
    assert np.isnan(nothing).all()


def test_three_benchmarks_and_one_pass():
    subject, explained = subject_and_explained()
    found = [one().score(subject, None, explained) for one in (AverageDrop, AverageIncrease, AverageGain)]
    np.testing.assert_allclose(found, confidence_change(MAPS, IMAGES, softmax, TARGETS, SEEDS), atol=1e-5)
    assert subject.passes == 4 * (1 + 1)
    subject, explained = subject_and_explained(np.zeros_like(MAPS))
    assert np.isnan(AverageGain().score(subject, None, explained)).all() and subject.passes == 4


def test_bad_input_of_confidence_change():
    with pytest.raises(AttribevalError, match="probabilities"):
        confidence_change(MAPS, IMAGES, lambda images: 9 * logits(images), TARGETS, SEEDS)
    maps = MAPS.copy()
    maps[2, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="map 2"):
        confidence_change(maps, IMAGES, softmax, TARGETS, SEEDS)


# --- IROF ------------------------------------------------------------------------------------------------------------


def test_irof_of_a_linear_model_by_hand():
    image = np.ones((1, 2, 4, 1))
    contributions = np.array([[3.0, 3.0, 1.0, 0.0], [2.0, 2.0, 0.0, 1.0]])
    labels = np.array([[[0, 0, 1, 1], [2, 2, 1, 1]]])  # 6, 2 and 4; means 3, ½ and 2

    def predict(images):
        return (images[..., 0] * contributions).sum((1, 2))[:, None]

    given = image, predict, np.array([0]), SEEDS[:1]
    # what is left: 12, 6, 2, 0 of 12
    found = irof(contributions[None], *given, labels=labels, steps=None, fill="black")
    assert found == pytest.approx(1 - (0.5 * 1 + 0.5 + 1 / 6 + 0) / 3)
    # reversed: 12, 10, 6, 0
    found = irof(-contributions[None], *given, labels=labels, steps=None, fill="black")
    assert found == pytest.approx(1 - (0.5 * 1 + 10 / 12 + 0.5 + 0) / 3)


def slow_irof(i, labels, steps):
    """The definition: segments in the order of their means are removed and stay so."""
    means = [MAPS[i][labels == s].mean() for s in range(labels.max() + 1)]
    order = np.argsort(means)[::-1]
    image, removed = IMAGES[i].copy(), filled(IMAGES[i : i + 1], "mean", SEEDS[i : i + 1])[0]
    clean = softmax(IMAGES[i : i + 1])[0, TARGETS[i]]
    curve, done, shares = [], 0, []
    for step in range(steps + 1):
        until = round(step * len(order) / steps)
        for s in order[done:until]:
            image[labels == s] = removed[labels == s]
        done = until
        shares.append(until / len(order))
        curve.append(softmax(image[None])[0, TARGETS[i]] / clean)
    return 1 - sum((b - a) * (f + g) / 2 for a, b, f, g in zip(shares, shares[1:], curve, curve[1:], strict=False))


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_irof_written_again(steps):
    for batch_size in (3, 64):
        found = irof(MAPS, IMAGES, softmax, TARGETS, SEEDS, labels=LABELS, steps=steps, batch_size=batch_size)
        np.testing.assert_allclose(found, [slow_irof(i, LABELS[i], steps) for i in range(4)], rtol=1e-6)


def test_irof_of_images_with_different_numbers_of_segments():
    labels = LABELS.copy()
    labels[1] = LABELS[1] // 2  # 3 segments
    found = irof(MAPS, IMAGES, softmax, TARGETS, SEEDS, labels=labels, steps=None)
    np.testing.assert_allclose(found, [slow_irof(i, labels[i], (6, 3, 6, 6)[i]) for i in range(4)], rtol=1e-6)


def test_irof_with_superpixels_as_a_benchmark():
    subject, explained = subject_and_explained()
    benchmark = Irof(segments=6, steps=3)
    prepared = benchmark.prepare(subject)
    found = benchmark.score(subject, prepared, explained)
    np.testing.assert_array_equal(prepared, segment_labels(IMAGES, 6))
    wanted = irof(explained.heat, IMAGES, softmax, TARGETS, SEEDS, labels=prepared, steps=3)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    middle = sum(min(labels.max() + 1, 3) - 1 for labels in prepared)
    assert subject.passes == 4 + 4 + middle
    np.testing.assert_allclose(
        Irof(segments=6, steps=3, output="logit").score(subject, prepared, explained),
        irof(explained.heat, IMAGES, logits, TARGETS, SEEDS, labels=prepared, steps=3),
        rtol=1e-9,
    )
    assert subject.passes == 4 + 4 + middle


def test_irof_where_it_is_not_defined_and_of_bad_input():
    def nothing(images):
        return np.zeros((len(images), 4))

    assert np.isnan(irof(MAPS, IMAGES, nothing, TARGETS, SEEDS, labels=LABELS)).all()
    flat = irof(0 * MAPS, IMAGES, softmax, TARGETS, SEEDS, labels=LABELS, steps=3)
    assert np.isfinite(flat).all()  # a constant map: a random order
    assert (flat != irof(0 * MAPS, IMAGES, softmax, TARGETS, SEEDS[::-1].copy(), labels=LABELS, steps=3)).any()
    maps = MAPS.copy()
    maps[3, 0, 0] = np.inf
    with pytest.raises(AttribevalError, match="map 3"):
        irof(maps, IMAGES, softmax, TARGETS, SEEDS, labels=LABELS)
    for labels in (LABELS * 2, LABELS - 1):
        with pytest.raises(AttribevalError, match="without a gap"):
            irof(MAPS, IMAGES, softmax, TARGETS, SEEDS, labels=labels)


# --- sufficiency -----------------------------------------------------------------------------------------------------


def slow_sufficiency(maps, predicted, threshold):
    """Quantus' definition: |maps| over their maxima, standardised distances over the largest, self left out."""
    rows = [np.abs(one).ravel() / np.abs(one).max() for one in maps]
    n = len(rows)
    spread = np.var([*rows, *rows], axis=0, ddof=1)
    distance = [[np.sqrt((((a - b) ** 2) / spread).sum()) for b in rows] for a in rows]
    largest = max(map(max, distance))
    out = []
    for i in range(n):
        near = [j for j in range(n) if j != i and distance[i][j] / largest <= threshold]
        out.append(np.mean([predicted[j] == predicted[i] for j in near]) if near else np.nan)
    return out


@pytest.mark.parametrize("threshold", [0.2, 0.6, 0.8, 1.0])
def test_sufficiency_written_again(threshold):
    centres = RNG.normal(size=(3, 6, 5))
    maps = centres[np.arange(12) % 3] + 0.6 * RNG.normal(size=(12, 6, 5))
    predicted = np.array([0, 1, 2, 0, 1, 2, 0, 1, 1, 0, 2, 2])
    found = sufficiency(maps, predicted, threshold=threshold)
    np.testing.assert_allclose(found, slow_sufficiency(maps, predicted, threshold), rtol=1e-12)


def test_sufficiency_by_hand():
    maps = np.zeros((5, 2, 2))
    maps[:3, 0, 0], maps[3:, 1, 1] = [1, 2, -3], 1  # |map| over its maximum: two kinds
    assert sufficiency(maps, np.array([4, 4, 5, 6, 6])).tolist() == [0.5, 0.5, 0, 1, 1]
    assert sufficiency(maps[:4], np.array([4, 4, 5, 6])).tolist()[:3] == [0.5, 0.5, 0]
    assert np.isnan(sufficiency(maps[:4], np.array([4, 4, 5, 6]))[3])  # similar to no other
    assert np.isnan(sufficiency(maps[:1], np.array([4]))).all()
    assert sufficiency(np.zeros((3, 2, 2)), np.array([1, 1, 2])).tolist() == [0.5, 0.5, 0]  # constant maps are similar


def test_sufficiency_as_a_benchmark_and_of_bad_input():
    subject, explained = subject_and_explained()
    predicted = logits(IMAGES).argmax(1)
    found = Sufficiency(threshold=0.97).score(subject, None, explained)
    np.testing.assert_allclose(found, slow_sufficiency(explained.heat.astype(np.float64), predicted, 0.97), rtol=1e-6)
    assert subject.passes == 4
    maps = MAPS.copy()
    maps[0, 1, 1] = np.nan
    with pytest.raises(AttribevalError, match="map 0"):
        sufficiency(maps, predicted)
    with pytest.raises(AttribevalError, match="predicted class per map"):
        sufficiency(MAPS, predicted[:2])
    with pytest.raises(AttribevalError, match="threshold"):
        Sufficiency(threshold=0)
