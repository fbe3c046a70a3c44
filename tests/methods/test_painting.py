"""Masks drawn and images painted inside the graph, against plain NumPy loops and the Keras model itself."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from attribeval import Attributer
from attribeval.common.fills import filled
from attribeval.common.seeds import image_seeds
from attribeval.methods import descriptions
from attribeval.methods.batch import Batch
from attribeval.methods.painting import Painter
from attribeval.methods.rise import bilinear, enlargements
from attribeval.models.classifier import Classifier

SIZE = (10, 14)
COUNTS = {0: 5, 2: 3, 1: 7}  # masks of each image, in the order in which they are asked about
CAFFE = np.float32([103.939, 116.779, 123.68])
ROWS, COLUMNS = (np.arange(side) for side in SIZE)


def stays_outside(raw):
    """NumPy writes into an array: no graph can."""
    out = np.empty_like(raw)
    out[...] = raw[..., ::-1] / 100 - 1
    return out


# Name, channels, what the user passes, the same on a NumPy array.
WAYS = [
    ("input", 3, None, lambda raw: raw),
    ("grey", 1, "unit", lambda raw: raw / 255),
    ("bgr", 3, "caffe", lambda raw: raw[..., ::-1] - CAFFE),
    ("traced", 3, lambda raw: raw * tf.reduce_mean(raw, axis=(1, 2, 3), keepdims=True) / 1e4, None),
    ("outside", 3, stays_outside, stays_outside),
]


@pytest.fixture(scope="module", params=WAYS, ids=[way[0] for way in WAYS])
def way(request):
    """A model that ends in a softmax, its logits in NumPy's hands, three raw images and what paints on them."""
    _, channels, preprocess, slow = request.param
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((*SIZE, channels))
    x = layers.Conv2D(5, 3, activation="relu")(layers.Rescaling(0.02)(inputs))
    x = layers.Dense(4)(layers.Flatten()(x))
    logits = keras.Model(inputs, x)
    model = keras.Model(inputs, layers.Softmax()(x))
    if slow is None:
        slow = lambda raw: raw * raw.mean((1, 2, 3), keepdims=True) / 1e4  # noqa: E731
    images = np.random.default_rng(1).uniform(0, 255, (3, *SIZE, channels)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = Classifier(model, preprocess=preprocess)
    targets = np.array([3, 0, 1], np.int32)
    batch = Batch(classifier, classifier.prepare(images), images, tf.constant(targets), image_seeds(images, 0), 4)
    return batch, lambda raw: np.asarray(logits(slow(raw.astype(np.float32))))


# What each kind is given, its rows by image, and its masks by the definition.
RNG = np.random.default_rng(0)
GRIDS = {i: RNG.random((n, 3, 3)).astype(np.float32) for i, n in COUNTS.items()}
BITS = {i: (RNG.random((n, 4, 4)) < 0.5).astype(np.float32) for i, n in COUNTS.items()}
SHIFTS = {i: np.stack([RNG.integers(0, s, n) for s in (3, 4)], 1) for i, n in COUNTS.items()}
CORNERS = {i: np.stack([RNG.integers(0, s - 3, n) for s in SIZE], 1) for i, n in COUNTS.items()}
LABELS = RNG.integers(0, 6, (3, *SIZE))
SHOWN = {i: RNG.random((n, 6)) < 0.5 for i, n in COUNTS.items()}
PLACES = np.stack([RNG.permutation(140).reshape(SIZE) for _ in range(3)])
FIRST = {i: RNG.integers(0, 141, n) for i, n in COUNTS.items()}
STENCILS = RNG.random((4, *SIZE)).astype(np.float32)
SEEN = {i: RNG.random((n, 140)) < 0.5 for i, n in COUNTS.items()}
PACKED = {i: np.packbits(seen, axis=1) for i, seen in SEEN.items()}
NUMBERS = {i: RNG.integers(0, 4, n) for i, n in COUNTS.items()}


def cells_slowly(i, n):
    return np.array([[GRIDS[i][n][r * 3 // 10, c * 3 // 14] for c in COLUMNS] for r in ROWS])


def shifted_slowly(i, n):
    down, across = bilinear(4, 5 * 3), bilinear(4, 5 * 4)
    (top, left), out = SHIFTS[i][n], np.zeros(SIZE)
    for r in ROWS:
        for c in COLUMNS:
            for a in range(4):
                for b in range(4):
                    out[r, c] += down[top + r, a] * across[left + c, b] * BITS[i][n, a, b]
    return out


def windows_slowly(i, n):
    out = np.ones(SIZE)
    top, left = CORNERS[i][n]
    out[top : top + 4, left : left + 4] = 0
    return out


KINDS = {
    "cells": (descriptions.cells, descriptions.cells_of(SIZE, 3), (GRIDS,), cells_slowly),
    "shifted": (descriptions.shifted_cells, enlargements(4, SIZE), (BITS, SHIFTS), shifted_slowly),
    "windows": (descriptions.windows, (4,), (CORNERS,), windows_slowly),
    "segments": (descriptions.segments, (LABELS,), (SHOWN,), lambda i, n: SHOWN[i][n][LABELS[i]]),
    "ranks": (descriptions.ranks, (PLACES,), (FIRST,), lambda i, n: PLACES[i] >= FIRST[i][n]),
    "bits": (descriptions.bits, (), (PACKED,), lambda i, n: SEEN[i][n].reshape(SIZE)),
    "stencils": (descriptions.stencils, (STENCILS,), (NUMBERS,), lambda i, n: STENCILS[NUMBERS[i][n]]),
}


@pytest.mark.parametrize("fill", ["black", "mean", "blur", 20.0])
@pytest.mark.parametrize("kind", KINDS)
def test_painting_in_the_graph_is_painting_by_hand(way, kind, fill):
    batch, logits = way
    make, given, rows, slowly = KINDS[kind]
    hidden = filled(batch.raw, fill)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the function that cannot be traced
        painter = Painter(batch, hidden, make(), *given)
    targets = batch.targets.numpy()
    by_hand = {}
    for i, count in COUNTS.items():
        masks = np.stack([slowly(i, n) for n in range(count)])[..., None]
        by_hand[i] = logits(masks * batch.raw[i] + (1 - masks) * hidden[i])
    for answer in ("logit", "probability", "is_target"):
        found = painter.answers(answer, COUNTS, lambda i, part: tuple(row[i][part] for row in rows))
        assert list(found) == list(COUNTS)
        for i, scores in by_hand.items():
            if answer == "is_target":
                np.testing.assert_array_equal(found[i], scores.argmax(1) == targets[i])
                continue
            if answer == "probability":
                scores = softmax(scores, axis=1)
            np.testing.assert_allclose(found[i], scores[:, targets[i]], rtol=2e-4, atol=2e-4 * np.abs(scores).max())


def test_single_values_are_those_of_the_raw_channels(way):
    batch, logits = way
    channels = batch.raw.shape[-1]
    seen = np.random.default_rng(2).random((6, *SIZE, channels)) < 0.5
    hidden = filled(batch.raw, 20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        painter = Painter(batch, hidden, descriptions.bits(channels))
    packed = np.packbits(seen.reshape(6, -1), axis=1)
    found = painter.answers("logit", {1: 6}, lambda i, rows: (packed[rows],))[1]
    expected = logits(np.where(seen, batch.raw[1], hidden[1]))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())


def test_both_answers_at_once(way):
    batch, logits = way
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        painter = Painter(batch, filled(batch.raw, "black"), descriptions.bits())
    seen = np.full((2, 18), 255, np.uint8)
    found = painter.ask("both", np.array([2, 0]), seen)[0].numpy()
    scores = logits(batch.raw[[2, 0]])
    np.testing.assert_allclose(found[:, 0], scores[[0, 1], [1, 3]], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], softmax(scores, axis=1)[[0, 1], [1, 3]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_walk_gives_the_masks_in_calls_that_fill_the_capacity(way, kind):
    batch, _ = way
    make, given, rows, slowly = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        painter = Painter(batch, filled(batch.raw, "black"), make(), *given)
    calls = list(painter.walk("logit", COUNTS, lambda i, part: tuple(row[i][part] for row in rows)))
    assert [len(owners) for owners, _, _ in calls] == [4, 4, 4, 3]
    assert np.concatenate([owners for owners, _, _ in calls]).tolist() == [0] * 5 + [2] * 3 + [1] * 7
    masks = np.concatenate([masks.numpy() for _, _, masks in calls])
    wanted = np.concatenate([[slowly(i, n) for n in range(count)] for i, count in COUNTS.items()])
    np.testing.assert_allclose(masks, wanted, atol=1e-6)


def small(preprocess=None):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return Attributer(keras.Sequential(layers), preprocess=preprocess)


def test_a_function_that_cannot_be_traced_says_so_once():
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    attributer = small(stays_outside)
    with pytest.warns(RuntimeWarning, match=r"preprocess function stays outside.*TypeError|NotImplementedError"):
        first = attributer.explain(images, "rise", 0, samples=10).values
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        again = attributer.explain(images, "rise", 0, samples=10, batch_size=3).values
        attributer.explain(images, "occlusion", 0)
    np.testing.assert_allclose(again, first, atol=1e-5 * np.abs(first).max())


def test_a_function_that_is_another_one_inside_a_graph_stays_outside():
    def by_kind(raw):
        return raw / 10 if isinstance(raw, np.ndarray) else raw / 20

    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    options = {"samples": 10, "score": "logit"}
    with pytest.warns(RuntimeWarning, match="traced, it gives other values"):
        found = small(by_kind).explain(images, "rise", 0, **options).values
    plain = small().explain(images / 10, "rise", 0, seed=image_seeds(images, 0), **options).values
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())


def test_a_traced_function_is_not_asked_again():
    calls = []

    def counted(raw):
        calls.append(type(raw).__name__)
        return raw / 100

    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    attributer = small(counted)
    attributer.explain(images, "rise", 0, samples=100, batch_size=4)
    outside = [name for name in calls if name == "ndarray"]
    # The images themselves (a micro-batch of two), once; the graphs are built of symbols.
    assert len(outside) == 1 and 2 <= len(calls) - len(outside) <= 3


def test_rise_holds_no_more_masks_than_the_capacity(monkeypatch):
    sizes = []
    compiled = Classifier.compiled

    def counted(self, key, build, *specs):
        function = compiled(self, key, build, *specs)

        def call(*tensors):
            out = function(*tensors)
            if key in ("prepare", "asked"):  # of the images themselves
                return out
            sizes.extend(int(np.prod(tensor.shape)) for tensor in tf.nest.flatten(out))
            return out

        return call

    monkeypatch.setattr(Classifier, "compiled", counted)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    small().explain(images, "rise", 0, samples=500, batch_size=4)
    assert max(sizes) == 4 * 8 * 8  # masks of one call; the sums are those of two images


def test_more_painted_images_than_memory_go_in_smaller_calls(monkeypatch):
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    whole = {name: small().explain(images, name, 0, batch_size=8, **few).values for name, few in FEW.items()}
    ask, sizes = Painter.ask, []

    def limited(self, answer, owners, *rows):
        if len(owners) > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "too many")
        sizes.append(len(owners))
        return ask(self, answer, owners, *rows)

    monkeypatch.setattr(Painter, "ask", limited)
    for name, few in FEW.items():
        with pytest.warns(UserWarning, match="Out of memory: going on with"):
            found = small().explain(images, name, 0, batch_size=8, **few).values
        np.testing.assert_allclose(found, whole[name], atol=1e-5 * np.abs(whole[name]).max(), err_msg=name)
    assert max(sizes) <= 2


FEW = {"rise": {"samples": 20}, "lime": {"samples": 30, "segments": 4}, "anchors": {"segments": 4, "samples": 32}}
