"""TCAV: models whose concept direction is known by construction, and the formulas again."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.attributer import Attributer
from attribeval.concepts.activations import LOGITS, activations_and_gradients, directional_derivatives
from attribeval.concepts.cav import train_cav
from attribeval.concepts.tcav import concept_vectors, p_of_scores, tcav, tcav_score
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier


@pytest.fixture(scope="module")
def red_model():
    """Class 0 rises with red, class 1 falls with it, class 2 knows no colour: by hand-made weights."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False, name="colours"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, use_bias=False, name="scores"),
        ]
    )
    model.layers[0].set_weights([np.eye(3, dtype=np.float32)[None, None]])
    model.layers[-1].set_weights([np.array([[1, -1, 0], [0.1, 0, 0], [0, 0, 0]], np.float32)])
    return Classifier(model)


def _noise(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (n, 6, 6, 3)).astype(np.float32)


def _red(n: int, seed: int = 9) -> np.ndarray:
    images = _noise(n, seed)
    images[..., 0] += 1.0
    return images


def test_the_direction_of_a_known_concept_is_found(red_model):
    concept, others = _red(60), _noise(60, 1)
    a, b = (activations_and_gradients(red_model, part, 0, "colours", pool=True)[0] for part in (concept, others))
    np.testing.assert_allclose(a, concept.mean((1, 2)), atol=1e-5)
    vector, accuracy = train_cav(a, b)
    assert vector[0] > 0.98 and np.linalg.norm(vector) == pytest.approx(1)  # red, and towards the concept
    assert accuracy == 1


def test_scores_and_tests_of_the_known_concept(red_model):
    randoms = [_noise(60, 10 + i) for i in range(24)]
    images = _noise(40, 2)
    speaks_for, speaks_against = (
        tcav(red_model, images, k, _red(60), randoms, layers=["colours"], pool=True) for k in (0, 1)
    )
    assert speaks_for.score == 1 and speaks_against.score == 0
    assert speaks_for.layers[0].p < 0.01 and speaks_for.layers[0].accuracies.min() > 0.95
    # Along no vector does class 2 change: every input counts half, for concept and chance alike.
    no_matter = tcav(red_model, images, 2, _red(60), randoms, layers=["colours"], pool=True)
    assert not no_matter.layers[0].significant and np.isnan(no_matter.score) and no_matter.chance == 0.5
    assert list(speaks_for.table["layer"]) == ["colours"] and bool(speaks_for.table["significant"][0])
    each = tcav(red_model, images, np.repeat([0, 1], 20), _red(60), randoms, layers=["colours"], pool=True)
    assert each.layers[0].scores.mean() == 0.5  # half of the inputs are of the class that red speaks against


def test_each_random_set_may_meet_examples_of_its_own(red_model):
    """Vectors are those of each pair by itself, so that no score shares an example with another; one set is for all."""
    randoms, sets = [_noise(30, 10 + i) for i in range(3)], [_red(30, 40 + i) for i in range(3)]
    (of_all,) = concept_vectors(red_model, sets, randoms, layers=["colours"], pool=True, seed=5)
    for i, (mine, other) in enumerate(zip(sets, randoms, strict=True)):
        a, b = (activations_and_gradients(red_model, part, 0, "colours", pool=True)[0] for part in (mine, other))
        vector, accuracy = train_cav(a, b, seed=5 + i)
        np.testing.assert_array_equal(of_all.concept[i], vector)
        assert of_all.accuracies[i] == accuracy
    (one,), (same,) = (
        concept_vectors(red_model, given, randoms, layers=["colours"], pool=True) for given in (sets[0], [sets[0]] * 3)
    )
    np.testing.assert_array_equal(one.concept, same.concept)
    np.testing.assert_array_equal(one.random, same.random)
    with pytest.raises(AttribevalError, match=r"each of 3 random sets, or one for all\. Received: 2"):
        concept_vectors(red_model, sets[:2], randoms, layers=["colours"])


def test_the_test_holds_its_level_with_examples_of_their_own():
    """A concept that is none, more random examples for each random set: p <= .05 in at most 5 %."""
    runs, sets, found = 30, 6, 0
    for run in range(runs):
        rng = np.random.default_rng([sets, run])
        own, randoms = rng.normal(size=(2, sets, 30, 8))
        gradients = rng.normal(size=(30, 8)) + rng.normal(size=8)

        def scores(concepts, others, gradients=gradients):
            pairs = zip(concepts, others, strict=True)
            return np.array([tcav_score(gradients, train_cav(*pair, seed=0)[0]) for pair in pairs])

        found += p_of_scores(scores(own, randoms), scores(randoms, np.roll(randoms, -1, 0))) <= 0.05
    assert found <= 0.05 * runs + 2 * np.sqrt(0.05 * 0.95 * runs)


def test_gradients_against_finite_differences(small_model, images):
    classifier = Classifier(small_model)
    activations, gradients = activations_and_gradients(classifier, images[:3], [0, 1, 2], "conv2")
    assert activations.shape == gradients.shape == (3, 16 * 16 * 12)
    tail = small_model.get_layer("predictions").get_weights()[0]
    # Behind conv2 there is a mean over places and a dense layer: d logit / d a = w / places.
    by_hand = np.stack([np.tile(tail[:, k] / 256, 256) for k in (0, 1, 2)])
    np.testing.assert_allclose(gradients, by_hand, atol=1e-6)
    pooled = activations_and_gradients(classifier, images[:3], [0, 1, 2], "conv2", pool=True)
    np.testing.assert_allclose(pooled[0], activations.reshape(3, 256, 12).mean(1), atol=1e-5)
    np.testing.assert_allclose(pooled[1], tail[:, :3].T, atol=1e-5)
    logits, one_hot = activations_and_gradients(classifier, images[:3], 4, LOGITS)
    np.testing.assert_allclose(logits, classifier.forward(classifier.prepare(images[:3]))[0].numpy(), atol=1e-5)
    assert np.array_equal(one_hot, np.eye(7)[[4, 4, 4]])


def test_score_is_the_share_of_rising_logits():
    gradients = np.array([[1.0, 0], [-1, 5], [0, 3], [2, -9]])
    vector = np.array([1.0, 0])
    np.testing.assert_array_equal(directional_derivatives(gradients, vector), [1, -1, 0, 2])
    assert tcav_score(gradients, vector) == (1 + 0 + 0.5 + 1) / 4


def test_the_same_seed_gives_the_same_and_an_attributer_will_do(red_model):
    randoms = [_noise(30, i) for i in range(3)]
    one, other = (tcav(model, _noise(5, 0), 0, _red(30), randoms) for model in (red_model, Attributer(red_model)))
    assert [a.layer for a in one.layers] == ["colours", LOGITS]
    for a, b in zip(one.layers, other.layers, strict=True):
        assert np.array_equal(a.scores, b.scores) and np.array_equal(a.chance, b.chance)


def test_bad_input(red_model):
    with pytest.raises(AttribevalError, match="two sets of random examples"):
        tcav(red_model, _noise(5, 0), 0, _red(30), [_noise(30, 1)])
    with pytest.raises(AttribevalError, match="at least 6 examples of the concept"):
        tcav(red_model, _noise(5, 0), 0, _red(3), [_noise(30, 1), _noise(30, 2)])
    with pytest.raises(AttribevalError, match="targets from 0 to 2"):
        tcav(red_model, _noise(5, 0), 3, _red(30), [_noise(30, 1), _noise(30, 2)])
    with pytest.raises(AttribevalError, match="Unknown target layer"):
        tcav(red_model, _noise(5, 0), 0, _red(30), [_noise(30, 1), _noise(30, 2)], layers=["colors"])
    with pytest.raises(AttribevalError, match="one layer"):
        train_cav(np.ones((9, 3)), np.ones((9, 4)))
    with pytest.raises(AttribevalError, match="that differ"):
        train_cav(np.zeros((9, 3)), np.zeros((9, 3)))
