"""CRAFT on nets whose concepts are known by construction, and each of its steps against another way to compute it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from helpers.planted import CHANNELS, HEAD, planted_net, planted_squares
from scipy.optimize import nnls

from attribeval import concepts
from attribeval.attributer import Attributer
from attribeval.concepts.discovery.factorisation import coefficients, factorise, importance
from attribeval.concepts.discovery.pieces import Pieces, random_crops
from attribeval.errors import AttribevalError
from attribeval.models import halves
from attribeval.models.classifier import Classifier

UNIT = CHANNELS / np.linalg.norm(CHANNELS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def images():
    return planted_squares(40)


@pytest.fixture(scope="module")
def attributer():
    return Attributer(planted_net(), class_names=["red", "both"])


@pytest.fixture(scope="module")
def both(attributer, images):
    """What is found for the class that reads red and green."""
    return concepts.craft(attributer, images, "both", concepts=3, crop_share=0.4, designs=512, progress=False)


def _colours(found) -> list[int]:
    """Which colour each concept is: exactly one."""
    closest = (found.directions @ UNIT.T).argmax(1)
    np.testing.assert_allclose(found.directions, UNIT[closest], atol=0.02)
    assert sorted(closest) == [0, 1, 2]
    return closest.tolist()


def test_planted_patterns_are_the_concepts_and_the_one_that_is_read_is_all_of_the_importance(attributer, images):
    found = concepts.craft(attributer, images, "red", concepts=3, crop_share=0.4, designs=256, progress=False)
    assert _colours(found)[0] == 0 and found.error < 0.01
    np.testing.assert_allclose(found.columns["importance"], [1, 0, 0], atol=0.01)
    by_hand = np.array([(images.mean((1, 2))[:, c] * (CHANNELS @ HEAD)[c, 0]).mean() for c in _colours(found)])
    np.testing.assert_allclose(found.columns["effect"], by_hand, atol=1e-3)
    np.testing.assert_allclose(found.scores[:, 1], found.scores[:, 0], rtol=0.01)
    for concept, colour in enumerate(_colours(found)):  # the crops that show a concept most are of its colour
        shown = found.pictures(concept, 5).mean((1, 2))
        assert (shown.argmax(1) == colour).all()


def test_importance_of_a_linear_head_has_a_closed_form(both, images):
    order = _colours(both)
    owed = images.mean((1, 2))[:, order] * (CHANNELS @ HEAD)[order, 1]  # g: what each colour adds to the score
    closed = owed**2 / (owed**2).sum(1, keepdims=True)  # g² V(M) / Σ g² V(M), for masks of one variance
    np.testing.assert_allclose(both.indices, closed, atol=0.04)
    np.testing.assert_allclose(both.columns["importance"], closed.mean(0), atol=0.02)
    assert (np.diff(both.columns["importance"]) <= 0).all()
    table = both.table()
    assert (table["low"] <= table["importance"]).all() and (table["importance"] <= table["high"]).all()
    assert table["concept"].tolist() == [0, 1, 2]


def test_maps_show_where_a_concept_is(both, images):
    for concept, colour in enumerate(_colours(both)):
        maps = both.maps(concept, images[:3])
        there = images[:3, ..., colour] * np.linalg.norm(CHANNELS[colour])
        np.testing.assert_allclose(maps.values[..., 0], there, atol=0.03)
    assert maps.values.shape == (3, 16, 16, 1) and maps.targets.tolist() == [1, 1, 1]


def test_a_concept_is_split_into_what_it_is_made_of(images):
    deeper = Attributer(planted_net(deeper=True))
    found = concepts.craft(deeper, images, 1, layer="things", concepts=2, crop_share=0.4, progress=False)
    warm = int(found.directions[:, 0].argmax())
    np.testing.assert_allclose(np.sort(found.directions, axis=0), [[0, 0], [1, 1]], atol=0.02)
    parts = found.split(warm, "colours", concepts=2)
    closest = (parts.directions @ UNIT.T).argmax(1)
    assert sorted(closest) == [0, 1] and parts.layer == "colours"  # red and green, no blue
    assert (parts.directions * UNIT[closest]).sum(1).min() > 0.95
    best = np.argsort(-found.weights[:, warm])[: len(parts.pieces)]
    assert len(best) == 64 and set(parts.pieces.items) == set(found.pieces[best].items)


def test_the_same_seed_finds_the_same(attributer, images, both):
    again = concepts.craft(attributer, images, "both", concepts=3, crop_share=0.4, designs=512, progress=False)
    assert again.table().equals(both.table())
    np.testing.assert_array_equal(again.directions, both.directions)


def test_what_people_see(both):
    assert "Craft(3 concepts of 'both' in layer 'colours'" in repr(both)
    page = both._repr_html_()
    assert page.count("<img") == 1 and "importance" in page and "colours" in page
    figure = both.plot(rows=2, columns=4)
    pictures = [ax.images[0].get_array() for ax in figure.axes]
    assert len(pictures) == 8
    np.testing.assert_allclose(pictures[4], both.pictures(1, 1)[0], atol=1e-6)


# ------------------------------------------------------------------------------------------------------- steps


def test_both_halves_make_the_whole(small_model, images):
    classifier = Classifier(small_model)
    x = classifier.prepare(np.random.default_rng(0).uniform(0, 1, (3, 32, 32, 3)).astype(np.float32))
    whole = classifier.forward(x)[0].numpy()
    a = halves.activations(classifier, x, "conv2")
    np.testing.assert_allclose(halves.scores_of(classifier, a, "conv2", (32, 32)), whole, atol=1e-5)
    weights, bias = small_model.get_layer("predictions").get_weights()
    other = np.random.default_rng(1).normal(size=(7, *a.shape[1:])).astype(np.float32)
    by_hand = other.mean((1, 2)) @ weights + bias
    np.testing.assert_allclose(halves.scores_of(classifier, other, "conv2", (32, 32)), by_hand, atol=1e-4)


def test_halves_of_models_that_ask_for_the_number_of_images_and_of_ones_with_shortcuts():
    import keras

    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    second = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(first)
    added = layers.Add(name="added")([first, second])
    flat = layers.Flatten()(layers.Conv2D(2, 3, strides=2, name="last")(added))
    classifier = Classifier(keras.Model(inputs, layers.Dense(3)(flat)))
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    whole = classifier.forward(x)[0].numpy()
    for layer in ("first", "added", "last"):
        a = halves.activations(classifier, x, layer)
        np.testing.assert_allclose(halves.scores_of(classifier, a, layer, (8, 8)), whole, atol=1e-5)
    with pytest.raises(AttribevalError, match="which the score can go around"):
        halves.scores_of(classifier, halves.activations(classifier, x, "second"), "second", (8, 8))


def test_a_model_with_a_second_input_is_refused():
    import keras

    picture, age = keras.Input((8, 8, 3), name="picture"), keras.Input((2,), name="age")
    seen = keras.layers.Conv2D(4, 3, activation="relu", name="seen")(picture)
    both = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(seen), age])
    model = Attributer(keras.Model([picture, age], keras.layers.Dense(2)(both)), inputs="picture")
    with pytest.raises(AttribevalError, match=r"one input.*'age'"):
        concepts.craft(model, np.ones((2, 8, 8, 3), np.float32), 0, layer="seen", progress=False)


def test_importance_against_a_full_grid():
    def net(masks):  # a layer behind with a ReLU: concepts act together
        return np.maximum(masks @ [2.0, -1.5, 1] - 0.3, 0) + masks[:, 1] * masks[:, 2]

    grid = (np.arange(40) + 0.5) / 40  # E[V(Y | M without M_i)] / V(Y) by midpoints
    values = net(np.array(list(product(grid, repeat=3)))).reshape(40, 40, 40)
    slow = [values.var(axis=k).mean() / values.var() for k in range(3)]
    indices, effects, score = importance(net, 3, 4096, np.random.default_rng(1))
    np.testing.assert_allclose(indices, slow, atol=0.02)
    assert score == pytest.approx(2.2)
    np.testing.assert_allclose(effects, [2.2 - 1, 2.2 - 2.7, 2.2 - 0.2])


def test_factors_that_were_multiplied_are_found_again():
    rng = np.random.default_rng(0)
    u = rng.exponential(1, (300, 3)) * (rng.random((300, 3)) < 0.5)  # each concept also shows alone
    a = u @ UNIT
    found_u, found_w = factorise(a, 3, seed=0)
    order = (found_w @ UNIT.T).argmax(1)
    np.testing.assert_allclose(found_w, UNIT[order], atol=0.01)
    assert np.linalg.norm(a - found_u @ found_w) < 0.01 * np.linalg.norm(a)
    np.testing.assert_allclose(np.linalg.norm(found_w, axis=1), 1)
    for bad, words in ((-a, "0 or more"), (0 * a, "that answers"), (a[:2], "at most 2 concepts")):
        with pytest.raises(AttribevalError, match=words):
            factorise(bad, 3, seed=0)


def test_coefficients_are_those_of_all_equations():
    rng = np.random.default_rng(0)
    w, a = rng.uniform(0, 1, (4, 9)), rng.normal(0.3, 1, (2, 3, 9))
    found = coefficients(a, w)
    for at in np.ndindex(2, 3):
        np.testing.assert_allclose(found[at], nnls(w.T, a[at])[0], atol=1e-8)
    assert (found == 0).any() and (found > 0).any()


def test_crops_lie_anywhere_and_are_those_of_their_image():
    crops = random_crops(200, (20, 10), 16, 0.3, seed=1)
    x0, y0, x1, y1 = crops.boxes.T
    assert (x1 - x0 == 3).all() and (y1 - y0 == 6).all()
    counts = np.bincount(y0, minlength=15)
    assert y0.max() == 14 and x0.max() == 7 and counts.min() > 0.75 * counts.mean()
    assert np.array_equal(random_crops(3, (20, 10), 16, 0.3, seed=1).boxes, crops.boxes[:48])
    image = np.arange(200, dtype=np.float32).reshape(1, 20, 10, 1)
    whole = Pieces(np.array([0]), np.array([[0, 0, 10, 20]])).cut(image)
    np.testing.assert_array_equal(whole[0], image[0])
    constant = Pieces(np.array([1]), np.array([[2, 3, 5, 9]])).cut(np.stack([image[0], image[0] * 0 + 7]))
    np.testing.assert_array_equal(constant, np.full((1, 20, 10, 1), 7))


def test_bad_input(attributer, images, both):
    cases = (
        ({"concepts": 1}, "concepts to be an int of 2"),
        ({"designs": 12}, "power of 2"),
        ({"crop_share": 0}, "0 < crop_share <= 1"),
        ({"concepts": 6}, "at most 5 concepts"),
        ({"layer": "colors"}, "Unknown target layer"),
    )
    for options, words in cases:
        with pytest.raises(AttribevalError, match=words):
            concepts.craft(attributer, images[:4], 0, progress=False, **options)
    with pytest.raises(AttribevalError, match="targets from 0 to 1"):
        concepts.craft(attributer, images, 2)
    with pytest.raises(AttribevalError, match="concept from 0 to 2"):
        both.maps(3)
