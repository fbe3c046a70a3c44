"""Guided backpropagation and the deconvnet against a backward pass written by hand, however the ReLU was made."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError, Attributer
from attribeval.methods.registry import build_method

RULE_OF = {"gradient": "plain", "guided_backprop": "guided", "deconvnet": "deconv"}
SHAPE = (7, 7, 3)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return [rng.normal(size=s) for s in ((3, 3, 3, 4), (4,), (3, 3, 4, 5), (5,), (45, 3), (3,))]


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(3, *SHAPE)).astype("float32")


# ------------------------------------------------------------------------------- the oracle: a net and its way back


def convolve(x, kernel, bias):
    out = np.zeros((x.shape[0] - 2, x.shape[1] - 2, kernel.shape[3]))
    for i, j in np.ndindex(out.shape[:2]):
        out[i, j] = np.einsum("abc,abcd->d", x[i : i + 3, j : j + 3], kernel) + bias
    return out


def convolve_back(gradient, kernel, shape):
    back = np.zeros(shape)
    for i, j in np.ndindex(gradient.shape[:2]):
        back[i : i + 3, j : j + 3] += np.einsum("d,abcd->abc", gradient[i, j], kernel)
    return back


def relu_back(z, gradient, rule, limit=np.inf, slope=0.0):
    """Gradient that a rectifier f(z) = z on (0, limit), slope · z below, limit above, passes on."""
    out = np.zeros_like(z)
    for place in np.ndindex(z.shape):
        derivative = 1.0 if 0 < z[place] < limit else (slope if z[place] <= 0 else 0.0)
        g = gradient[place]
        if rule == "plain":
            out[place] = derivative * g
        elif rule == "guided":
            out[place] = derivative * g if g > 0 else 0.0
        elif g > 0 and z[place] < limit:
            out[place] = g
    return out


def by_hand(x, target, weights, rule, **kind):
    def forward(z):
        return np.minimum(np.where(z > 0, z, kind.get("slope", 0.0) * z), kind.get("limit", np.inf))

    k1, b1, k2, b2, dense, _ = weights
    z1 = convolve(x, k1, b1)
    z2 = convolve(forward(z1), k2, b2)
    gradient = dense[:, target].reshape(z2.shape)
    gradient = relu_back(z2, gradient, rule, **kind)
    gradient = relu_back(z1, convolve_back(gradient, k2, z1.shape), rule, **kind)
    return convolve_back(gradient, k1, x.shape)


def check_rules(model, weights, x, **kind):
    """All three rules on this model against the oracle."""
    model.set_weights(weights)
    kept = [w.copy() for w in model.get_weights()]
    before = np.asarray(model(x))
    attributer = Attributer(model)
    maps = {}
    for method, rule in RULE_OF.items():
        maps[method] = attributer.explain(x, method, [2, 0, 1]).values
        for i, target in enumerate([2, 0, 1]):
            expected = by_hand(x[i].astype(np.float64), target, weights, rule, **kind)
            np.testing.assert_allclose(maps[method][i], expected, atol=2e-5 * np.abs(expected).max())
    assert np.abs(maps["guided_backprop"] - maps["gradient"]).max() > 0.01 * np.abs(maps["gradient"]).max()
    assert np.abs(maps["guided_backprop"] - maps["deconvnet"]).max() > 0.01 * np.abs(maps["deconvnet"]).max()
    np.testing.assert_array_equal(np.asarray(model(x)), before)  # the user's model is as it was
    for old, new in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


# ----------------------------------------------------------------------------------------- ways to write the same net


def flat(first, second):
    """conv, rectifier, conv, rectifier, dense; the rectifiers as functions of a tensor."""
    inputs = keras.Input(SHAPE)
    hidden = first(keras.layers.Conv2D(4, 3)(inputs))
    hidden = second(keras.layers.Conv2D(5, 3)(hidden))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))


def by_argument():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Conv2D(5, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def nested():
    inner = keras.Sequential([keras.Input((5, 5, 4)), keras.layers.Conv2D(5, 3, activation="relu")], name="inner")
    middle = keras.Sequential([keras.Input((5, 5, 4)), keras.layers.ReLU(), inner], name="middle")
    layers = [keras.layers.Conv2D(4, 3), middle, keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input(SHAPE), *layers])


def shared():
    relu = keras.layers.ReLU()
    return flat(relu, relu)


class Subclassed(keras.Model):
    def __init__(self, relu):
        super().__init__()
        self.relu = relu
        self.first, self.second = keras.layers.Conv2D(4, 3), keras.layers.Conv2D(5, 3)
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, x):
        return self.dense(self.flatten(self.relu(self.second(self.relu(self.first(x))))))


def subclassed(relu=tf.nn.relu):
    model = Subclassed(relu)
    model(np.zeros((1, *SHAPE), np.float32))
    return model


FORMS = {
    "activation=": by_argument,
    "Activation": lambda: flat(keras.layers.Activation("relu"), keras.layers.Activation("relu")),
    "ReLU": lambda: flat(keras.layers.ReLU(), keras.layers.ReLU()),
    "keras.ops.relu": lambda: flat(keras.ops.relu, keras.ops.relu),
    "keras.activations.relu": lambda: flat(keras.activations.relu, keras.activations.relu),
    "nested": nested,
    "shared": shared,
    "subclassed": subclassed,
}


@pytest.mark.parametrize("form", FORMS)
def test_rules_against_a_backward_pass_by_hand(form, weights, x):
    check_rules(FORMS[form](), weights, x)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: keras.layers.ReLU(max_value=6.0), {"limit": 6}),
        (lambda: keras.layers.Activation("relu6"), {"limit": 6}),
        (lambda: keras.layers.ReLU(max_value=3.0), {"limit": 3}),
        (lambda: keras.layers.ReLU(negative_slope=0.3), {"slope": 0.3}),
        (lambda: keras.layers.LeakyReLU(0.2), {"slope": 0.2}),
    ],
    ids=["ReLU(6)", "relu6", "ReLU(3)", "ReLU(slope)", "LeakyReLU"],
)
def test_limits_and_slopes_against_a_backward_pass_by_hand(layer, kind, weights, x):
    check_rules(flat(layer(), layer()), weights, x, **kind)


def test_agreement_with_tf_keras_vis(small_model, images):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    def with_activation_layer(layer):  # theirs finds a ReLU by the attribute `activation`, which the ReLU layer lacks
        if isinstance(layer, keras.layers.ReLU):
            return keras.layers.Activation("relu", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    functional = keras.Model(small_model.inputs, small_model.outputs)
    model = keras.models.clone_model(functional, clone_function=with_activation_layer)
    model.set_weights(functional.get_weights())
    saliency = Saliency(model, model_modifier=[ReplaceToLinear(), GuidedBackpropagation()], clone=True)
    targets = [0, 3, 6, 1, 1, 2, 4, 5, 0]
    theirs = saliency(
        CategoricalScore(targets), images, keepdims=True, gradient_modifier=lambda g: g, normalize_map=False
    )
    ours = Attributer(small_model).explain(images, "guided_backprop", targets).values
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(ours).max())


def test_a_hard_sigmoid_is_a_gate_and_keeps_its_derivative(weights, x):
    model = flat(keras.ops.relu, lambda z: keras.layers.Activation("hard_silu")(z))
    model.set_weights(weights)
    got = Attributer(model).explain(x[:1], "guided_backprop", [2]).values[0]
    k1, b1, k2, b2, dense, _ = weights
    z1 = convolve(x[0].astype(np.float64), k1, b1)
    z2 = convolve(np.maximum(z1, 0), k2, b2)
    slope = np.where(np.abs(z2) < 3, (2 * z2 + 3) / 6, (z2 >= 3) * 1.0)  # of z · relu6(z + 3) / 6
    gradient = convolve_back(slope * dense[:, 2].reshape(z2.shape), k2, z1.shape)
    expected = convolve_back(relu_back(z1, gradient, "guided"), k1, x[0].shape)
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


def test_mixed_precision_keeps_the_rule(weights, x):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = flat(keras.layers.ReLU(), keras.layers.ReLU())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.set_weights(weights)
    got = Attributer(model).explain(x[:1], "guided_backprop", [2]).values[0]
    expected = by_hand(x[0].astype(np.float64), 2, weights, "guided")
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


# ---------------------------------------------------------------------------------------------------------- refusals


class Masked(keras.layers.Layer):
    def call(self, x):
        return x * keras.ops.cast(x > 0.5, x.dtype)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.ReLU(threshold=0.5), "where"),
        (lambda: keras.layers.ReLU(threshold=0.5, max_value=6.0), "where"),
        (lambda: keras.layers.ReLU(negative_slope=0.1, max_value=6.0), "difference of two"),
        (lambda: keras.layers.ReLU(negative_slope=0.1, threshold=0.5), "difference of two|where"),
        (lambda: keras.layers.PReLU(), "difference of two"),
        (lambda: lambda z: keras.ops.maximum(z, 0), "maximum"),
        (lambda: lambda z: keras.ops.maximum(z, 0.1 * z), "maximum"),
        (lambda: lambda z: keras.ops.where(z > 0, z, 0), "where"),
        (lambda: Masked(), "product with a mask"),
    ],
    ids=["threshold", "threshold6", "slope6", "slope-threshold", "PReLU", "maximum", "leaky-maximum", "where", "mask"],
)
def test_a_rectifier_out_of_reach_is_refused(method, layer, message, x):
    attributer = Attributer(flat(layer(), keras.layers.ReLU()))
    with pytest.raises(AttribevalError, match=message) as caught:
        attributer.explain(x, method)
    assert "use a method without ReLU rules" in str(caught.value)
    assert np.isfinite(attributer.explain(x, "gradient").values).all()


def test_a_rectifier_inside_its_own_function_is_refused(x):
    attributer = Attributer(subclassed(tf.function(lambda z: tf.nn.relu(z))))
    with pytest.raises(AttribevalError, match=r"tf\.function"):
        attributer.explain(x, "guided_backprop")


@pytest.mark.parametrize("activation", ["tanh", "gelu", "elu", "hard_sigmoid", "linear"])
def test_a_model_without_relu_is_refused(activation, x):
    attributer = Attributer(flat(keras.layers.Activation(activation), keras.layers.Activation(activation)))
    with pytest.raises(AttribevalError, match="equals the gradient here; use 'gradient'"):
        attributer.explain(x, "guided_backprop")


def test_a_concatenated_relu_is_no_difference_of_two(x):
    """CReLU, relu([z, −z]), is one rectifier."""
    inputs = keras.Input(SHAPE)
    hidden = keras.layers.Lambda(tf.nn.crelu)(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    kernel, bias, dense, _ = model.get_weights()
    got = Attributer(model).explain(x[:1], "guided_backprop", [1]).values[0]
    z = convolve(x[0].astype(np.float64), kernel, bias)
    up = dense[:, 1].reshape(5, 5, 8)
    gradient = relu_back(z, up[..., :4], "guided") - relu_back(-z, up[..., 4:], "guided")
    expected = convolve_back(gradient, kernel, x[0].shape)
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


def test_cards_of_the_rules():
    assert [build_method(name).card.name for name in ("GB", "GP", "deconvnet")] == [
        "guided_backprop", "guided_backprop", "deconvnet",
    ]  # fmt: skip
