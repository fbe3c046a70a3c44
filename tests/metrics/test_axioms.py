"""Completeness, non-sensitivity and symmetry: functions whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.common.fills import filled
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.metrics.axioms.completeness import Completeness, completeness
from attribeval.metrics.axioms.non_sensitivity import NonSensitivity, non_sensitivity
from attribeval.metrics.axioms.symmetry import FUNCTIONS, PAIR, SIDE, known_model, symmetry
from attribeval.metrics.subject import Explained, Subject

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(0, 9, size=(3, 8, 12, 2)).astype(np.float32)
TARGETS = np.array([1, 0, 1])
WEIGHTS = RNG.normal(size=(192, 2))


def linear(images):
    return np.asarray(images, np.float64).reshape(len(images), -1) @ WEIGHTS + 4


def subject(predict):
    return Subject(IMAGES, TARGETS, lambda x: (predict(x), predict(x)), image_seeds(IMAGES, 1))


def explained(values):
    return Explained(values, values.sum(-1), lambda *_: values)


# -------------------------------------------------------------------------------------------------- completeness


@pytest.mark.parametrize("baseline", ["black", "mean", (1.0, 2.0), "blur"])
def test_exact_attributions_are_complete_with_their_own_baseline_alone(baseline):
    exact = ((IMAGES - filled(IMAGES, baseline)).reshape(3, -1) * WEIGHTS.T[TARGETS]).reshape(IMAGES.shape)
    np.testing.assert_allclose(completeness(exact, IMAGES, linear, TARGETS, baseline=baseline), 0, atol=1e-5)
    np.testing.assert_allclose(
        completeness(exact.sum(-1) * 3, IMAGES, linear, TARGETS, baseline=baseline), 2, atol=1e-4
    )
    np.testing.assert_allclose(completeness(0 * exact, IMAGES, linear, TARGETS, baseline=baseline), 1)
    assert completeness(exact, IMAGES, linear, TARGETS, baseline=7.0).min() > 1e-3


def test_completeness_by_hand_and_where_it_is_undefined():
    image, maps = np.full((1, 2, 2, 1), 3.0), np.array([[[1.0, 2.0], [3.0, 4.0]]])

    def total(images):
        return images.reshape(len(images), -1).sum(1, keepdims=True)

    assert completeness(maps, image, total, np.array([0])) == pytest.approx([2 / 12])  # |10 − 12| / 12
    assert np.isnan(completeness(maps, image, total, np.array([0]), baseline=3.0)).all()
    with pytest.raises(AttribevalError, match="map 0"):
        completeness(maps * np.nan, image, total, np.array([0]))
    with pytest.raises(AttribevalError, match="baseline"):
        Completeness(baseline="white")


@pytest.mark.parametrize("baseline, passes", [("black", 1), ((1.0, 2.0), 1), ("mean", 3)])
def test_completeness_benchmark_asks_once_for_a_baseline_that_all_share(baseline, passes):
    seen, values = subject(linear), RNG.normal(size=IMAGES.shape)
    benchmark = Completeness(baseline=baseline)
    prepared = benchmark.prepare(seen)
    assert seen.passes == passes
    got = benchmark.score(seen, prepared, explained(values))
    assert seen.passes == passes + 3  # the images themselves
    np.testing.assert_allclose(got, completeness(values, IMAGES, linear, TARGETS, baseline=baseline))


# ----------------------------------------------------------------------------------------------- non-sensitivity


def left_half(images):
    return np.asarray(images, np.float64)[:, :, :6].reshape(len(images), -1) @ WEIGHTS[:96]


def test_maps_that_are_zero_exactly_where_nothing_happens_are_right():
    right = np.zeros((3, 8, 12))
    right[:, :, :6] = RNG.normal(size=(3, 8, 6))
    seeds, options = image_seeds(IMAGES, 2), {"grid": 4}
    assert (non_sensitivity(right, IMAGES, left_half, TARGETS, seeds=seeds, **options) == 0).all()
    assert (non_sensitivity(right[:, :, ::-1], IMAGES, left_half, TARGETS, **options) == 1).all()
    assert (non_sensitivity(np.ones((3, 8, 12)), IMAGES, left_half, TARGETS, **options) == 0.5).all()
    assert (non_sensitivity(np.zeros((3, 8, 12)), IMAGES, left_half, TARGETS, **options) == 0.5).all()
    right[1, :2, :3] = 0  # one of sixteen patches has an effect, and no attribution
    right[2, 6:, 9:] = -1e-3  # one has attribution, and no effect
    np.testing.assert_allclose(non_sensitivity(right, IMAGES, left_half, TARGETS, **options), [0, 1 / 16, 1 / 16])
    right[0, 0, 0] = 1e9  # all others are nothing beside it: 7 of 8 patches lack attribution
    np.testing.assert_allclose(non_sensitivity(right, IMAGES, left_half, TARGETS, **options)[0], 7 / 16)


def test_non_sensitivity_as_the_symmetric_difference_of_two_sets():
    """Nguyen & Martínez with the patches as features, on images of a model with blind and nearly blind spots."""
    masks = RNG.random((8, 12, 1)) < 0.02
    maps = np.where(RNG.random((3, 8, 12)) < 0.03, RNG.normal(size=(3, 8, 12)), 0)
    recorded = []

    def sparse(images):
        recorded.extend(images.copy())
        return np.stack([(images * masks).sum((1, 2, 3)), -(images * masks).sum((1, 2, 3))], 1).astype(np.float64)

    got = non_sensitivity(maps, IMAGES, sparse, TARGETS, grid=4, draws=3, clean=sparse(IMAGES)[np.arange(3), TARGETS])
    asked = np.array(recorded[3:]).reshape(3, 3, 16, 8, 12, 2)
    for i in range(3):
        without_effect, without_attribution = set(), set()
        for patch in range(16):
            rows, columns = slice(patch // 4 * 2, patch // 4 * 2 + 2), slice(patch % 4 * 3, patch % 4 * 3 + 3)
            for draw in range(3):
                changed = asked[i, draw, patch] != IMAGES[i]
                assert changed[rows, columns].all() and changed.sum() == 12
                assert asked[i, draw, patch].min() >= IMAGES[i].min() and asked[i, draw, patch].max() <= IMAGES[i].max()
            scores = sparse(asked[i, :, patch])[:, TARGETS[i]]
            if np.abs(scores - sparse(IMAGES[i : i + 1])[0, TARGETS[i]]).max() <= 1e-4:
                without_effect.add(patch)
            if np.abs(maps[i, rows, columns]).sum() == 0:
                without_attribution.add(patch)
        assert got[i] == pytest.approx(len(without_effect ^ without_attribution) / 16)
        assert 0 < len(without_effect) < 16


def test_non_sensitivity_benchmark_asks_in_prepare_alone_and_takes_uniform_images():
    seen, values = subject(left_half), RNG.normal(size=IMAGES.shape)
    benchmark = NonSensitivity(grid=4)
    prepared = benchmark.prepare(seen)
    assert seen.passes == 3 * (1 + 16)
    got = benchmark.score(seen, prepared, explained(values))
    assert seen.passes == 3 * 17
    np.testing.assert_allclose(got, non_sensitivity(values, IMAGES, left_half, TARGETS, grid=4, seeds=seen.seeds))
    uniform = np.full((1, 8, 12, 2), 5, np.float32)
    assert non_sensitivity(np.ones((1, 8, 12)), uniform, left_half, TARGETS[:1], grid=4) == [0.5]
    with pytest.raises(AttribevalError, match="map 0"):
        non_sensitivity(values * np.inf, IMAGES, left_half, TARGETS)
    for bad in ({"grid": 0}, {"draws": 0}, {"score_tolerance": 0}):
        with pytest.raises(AttribevalError):
            NonSensitivity(**bad)


# ------------------------------------------------------------------------------------------------------ symmetry


def test_known_functions_are_what_they_say():
    a, b = RNG.uniform(0, 1, size=(2, 50))
    for name, expected in {
        "sum": a + b, "max": np.maximum(a, b), "min": np.minimum(a, b), "excess": np.maximum(a + b - 0.5, 0)
    }.items():  # fmt: skip
        np.testing.assert_allclose(FUNCTIONS[name](a, b), expected, atol=1e-12)
        np.testing.assert_allclose(FUNCTIONS[name](b, a), expected, atol=1e-12)
        images = RNG.uniform(0, 1, size=(50, SIDE, SIDE, 1)).astype(np.float32)
        images[(slice(None), *PAIR[0])], images[(slice(None), *PAIR[1])] = a[:, None], b[:, None]
        logits = known_model(name)(images).numpy()
        np.testing.assert_allclose(logits, np.stack([expected, -expected], 1), atol=1e-6)
    with pytest.raises(AttribevalError, match="known function"):
        known_model("product")


def test_gradient_methods_are_symmetric_and_a_method_that_looks_at_places_is_not():
    from attribeval import Attributer

    def explain(method):
        return lambda model, images, targets: Attributer(model).explain(images, method, targets).values

    for method in ("gradient_x_input", "integrated_gradients"):
        gaps = symmetry(explain(method), images=3)
        assert list(gaps) == list(FUNCTIONS) and max(gaps.values()) < 1e-5
    assert min(symmetry(explain("random"), images=3).values()) > 0.01
    places = np.arange(36.0).reshape(1, 6, 6)
    gaps = symmetry(lambda model, images, targets: np.repeat(places, len(images), 0))
    assert gaps == {name: pytest.approx((27 - 7) / 35) for name in FUNCTIONS}  # pixel (4, 3) against pixel (1, 1)
    assert set(symmetry(lambda model, images, targets: np.zeros(images.shape)).values()) == {0}
    with pytest.raises(AttribevalError, match="map 0"):
        symmetry(lambda model, images, targets: np.full(images.shape, np.nan))
