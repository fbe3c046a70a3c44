"""Methods that iterate give the same maps one by one and side by side, where rounding has no time to grow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError, Attributer
from attribeval.methods.guided_ig import Path, advanced
from attribeval.models.classifier import Classifier

OPTIONS = {
    "guided_ig": {"steps": 8},
    "meaningful_perturbation": {"iterations": 8, "mask_size": 8},
    "extremal_perturbation": {"iterations": 8, "areas": (0.1, 0.3)},
}
# As for other batches in the contract: learned masks have amplified the rounding of eight steps.
TOLERANCE = {"guided_ig": 1e-5, "meaningful_perturbation": 1e-3, "extremal_perturbation": 1e-3}


@pytest.fixture(scope="module")
def attributer(small_model):
    return Attributer(small_model)


@pytest.mark.parametrize("name", OPTIONS)
def test_side_by_side_is_one_by_one(attributer, images, name):
    targets = [3, 0, 1, 6, 2]
    alone = attributer.explain(images[:5], name, targets, seed=2, **OPTIONS[name])
    assert alone.options["side_by_side"] is False
    scale = np.abs(alone.values).max(axis=(1, 2, 3), keepdims=True)
    for size in (1, 4, 64):
        found = attributer.explain(
            images[:5], name, targets, seed=2, batch_size=size, side_by_side=True, **OPTIONS[name]
        )
        assert (np.abs(found.values - alone.values) / scale).max() <= TOLERANCE[name]
        if name == "guided_ig":
            np.testing.assert_allclose(found.completeness_gap, alone.completeness_gap, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "most"), [("guided_ig", 4), ("meaningful_perturbation", 4), ("extremal_perturbation", 4)]
)
def test_the_model_sees_as_many_images_as_it_may(small_model, images, name, most, monkeypatch):
    sizes = {True: set(), False: set()}
    compiled = Classifier.compiled
    for side_by_side, seen in sizes.items():

        def counted(self, key, build, *specs, seen=seen):
            function = compiled(self, key, build, *specs)
            steps = ("gradient", "plain"), "meaningful_perturbation", "extremal_perturbation"
            ours = key in steps or key[0] in steps

            def call(*tensors):
                if ours:
                    seen.add(int(tensors[0].shape[0]))
                return function(*tensors)

            return call

        monkeypatch.setattr(Classifier, "compiled", counted)
        Attributer(small_model).explain(images[:4], name, 0, batch_size=4, side_by_side=side_by_side, **OPTIONS[name])
    assert sizes == {True: {4}, False: {2 if name == "extremal_perturbation" else 1}}  # an area counts as an image


@pytest.mark.parametrize(("fraction", "distance"), [(0.25, 0.02), (0.1, 0.5), (1.0, 0.2), (0.3, 0.0), (0.02, 1.0)])
def test_many_paths_advance_as_one_does(fraction, distance):
    """Random gradients, many of them equal; values with no way to go; an image that is its own baseline."""
    rng = np.random.default_rng(0)
    starts, ends = rng.normal(size=(4, 60)), rng.normal(size=(4, 60))
    ends[1, :20], ends[3] = starts[1, :20], starts[3]
    paths = [Path(*pair) for pair in zip(starts, ends, strict=True)]
    alpha = tf.constant([path.alpha for path in paths])
    for step in range(10):
        gradients = rng.integers(-9, 10, (4, 60)) / 4
        done = (step + 1) / 10
        for path, gradient in zip(paths, gradients, strict=True):
            path.advance(gradient, done, fraction, distance)
        numbers = (tf.constant(number, tf.float64) for number in (done, fraction, distance))
        alpha = advanced(alpha, tf.constant([path.weight for path in paths]), tf.constant(np.abs(gradients)), *numbers)
        np.testing.assert_allclose(alpha, [path.alpha for path in paths], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("wrong", [None, 1, "yes"])
def test_bad_option(attributer, images, name, wrong):
    with pytest.raises(AttribevalError, match=f"Expected side_by_side to be True or False. Received: {wrong!r}"):
        attributer.explain(images[:1], name, 0, side_by_side=wrong)
