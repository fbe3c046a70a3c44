"""Robustness: brute force on explanations that are known functions of the image, and the definitions written slowly."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.common.seeds import normal
from attribeval.errors import AttribevalError
from attribeval.metrics.robustness.average_sensitivity import AverageSensitivity, average_sensitivity
from attribeval.metrics.robustness.input_invariance import InputInvariance, ShiftedClassifier, input_invariance
from attribeval.metrics.robustness.local_lipschitz import LocalLipschitz, local_lipschitz
from attribeval.metrics.robustness.max_sensitivity import MaxSensitivity, max_sensitivity
from attribeval.metrics.robustness.neighbourhood import draw_neighbours
from attribeval.metrics.robustness.relative_input_stability import RelativeInputStability, relative_input_stability
from attribeval.metrics.robustness.relative_output_stability import (
    RelativeOutputStability,
    relative_output_stability,
)
from attribeval.metrics.subject import Explained, Subject

SHAPE = (4, 5, 2)
WEIGHTS = np.random.default_rng(3).normal(size=(3, *SHAPE)).astype(np.float32)  # a linear model's, by class
GAIN = np.random.default_rng(4).normal(size=(40, 40)).astype(np.float32)
ALL = [MaxSensitivity, AverageSensitivity, LocalLipschitz, RelativeInputStability, RelativeOutputStability]


def linear(images, targets, seeds):
    """An explanation that is a linear function of the image."""
    return (images.reshape(len(images), -1) @ GAIN.T).reshape(images.shape)


def gradient(images, targets, seeds):
    return WEIGHTS[targets]


def smooth(images, targets, seeds):
    """Sampling noise alone: it depends on the seeds and on nothing else."""
    return normal(seeds, np.zeros_like(images), np.ones(len(images)))


def subject(n=4, answer=None):
    images = np.random.default_rng(5).uniform(-3, 9, (n, *SHAPE)).astype(np.float32)
    seeds = np.random.default_rng(6).integers(-(2**31), 2**31, (n, 2)).astype(np.int32)
    answer = answer or (lambda x: (np.tensordot(x, WEIGHTS, ([1, 2, 3], [1, 2, 3])),) * 2)
    of = Subject(images, np.zeros(n, int), answer, seeds)
    of.targets = of.logits.argmax(1)
    return of


class Counting:
    def __init__(self, explain):
        self.explain, self.calls = explain, []

    def __call__(self, images, targets, seeds):
        self.calls.append(len(images))
        return self.explain(images, targets, seeds)


def explained(explain, of):
    values = explain(of.images, of.targets, of.seeds)
    return Explained(values, np.abs(values).sum(-1), explain)


def run(benchmark, explain, of=None):
    of = of or subject()
    return benchmark.score(of, benchmark.prepare(of), explained(explain, of))


# -- neighbours --------------------------------------------------------------------------------------------------------


def test_neighbours_fill_the_ball_and_belong_to_their_image():
    images = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    seeds = np.arange(6, dtype=np.int32).reshape(3, 2)
    neighbours = draw_neighbours(images, seeds, 0.1, 5)
    shares = (neighbours - images[:, None]) / (0.1 * np.ptp(images.reshape(3, -1), axis=1).reshape(3, 1, 1, 1, 1))
    assert 0.99 < np.abs(shares).max() < 1 + 1e-5
    assert abs(shares.mean()) < 0.03 and shares.var() == pytest.approx(1 / 3, abs=0.02)  # uniform on −1..1
    flat = shares.reshape(15, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(15)).max() < 0.2  # every one another
    np.testing.assert_array_equal(draw_neighbours(images[1:], seeds[1:], 0.1, 5), neighbours[1:])
    np.testing.assert_array_equal(draw_neighbours(images, seeds, 0.1, 2), neighbours[:, :2])
    assert neighbours.dtype == draw_neighbours(images.astype(np.float64), seeds).dtype == np.float32


# -- sensitivities -----------------------------------------------------------------------------------------------------


def brute_force(of, radius=0.02, samples=4):
    """‖φ(x + δ) − φ(x)‖ and ‖δ‖ of a linear explanation, one neighbour at a time: φ(x + δ) − φ(x) = G δ."""
    neighbours = draw_neighbours(of.images, of.seeds, radius, samples)
    deltas = [[(n - x).astype(np.float64).ravel() for n in near] for x, near in zip(of.images, neighbours, strict=True)]
    changes = [[np.sqrt(((GAIN @ d) ** 2).sum()) for d in row] for row in deltas]
    sizes = [np.sqrt(((GAIN @ x.ravel()) ** 2).sum()) for x in of.images]
    return np.array(changes), np.array(sizes), np.array([[np.sqrt((d**2).sum()) for d in row] for row in deltas])


def test_linear_explanation_by_brute_force():
    of = subject()
    changes, sizes, steps = brute_force(of)
    np.testing.assert_allclose(run(MaxSensitivity(), linear, of), changes.max(1) / sizes, rtol=1e-4)
    np.testing.assert_allclose(run(AverageSensitivity(), linear, of), changes.mean(1) / sizes, rtol=1e-4)
    slopes = (changes / steps).max(1)
    np.testing.assert_allclose(run(LocalLipschitz(relative=False), linear, of), slopes, rtol=1e-4)
    ranges = np.ptp(of.images.reshape(4, -1), axis=1)
    rms = steps / np.sqrt(40) / ranges[:, None]
    expected = ((changes / sizes[:, None]) / rms).max(1)
    np.testing.assert_allclose(run(LocalLipschitz(), linear, of), expected, rtol=1e-4)


def test_lipschitz_is_the_gain_in_a_known_direction():
    # φ = diag(2, 7, 0, …) x: along each axis the slope is that entry, along the diagonal of two their root mean square.
    gains = np.zeros((1, 2, 3, 1))
    gains[0, 0, :2, 0] = 2, 7
    x = np.ones((1, 2, 3, 1))
    steps = np.zeros((3, 2, 3, 1))
    steps[0, 0, 0] = steps[1, 0, 1] = steps[2, 0, :2] = 0.25
    near = x[:, None] + steps[None]
    for chosen, slope in [([0], 2), ([1], 7), ([2], np.sqrt((4 + 49) / 2)), ([0, 1, 2], 7)]:
        part = near[:, chosen]
        assert local_lipschitz(gains * x, gains * part, x, part)[0] == pytest.approx(slope)


def test_a_linear_models_gradient_does_not_change_and_sampling_noise_does_not_count():
    for cls in ALL:
        np.testing.assert_array_equal(run(cls(), gradient), 0)
        np.testing.assert_array_equal(run(cls(), smooth), 0)


def test_sensitivity_does_not_depend_on_the_maps_unit():
    maps = np.random.default_rng(0).normal(size=(2, 3, 3))
    near = np.random.default_rng(1).normal(size=(2, 4, 3, 3))
    for metric in (max_sensitivity, average_sensitivity):
        np.testing.assert_allclose(metric(1e6 * maps, 1e6 * near), metric(maps, near))
        np.testing.assert_allclose(metric(maps.astype(np.float32), near), metric(maps, near), rtol=1e-5)
        assert metric(maps[:1], near[:1]) == metric(maps, near)[:1]
    assert (max_sensitivity(maps, near) >= average_sensitivity(maps, near)).all()
    np.testing.assert_allclose(max_sensitivity(maps, np.stack([-maps, 0 * maps], 1)), 2)
    np.testing.assert_allclose(average_sensitivity(maps, np.stack([-maps, 0 * maps], 1)), 1.5)


# -- relative stabilities ----------------------------------------------------------------------------------------------


def slow_norm(values):
    return sum(v * v for v in values) ** 0.5


def slow_change(clean, other, floor):
    largest = max(abs(v) for v in clean.ravel())
    return slow_norm((b - a) / max(abs(a), floor * largest) for a, b in zip(clean.ravel(), other.ravel(), strict=True))


def test_relative_stabilities_written_again_slowly():
    rng = np.random.default_rng(0)
    maps, near = rng.normal(size=(3, 2, 3)), rng.normal(size=(3, 4, 2, 3))
    maps[0, 0, 0] = 0
    images, neighbours = rng.normal(size=(3, 2, 3, 1)), rng.normal(size=(3, 4, 2, 3, 1))
    logits, near_logits = rng.normal(size=(3, 5)), rng.normal(size=(3, 4, 5))
    near_logits[0, 1:3] = logits[0] + [[1e-9], [2.0]]  # next to no change, and one of √5 · 2
    kept = near_logits.argmax(-1) == logits.argmax(-1)[:, None]
    assert not kept.all() and kept.any(1)[0]
    ris = relative_input_stability(maps, near, images, neighbours, kept, floor=0.05)
    ros = relative_output_stability(maps, near, logits, near_logits, floor=0.05)
    for i in range(3):
        inputs, outputs = [], []
        for s in range(4):
            if kept[i, s]:
                change = slow_change(maps[i], near[i, s], 0.05)
                inputs.append(change / max(slow_change(images[i], neighbours[i, s], 0.05), 1e-6))
                outputs.append(change / max(slow_norm(near_logits[i, s] - logits[i]), 1e-6))
        assert ris[i] == pytest.approx(max(inputs)) if inputs else np.isnan(ris[i])
        assert ros[i] == pytest.approx(max(outputs)) if outputs else np.isnan(ros[i])


def test_quantus_formula_is_ours_where_nothing_is_near_zero():
    rng = np.random.default_rng(0)
    maps, images = rng.uniform(1, 2, (2, 3, 3)), rng.uniform(1, 2, (2, 3, 3, 1))
    near, neighbours = rng.uniform(1, 2, (2, 4, 3, 3)), rng.uniform(1, 2, (2, 4, 3, 3, 1))
    above = np.linalg.norm(((maps[:, None] - near) / maps[:, None]).reshape(2, 4, -1), axis=-1)
    below = np.linalg.norm(((images[:, None] - neighbours) / images[:, None]).reshape(2, 4, -1), axis=-1)
    ris = relative_input_stability(maps, near, images, neighbours, np.ones((2, 4), bool))
    np.testing.assert_allclose(ris, (above / below).max(1))


def test_neighbours_of_another_class_are_left_out():
    of = subject()
    of.share(("logits of neighbours", 0.02, 4, 25), lambda: np.repeat(of.logits[:, None], 4, 1))
    near = of.share(("logits of neighbours", 0.02, 4, 25), None)
    near[1, :, :] = -near[1]  # none keeps the class
    near[2, 1:] = -near[2, 1:]
    for cls in (RelativeInputStability, RelativeOutputStability):
        assert np.isnan(run(cls(), linear, of)).tolist() == [False, True, False, False]
    kept = np.array([[True, False, False, False]])
    benchmark = RelativeInputStability()
    item = explained(linear, of)
    maps, neighbours = benchmark.maps(of, item), benchmark.prepare(of)
    alone = relative_input_stability(item.values[2:3], maps[2:3, :1], of.images[2:3], neighbours[2:3, :1], kept[:, :1])
    assert benchmark.score(of, neighbours, item)[2] == alone[0]


# -- what they share ---------------------------------------------------------------------------------------------------


def test_five_benchmarks_cost_one_call_per_method_and_one_question_of_the_model():
    of = subject(6)
    counting = Counting(linear)
    item = explained(counting, of)
    for cls in ALL:
        benchmark = cls(images=3)
        scores = benchmark.score(of, benchmark.prepare(of), item)
        assert np.isnan(scores).tolist() == [False] * 3 + [True] * 3
        assert scores.dtype == np.float64
    assert counting.calls == [6, 12]
    assert of.passes == 6 + 12
    again = explained(linear, of)
    for cls in ALL:
        benchmark = cls(images=3)
        benchmark.score(of, benchmark.prepare(of), again)
    assert of.passes == 6 + 12


def test_an_image_is_judged_as_if_it_were_alone():
    of = subject()
    alone = Subject(of.images[1:2], of.targets[1:2], of.answer, of.seeds[1:2])
    for cls in ALL:
        np.testing.assert_allclose(run(cls(), linear, alone), run(cls(), linear, of)[1:2], rtol=1e-4)


def test_maps_of_zeros_and_images_of_one_value_are_nan():
    of = subject()
    of.images[0] = 7
    of.images[2] = 0
    for cls in ALL:
        scores = run(cls(), linear, of)
        assert np.isnan(scores).tolist() == [True, False, True, False]
    for cls in ALL:
        assert np.isnan(run(cls(), lambda images, targets, seeds: 0 * images, of)).all()
    blank = np.zeros((1, 2, 2))
    assert np.isnan(max_sensitivity(blank, np.ones((1, 3, 2, 2))))
    assert np.isnan(average_sensitivity(blank, np.zeros((1, 3, 2, 2))))


def test_constant_maps_are_robust():
    constant = lambda images, targets, seeds: np.ones((*images.shape[:3], 1), np.float32)  # noqa: E731
    for cls in ALL:
        np.testing.assert_array_equal(run(cls(), constant), 0)


def test_bad_input_names_the_image_and_the_neighbour():
    maps, near = np.ones((2, 3, 3)), np.ones((2, 4, 3, 3))
    images, neighbours = np.ones((2, 3, 3, 1)), np.ones((2, 4, 3, 3, 1))
    kept, logits, near_logits = np.ones((2, 4), bool), np.ones((2, 3)), np.ones((2, 4, 3))
    metrics = [
        max_sensitivity,
        average_sensitivity,
        lambda a, b: local_lipschitz(a, b, images, neighbours),
        lambda a, b: relative_input_stability(a, b, images, neighbours, kept),
        lambda a, b: relative_output_stability(a, b, logits, near_logits),
    ]
    broken, other = maps.copy(), near.copy()
    broken[1, 0, 0], other[1, 2, 0, 0] = np.nan, np.inf
    for metric in metrics:
        with pytest.raises(AttribevalError, match="map 1"):
            metric(broken, near)
        with pytest.raises(AttribevalError, match="neighbour 2 of image 1"):
            metric(maps, other)
        with pytest.raises(AttribevalError, match="maps of neighbours"):
            metric(maps, near[:, 0])
    with pytest.raises(AttribevalError, match="N, S"):
        local_lipschitz(maps, near, images, neighbours[:, :2])
    with pytest.raises(AttribevalError, match="N, S"):
        relative_output_stability(maps, near, logits, near_logits[:, :2])
    with pytest.raises(AttribevalError, match="kept"):
        relative_input_stability(maps, near, images, neighbours, kept.astype(int))
    with pytest.raises(AttribevalError, match="two maps"):
        input_invariance(maps, maps[:1])


@pytest.mark.parametrize("cls", ALL)
def test_options_are_checked(cls):
    for wrong in ({"radius": 0}, {"samples": 0}, {"images": 1.5}):
        with pytest.raises(AttribevalError, match=next(iter(wrong))):
            cls(**wrong)
    assert cls.card.family == "robustness" and cls.card.needs == ("explain",)


def test_other_options_are_checked():
    with pytest.raises(AttribevalError, match="relative"):
        LocalLipschitz(relative=1)
    with pytest.raises(AttribevalError, match="floor"):
        RelativeInputStability(floor=0)
    for shift in (0, np.inf, "1", True):
        with pytest.raises(AttribevalError, match="shift"):
            InputInvariance(shift=shift)


# -- input invariance --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="random_normal", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def subject_of(classifier, images):
    """A subject and, by a method's name, its maps, as the leaderboard makes them."""
    import tensorflow as tf

    from attribeval.methods.batch import Batch
    from attribeval.methods.registry import build_method

    seeds = np.arange(2 * len(images), dtype=np.int32).reshape(-1, 2)
    of = Subject(images, np.arange(len(images)) % 3, None, seeds, classifier=classifier)

    def maps_by(name):
        method = build_method(name)

        def explain_with(classifier, images, targets, seeds):
            batch = Batch(classifier, classifier.prepare(images), images, tf.constant(targets, tf.int32), seeds, 8)
            maps = np.asarray(method.attribute(batch))
            return maps if method.card.raw else classifier.restore_channels(maps)

        values = explain_with(classifier, of.images, of.targets, of.seeds)
        return Explained(values, np.abs(values).sum(-1), explain=None, explain_with=explain_with)

    return of, maps_by


@pytest.mark.parametrize("preprocess", [None, "caffe", "torch", lambda x: x / 100])
def test_gradients_are_invariant_and_fixed_reference_points_are_not(tiny, preprocess):
    from attribeval.models.classifier import Classifier

    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.float32)
    images = images / 255 if preprocess is None else images
    classifier = Classifier(tiny, preprocess=preprocess)
    before = [w.copy() for w in tiny.get_weights()]
    of, maps_by = subject_of(classifier, images)
    benchmark = InputInvariance(images=2)
    second, shown = prepared = benchmark.prepare(of)

    x, z = classifier.prepare(images[:2]).numpy(), second.prepare(shown).numpy()
    c = -float(np.ptp(x))
    np.testing.assert_allclose(z, x + c, rtol=1e-5, atol=1e-5 * abs(c))
    for ours, theirs in zip(second.forward(z), classifier.forward(x), strict=True):  # f₂(x + c) = f(x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert second.target_layer.endswith(classifier.target_layer)

    scores = {
        name: benchmark.score(of, prepared, maps_by(name)) for name in ("gradient", "gradient_x_input", "gradcam")
    }
    assert all(np.isnan(values[2]) for values in scores.values())
    assert scores["gradient"][:2].max() < 1e-3
    assert scores["gradcam"][:2].max() < 1e-3
    assert scores["gradient_x_input"][:2].min() > 0.1
    # For input × gradient it is known: φ₂ − φ = c · gradient.
    gradients, products = maps_by("gradient").values[:2], maps_by("gradient_x_input").values[:2]
    expected = np.abs(c) * np.sqrt((gradients**2).sum((1, 2, 3)) / (products**2).sum((1, 2, 3)))
    np.testing.assert_allclose(scores["gradient_x_input"][:2], expected, rtol=1e-3)
    for old, new in zip(before, tiny.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_constant_preprocessing_can_be_shifted_and_needs_are_said(tiny):
    from attribeval.models.classifier import Classifier

    classifier = Classifier(tiny)
    assert ShiftedClassifier(classifier).shift_by(2.0).preprocess is None
    images = np.ones((2, 8, 8, 3), np.float32)
    of, maps_by = subject_of(classifier, images)
    with pytest.raises(AttribevalError, match="range"):
        InputInvariance().prepare(of)
    images[:, 0] = 0
    with pytest.raises(AttribevalError, match="explain_with"):
        item = maps_by("gradient")
        item.explain_with = None
        InputInvariance().score(of, InputInvariance().prepare(of), item)
    of.classifier = None
    with pytest.raises(AttribevalError, match="without a classifier"):
        InputInvariance().prepare(of)


@pytest.mark.parametrize("preprocess", [None, "caffe", lambda x: x / 100])
def test_methods_are_compiled_once_whatever_the_chunks_and_the_shifts(tiny, preprocess, monkeypatch):
    from attribeval.models.classifier import Classifier
    from attribeval.models.functions import Functions

    built = []
    build = Functions._built
    monkeypatch.setattr(Functions, "_built", lambda self, *given: built.append(given) or build(self, *given))
    classifier = Classifier(tiny, preprocess=preprocess)
    rng = np.random.default_rng(0)
    chunks = [scale * rng.random((2, 8, 8, 3)).astype(np.float32) for scale in (1, 40, 255)]
    subjects = [subject_of(classifier, images) for images in chunks]
    names = "gradient_x_input", "integrated_gradients", "rise", "lrp", "gradcam"

    def scores(benchmark, of, maps_by):
        prepared = benchmark.prepare(of)
        return {name: benchmark.score(of, prepared, maps_by(name)) for name in names}

    first = scores(InputInvariance(), *subjects[0])
    once = len(built)
    for of, maps_by in subjects[1:]:
        scores(InputInvariance(shift=0.5), of, maps_by)
    assert len(built) == once

    # Each chunk has its own shift, also where others are prepared meanwhile.
    benchmarks = [InputInvariance(shift=shift) for shift in (-1.0, 0.5, 2.0)]
    prepared = [benchmark.prepare(of) for benchmark, (of, _) in zip(benchmarks, subjects, strict=True)]
    assert len({id(second) for second, _ in prepared}) == 1
    for benchmark, (of, maps_by), given in zip(benchmarks, subjects, prepared, strict=True):
        gradients, products = maps_by("gradient").values, maps_by("gradient_x_input").values
        c = benchmark.shift * float(np.ptp(classifier.prepare(of.images)))
        expected = np.abs(c) * np.sqrt((gradients**2).sum((1, 2, 3)) / (products**2).sum((1, 2, 3)))
        found = benchmark.score(of, given, maps_by("gradient_x_input"))
        np.testing.assert_allclose(found, expected, rtol=5e-3)
    again = scores(benchmarks[0], *subjects[0])
    for name in names:
        np.testing.assert_array_equal(again[name], first[name])


def test_to_every_method_a_variable_is_subtracted_as_a_constant_is(tiny):
    import keras
    from helpers.contract import NAMES, TOLERANCE

    from attribeval import Attributer
    from attribeval.models.classifier import Classifier

    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    inputs = keras.Input((8, 8, 3))
    constant = Attributer(Classifier(keras.Model(inputs, tiny(inputs - np.float32(0.75)))))
    variable = Attributer(ShiftedClassifier(Classifier(tiny)).shift_by(0.75))
    for name in NAMES:
        wanted, found = (one.explain(images, name, [2, 0], seed=1).values for one in (constant, variable))
        tolerance = TOLERANCE.get(name.partition("(")[0], 1e-5) * np.abs(wanted).max()
        np.testing.assert_allclose(found, wanted, atol=tolerance, err_msg=name)


def test_input_invariance_by_hand():
    maps = np.array([[[3.0, 4.0]], [[0.0, 0.0]]])
    other = np.array([[[3.0, 1.0]], [[1.0, 0.0]]])
    scores = input_invariance(maps, other)
    assert scores[0] == 3 / 5 and np.isnan(scores[1])
