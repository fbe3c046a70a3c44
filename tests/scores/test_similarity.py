"""Similarity of embeddings: values and gradients in closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from attribeval import Attributer, scores
from attribeval.errors import AttribevalError

IMAGES = np.random.default_rng(0).normal(size=(3, 5, 5, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """An embedding z = W x of 4 numbers."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((5, 5, 1)), layers.Flatten(), layers.Dense(4, use_bias=False, name="embed")])


def test_value_and_gradient_in_closed_form(model):
    weights = model.get_layer("embed").get_weights()[0].astype(np.float64)  # (25, 4)
    z = IMAGES.reshape(3, -1).astype(np.float64) @ weights
    cosine = Attributer(model, score=scores.similarity(model.predict(IMAGES[1:], verbose=0)))
    dot = Attributer(model, score=scores.similarity(z[1:], "dot"))
    for i, m in np.ndindex(3, 2):
        r, length = z[1 + m], np.linalg.norm(z[i])
        value = z[i] @ r / (length * np.linalg.norm(r))
        np.testing.assert_allclose(cosine.answer(IMAGES)[0][i, m], value, atol=1e-5)
        np.testing.assert_allclose(dot.answer(IMAGES)[0][i, m], z[i] @ r, rtol=1e-4)
        slope = r / (length * np.linalg.norm(r)) - value * z[i] / length**2
        found = cosine.explain(IMAGES[i], "gradient", m)
        np.testing.assert_allclose(found.values.reshape(-1), weights @ slope, atol=2e-6)
        np.testing.assert_allclose(
            dot.explain(IMAGES[i], "gradient", m).values.reshape(-1), weights @ r, rtol=1e-4, atol=1e-5
        )


def test_an_image_asked_about_itself_has_no_slope_and_a_zero_embedding_is_no_nan(model):
    itself = Attributer(model, score=scores.similarity(model.predict(IMAGES, verbose=0)))
    np.testing.assert_allclose(itself.answer(IMAGES)[0].diagonal(), 1, atol=1e-6)
    assert np.abs(itself.explain(IMAGES, "gradient", range(3)).values).max() < 1e-6
    assert np.array_equal(itself.answer(np.zeros_like(IMAGES))[0], np.zeros((3, 3)))
    assert np.isfinite(itself.explain(np.zeros_like(IMAGES), "gradient", 0).values).all()


def test_errors(model):
    for make, words in [
        (lambda: scores.similarity(np.zeros((2, 3, 4))), r"references \(M, D\), one or more"),
        (lambda: scores.similarity(np.zeros(4)), "0 throughout"),
        (lambda: scores.similarity([np.inf, 1]), "not finite"),
        (lambda: scores.similarity(np.ones(4), "euclid"), "cosine, dot"),
        (lambda: scores.similarity(np.ones(3)), "references of 4 numbers.*Received: 3"),
    ]:
        with pytest.raises(AttribevalError, match=words):
            Attributer(model, score=make())
    wide = keras.Sequential([keras.Input((5, 5, 1)), layers.Conv2D(4, 3)])
    with pytest.raises(AttribevalError, match=r"output \(batch, D\).*\(None, 3, 3, 4\)"):
        Attributer(wide, score=scores.similarity(np.ones(4)))
