"""Integrated gradients against the known integral, and its baselines."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from helpers.known import CLASSES, SHAPE, Known, Polynomial, close, known_known, known_x  # noqa: F401
from scipy.ndimage import gaussian_filter

from attribeval import Attributer
from attribeval.common.seeds import image_seeds

RULES = ["left", "right", "midpoint", "trapezoid", "gauss_legendre"]


def sum_by_rule(function, rule, n):
    """The rule as printed in a textbook, one point after another."""
    if rule == "left":
        return sum(function(k / n) for k in range(n)) / n
    if rule == "right":
        return sum(function(k / n) for k in range(1, n + 1)) / n
    if rule == "midpoint":
        return sum(function((2 * k + 1) / (2 * n)) for k in range(n)) / n
    if rule == "trapezoid":
        return sum((function(k / (n - 1)) + function((k + 1) / (n - 1))) / 2 for k in range(n - 1)) / (n - 1)
    raise NotImplementedError(rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 5, 25])
def test_integrated_gradients_against_the_known_integral(known, x, rule, steps):
    start = np.random.default_rng(2).normal(size=SHAPE).astype("float32")
    maps = Attributer(known.model, batch_size=3).explain(
        x, "integrated_gradients", 1, steps=steps, rule=rule, baseline=start
    )
    for i, image in enumerate(x):
        exact = known.integrated(image, start, 1)
        if rule == "gauss_legendre":  # two points are exact for a gradient of degree 2
            close(maps.values[i], exact)
        else:
            mean = sum_by_rule(lambda a, image=image: known.gradient(start + a * (image - start), 1), rule, steps)
            close(maps.values[i], mean * (image - start))
            way = (image - start).astype(np.float64)
            curvature = way * 6 * known.cubic[1].reshape(SHAPE) * way**2  # second derivative of the integrand
            if rule == "midpoint":
                close(maps.values[i] - exact, -curvature / (24 * steps**2), 1e-4 * steps)
            if rule == "trapezoid":
                close(maps.values[i] - exact, curvature / (12 * (steps - 1) ** 2), 1e-4 * steps)
        difference = known.score(image, 1) - known.score(start, 1)
        expected_gap = maps.values[i].astype(np.float64).sum() - difference
        assert abs(maps.completeness_gap[i] - expected_gap) < 1e-5 * max(1, abs(difference))
        assert abs(exact.sum() - difference) < 1e-9 * max(1, abs(difference))
    if rule == "gauss_legendre":
        assert np.abs(maps.completeness_gap).max() < 1e-5 * np.abs(maps.values).sum((1, 2, 3)).max()


def test_more_steps_close_the_gap_on_a_relu_network(small_model, images):
    attributer = Attributer(small_model)
    gaps = {n: np.abs(attributer.explain(images, "IG", steps=n).completeness_gap).mean() for n in (5, 50, 500)}
    assert gaps[500] < gaps[50] < gaps[5]
    scores = attributer.classifier.forward(images)[0].numpy()
    assert gaps[500] < 1e-3 * np.abs(scores - attributer.classifier.forward(0 * images)[0].numpy()).max(1).mean()


def ig_from(known, image, start, k=2):
    return known.integrated(image, start, k)


def explain_ig(attributer, x, baseline):
    return attributer.explain(x, "IG", 2, baseline=baseline, rule="gauss_legendre", steps=3)


def test_baselines_without_preprocessing(known, x):
    attributer = Attributer(known.model)
    for i, image in enumerate(x):
        colour = image.astype(np.float64).mean((0, 1))
        for name, start in {
            "black": np.zeros(SHAPE),
            "mean": np.broadcast_to(colour, SHAPE),
            "blur": gaussian_filter(image.astype(np.float64), (0.4, 0.4, 0), mode="reflect"),
            0.5: np.full(SHAPE, 0.5),
            (0.1, 0.2, 0.3): np.broadcast_to([0.1, 0.2, 0.3], SHAPE),
        }.items():
            close(explain_ig(attributer, x, name).values[i], ig_from(known, image, start), 1e-4)


@pytest.mark.parametrize("convention", ["caffe", "tf", "torch"])
def test_black_is_black_in_raw_pixels_whatever_the_convention(known, convention):
    from attribeval.models.preprocessing import NAMES

    raw = np.random.default_rng(3).uniform(0, 255, size=(2, *SHAPE)).astype("float32")
    prepare = NAMES[convention]
    attributer = Attributer(known.model, preprocess=convention)
    grey = np.full(SHAPE, 100, np.float32)
    for baseline, start in (
        ("black", np.zeros(SHAPE)),
        (grey, grey),
        ("mean", np.broadcast_to(raw[0].mean((0, 1)), SHAPE)),
        ("blur", gaussian_filter(raw[0].astype(np.float64), (0.4, 0.4, 0), mode="reflect")),
    ):
        expected = ig_from(known, prepare(raw[0]), prepare(start.astype(np.float32)))
        expected = expected[..., ::-1] if convention == "caffe" else expected  # back to RGB, as the image came
        close(explain_ig(attributer, raw, baseline).values[0], expected, 1e-4)


def test_random_baseline_is_drawn_within_the_image_per_image_and_seed(known, x):
    from attribeval.methods.baselines import baseline_input
    from attribeval.methods.batch import Batch
    from attribeval.models.classifier import Classifier

    classifier = Classifier(known.model)
    batch = Batch(classifier, tf.constant(x), x, tf.zeros(4, tf.int32), image_seeds(x, 0), 8)
    start = baseline_input(batch, "random").numpy()
    least, greatest = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    assert (start >= least).all() and (start < greatest).all()
    assert len(np.unique((start - least) / (greatest - least))) == start.size
    attributer = Attributer(known.model)
    maps = explain_ig(attributer, x, "random")
    for i in range(4):
        close(maps.values[i], ig_from(known, x[i], start[i]), 1e-4)
    again = attributer.explain(x[2:], "IG", 2, baseline="random", rule="gauss_legendre", steps=3, seed=1).values
    assert np.abs(again - maps.values[2:]).max() > 0.1
