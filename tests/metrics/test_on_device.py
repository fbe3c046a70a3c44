"""Benchmarks that replace parts of images: painted where the model is, they give what painted images give."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from attribeval import AttribevalError, Attributer
from attribeval.common.seeds import image_seeds
from attribeval.methods.painting import Painter
from attribeval.metrics.faithfulness import on_device
from attribeval.metrics.registry import build_benchmark
from attribeval.metrics.subject import Explained, Subject

SIZE = (12, 9)
BENCHMARKS = (
    "deletion(steps=5)",
    "deletion(steps=7, fill='noise', output='logit')",
    "insertion(steps=5)",
    "morf(region=2, steps=4, per_step=3)",
    "lerf(region=2, steps=4, per_step=3)",
    "abpc(region=1, steps=3, per_step=9, fill='mean')",
    "irof(segments=6, steps=3)",
    "sensitivity_n(subsets=3)",
    "sensitivity_n(subsets=3, per='value', fill=30.0)",
    "faithfulness_correlation(subsets=5)",
    "mu_fidelity(grid=3, subsets=5)",
    "idsds(grid=3)",
)


def outside(raw):
    out = np.empty_like(raw)
    out[...] = raw / 100 - 1
    return out


@pytest.fixture(scope="module", params=[None, "caffe", lambda raw: raw / 60, outside])
def attributer(request):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    net = [keras.Input((*SIZE, 3)), layers.Rescaling(0.02), layers.Conv2D(6, 3, activation="relu")]
    return Attributer(
        keras.Sequential([*net, layers.Flatten(), layers.Dense(4, activation="softmax")]), preprocess=request.param
    )


def subject_of(attributer, capacity, log=None):
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(5, *SIZE, 3)), (0, 2, 2, 0))
    images = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.float32)

    def answer(asked):
        if log is not None:
            log.append(len(asked))
        return attributer.answer(asked)

    targets = np.array([1, 0, 3, 3, 2])
    return Subject(images, targets, answer, image_seeds(images, 0), classifier=attributer.classifier, capacity=capacity)


def explained():
    values = np.random.default_rng(3).normal(size=(5, *SIZE, 3)).astype(np.float32)
    values[4, :6] = 0  # ties
    return Explained(values, np.abs(values).sum(-1), explain=None)


def score(name, subject):
    benchmark = build_benchmark(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the function that cannot be traced
        return benchmark.score(subject, benchmark.prepare(subject), explained())


@pytest.mark.parametrize("capacity", [4, 64])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_scores_and_passes_are_those_of_painted_images(attributer, name, capacity, monkeypatch):
    host = subject_of(attributer, None)
    wanted = score(name, host)
    asked, log, ask = [], [], Painter.ask
    monkeypatch.setattr(Painter, "ask", lambda *given: asked.append(len(given[2])) or ask(*given))
    device = subject_of(attributer, capacity, log)
    np.testing.assert_allclose(score(name, device), wanted, rtol=2e-3, atol=2e-5)
    assert device.passes == host.passes
    # Images that are painted in part are never sent; whole ones (clean, all filled) are.
    assert asked and max(asked) <= capacity and sum(asked) + sum(log) == device.passes and sum(log) <= 10


def test_out_of_memory_goes_on_with_half(attributer, monkeypatch):
    ask = Painter.ask

    def limited(self, answer, owners, *rows):
        if len(owners) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "too many")
        return ask(self, answer, owners, *rows)

    wanted = score("deletion(steps=5)", subject_of(attributer, None)), score("mu_fidelity", subject_of(attributer, 64))
    monkeypatch.setattr(Painter, "ask", limited)
    subject = subject_of(attributer, 20)
    found = score("deletion(steps=5)", subject), score("mu_fidelity", subject)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert subject.capacity == 2


def test_an_answer_that_is_not_finite_is_named(monkeypatch):
    net = [keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    attributer = Attributer(keras.Sequential(net))
    subject = subject_of(attributer, 64)
    filled = subject.images.copy()
    subject.images[3, 5] = np.inf
    places, counts = np.tile(np.arange(108).reshape(SIZE), (5, 1, 1)), [np.array([1, 2])] * 5
    with pytest.raises(AttribevalError, match="image 3, or a modified copy"):
        on_device.along(subject, places, counts, lambda i: (subject.images[i], 0 * filled[i]))


def test_the_leaderboard_asks_the_device(attributer, monkeypatch):
    from attribeval.datasets.samples import Samples
    from attribeval.evaluator import Evaluator

    asked = []
    along = on_device.along
    monkeypatch.setattr(on_device, "along", lambda *given: asked.append(1) or along(*given))
    images = subject_of(attributer, None).images
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Evaluator(attributer, Samples(images, [0] * 5)).compare(["gradient"], ["deletion"], progress=False)
    assert asked
    assert attributer.capacity(images) in (128, 1024) and attributer.capacity(images, 7) == 7
    several = Attributer(attributer.classifier.model, strategy="mirrored")
    assert several.capacity(images) is None
