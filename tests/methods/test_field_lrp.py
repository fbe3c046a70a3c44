"""LRP and AttnLRP against what zennit and LXT answered on the same weights (`benchmarks/attribution/field_lrp.py`)."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.vit import vit

from attribeval import Attributer

L = keras.layers
TARGETS = [0, 2]


@pytest.fixture(scope="module")
def known():
    with np.load(Path(__file__).with_name("field_lrp.npz")) as answers:
        return dict(answers)


def images():
    return np.random.RandomState(0).normal(size=(2, 12, 12, 3)).astype("f4")


def drawn(model, seed, scale):
    """The weights of the script, by NumPy's legacy generator, whose numbers never change."""
    rng = np.random.RandomState(seed)
    model.set_weights([rng.normal(0, scale, w.shape).astype("f4") for w in model.get_weights()])
    return Attributer(model)


def check(maps, expected):
    np.testing.assert_allclose(maps.values, expected, atol=1e-5 * np.abs(expected).max())


def test_attnlrp_and_lrp_through_attention_are_lxts(known):
    """Rules for attention, normalisation and GELU as the paper's authors wrote them, ε → 0: AttnLRP, and CP-LRP."""
    for kind in ("class token", "average"):
        attributer, pictures = drawn(vit(kind), 1, 0.6), images()
        check(attributer.explain(pictures, "attnlrp", TARGETS, epsilon=0.0), known[kind])
        if kind == "class token":
            conservative = attributer.explain(pictures, "lrp", TARGETS, rule="epsilon", epsilon=0.0)
            check(conservative, known["conservative"])


@pytest.fixture(scope="module")
def cnn():
    inputs = keras.Input((12, 12, 3))
    x = L.MaxPooling2D()(L.Conv2D(6, 3, activation="relu")(inputs))
    x = L.Dense(10, activation="relu")(L.Flatten()(L.Conv2D(8, 3, activation="relu")(x)))
    return drawn(keras.Model(inputs, L.Dense(4)(x)), 2, 0.4)


@pytest.mark.parametrize(
    "name,method",
    [
        ("epsilon", "lrp(rule='epsilon')"),
        ("gamma", "lrp(rule='gamma')"),
        ("alpha_beta", "lrp(rule='alpha_beta')"),
        ("z_plus", "lrp(rule='alpha_beta', alpha=1.0)"),
        ("composite", "lrp"),
    ],
)
def test_lrp_is_zennits(name, method, cnn, known):
    """ε of 0.25 root mean squares is zennit's `Stabilizer(0.25, norm_scale=True)`."""
    check(cnn.explain(images(), method, TARGETS), known[name])
