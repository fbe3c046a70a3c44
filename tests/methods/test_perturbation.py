"""What all perturbation methods promise: batches, seeds, memory, options."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.perturbation import perturbation_attributer  # noqa: F401

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.methods.hsic import HSIC
from attribeval.methods.occlusion import Occlusion, starts
from attribeval.methods.rise import RISE
from attribeval.methods.sobol import Sobol

CHEAP = {
    "occlusion": {"window": 12, "stride": 6},
    "rise": {"samples": 30},
    "sobol": {"grid_size": 3, "designs": 4},
    "hsic": {"grid_size": 3, "samples": 30},
    "meaningful_perturbation": {"iterations": 40, "mask_size": 8},
    "extremal_perturbation": {"iterations": 40, "areas": (0.1, 0.3)},
}


@pytest.mark.parametrize("name", CHEAP)
def test_batch_size_and_neighbours_do_not_change_a_map(attributer, images, name):
    full = attributer.explain(images[:5], name, 2, seed=1, **CHEAP[name]).values
    scale = np.abs(full).max(axis=(1, 2, 3), keepdims=True)
    for size in (1, 3):
        other = attributer.explain(images[:5], name, 2, seed=1, batch_size=size, **CHEAP[name]).values
        assert (np.abs(other - full) / scale).max() <= 1e-5
    np.testing.assert_array_equal(attributer.explain(images[:5], name, 2, seed=1, **CHEAP[name]).values, full)


@pytest.mark.parametrize("name", ["rise", "sobol", "hsic"])
def test_the_seed_matters(attributer, images, name):
    maps = [attributer.explain(images[:1], name, 2, seed=seed, **CHEAP[name]).values for seed in (1, 2)]
    assert np.abs(maps[0] - maps[1]).max() > 0


@pytest.mark.parametrize("name", CHEAP)
def test_the_model_never_sees_more_than_the_capacity(small_model, images, name, monkeypatch):
    attributer = Attributer(small_model)
    classifier, seen = attributer.classifier, []
    forward, compiled = classifier.forward, classifier.compiled

    def counted(key, build, *specs):
        function = compiled(key, build, *specs)
        if key in ("prepare", "asked"):  # of the images themselves
            return function
        return lambda *tensors: seen.append(int(tensors[0].shape[0])) or function(*tensors)

    monkeypatch.setattr(classifier, "forward", lambda x: seen.append(len(x)) or forward(x))
    monkeypatch.setattr(classifier, "compiled", counted)
    attributer.explain(images[:3], name, 2, batch_size=4, **CHEAP[name])
    assert max(seen) <= 4 and len(seen) > 10
    assert max(seen) == 2 or name != "extremal_perturbation"  # one image per area


def test_a_model_without_derivative_is_refused(images):
    inputs = keras.Input((32, 32, 3))
    blind = keras.layers.Lambda(lambda x: tf.round(x), output_shape=(32, 32, 3))(inputs)
    blind = keras.layers.Lambda(lambda x: tf.stop_gradient(x), output_shape=(32, 32, 3))(blind)
    attributer = Attributer(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(blind))))
    for name in ("meaningful_perturbation", "extremal_perturbation"):
        with pytest.raises(AttribevalError, match=r"no derivative with respect to its input.*'rise'"):
            attributer.explain(images[:1], name, 0, iterations=1)
    assert np.isfinite(attributer.explain(images[:1], "rise", 0, samples=4).values).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("occlusion", {"window": 0}, "Expected window to be an int of 1 or more. Received: 0"),
        ("occlusion", {"window": 40}, "Expected a window of at most 32 pixels.*Received: 40"),
        ("occlusion", {"window": 4, "stride": 5}, "Expected a stride of at most the window, 4 pixels.*Received: 5"),
        ("occlusion", {"fill": "segment_mean"}, "Expected fill to be one of mean, black.*Received: 'segment_mean'"),
        ("occlusion", {"fill": (1.0, 2.0)}, "Expected fill to have one number or 3"),
        ("occlusion", {"score": "softmax"}, "Expected score to be one of logit, probability. Received: 'softmax'"),
        ("rise", {"samples": 2.5}, "Expected samples to be an int of 1 or more. Received: 2.5"),
        ("rise", {"p": 1}, "Expected p between 0 and 1. Received: 1"),
        ("rise", {"grid_size": 0}, "Expected grid_size"),
        ("rise", {"gridsize": 3}, "Unknown option of rise: 'gridsize'. Did you mean 'grid_size'"),
        ("sobol", {"designs": 33}, "Expected designs to be a power of 2.*Received: 33"),
        ("sobol", {"grid_size": 101}, "Expected a grid_size of at most 100. Received: 101"),
        ("hsic", {"samples": 1}, "Expected samples to be an int of 2 or more. Received: 1"),
        ("meaningful_perturbation", {"beta": 0.5}, "Expected beta to be 1 or more. Received: 0.5"),
        ("meaningful_perturbation", {"l1": -1.0}, "Expected l1 to be a number above 0. Received: -1.0"),
        ("meaningful_perturbation", {"start": "square"}, "Expected start to be one of circle, image"),
        ("extremal_perturbation", {"areas": (0.1, 1.0)}, "Expected areas as a tuple of numbers between 0 and 1"),
        ("extremal_perturbation", {"areas": 0.1}, "Expected areas as a tuple"),
        ("extremal_perturbation", {"iterations": 0}, "Expected iterations"),
    ],
)
def test_bad_options(attributer, images, name, options, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(images[:1], name, 0, **options)


def test_defaults_are_those_documented():
    assert (RISE().samples, RISE().grid_size, RISE().p) == (1000, 7, 0.5)
    assert Sobol().designs * (Sobol().grid_size ** 2 + 1) == 2080 and HSIC().samples == 500
    assert Occlusion()._geometry((224, 224)) == (32, 16)
    assert len(starts(224, 32, 16)) ** 2 == 169
