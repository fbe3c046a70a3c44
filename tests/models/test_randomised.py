"""Models made random for a while: by their own initialisers, in the right order, and handed back bit for bit."""

from __future__ import annotations

import dataclasses
import random

import keras
import numpy as np
import pytest
from helpers.contract import NAMES
from helpers.nets import randomise_batch_norm

from attribeval import AttribevalError, Attributer
from attribeval.models.classifier import Classifier
from attribeval.models.randomised import choose_layers, draw_weights, randomised, weighted_layers

SIZE = 16
layers = keras.layers


def make_flat(seed=1, second=None):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="c1")(inputs)
    x = layers.BatchNormalization(name="n1")(x)
    x = layers.ReLU(name="r1")(x)
    x = layers.MaxPooling2D(name="p1")(x)
    y = (layers.DepthwiseConv2D(3, padding="same", name="c2") if second is None else second())(x)
    x = layers.Add(name="add")([x, layers.ReLU(name="r2")(y)])
    x = layers.Conv2D(6, 3, activation="relu", bias_initializer="random_normal", name="c3")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return randomise_batch_norm(keras.Model(inputs, layers.Dense(4, activation="softmax", name="d")(x), name="flat"))


@pytest.fixture(scope="module")
def flat():
    return Classifier(make_flat())


@pytest.fixture(scope="module")
def images():
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(5).normal(size=(2, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 2, 2, 0)) * 6).astype(np.float32)


def weights_of(classifier):
    return [np.array(w.numpy()) for w in classifier.model.weights]


def same(first, second):
    return [a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True)]


# -- which layers, in which order --------------------------------------------------------------------------------------


def test_layers_come_from_the_output_to_the_input(flat):
    found = weighted_layers(flat)
    assert [layer.path for layer in found] == ["d", "c3", "c2", "n1", "c1"]
    assert [layer.position for layer in found] == [0, 1, 2, 3, 4]
    assert sum(len(layer.variables) for layer in found) == len(flat.model.weights)
    assert [layer.path for layer in choose_layers(found, ["c1", "c3"])] == ["c3", "c1"]
    with pytest.raises(AttribevalError, match="Unknown layer with weights: 'c9'"):
        choose_layers(found, ["c9"])


def test_nested_shared_sequential_and_subclassed():
    keras.utils.set_random_seed(0)
    shared = layers.Conv2D(3, 1, name="shared")
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="inside")], name="inner")

    class Block(layers.Layer):
        """Layers in a list and in an attribute, and a weight of its own; it returns a tuple."""

        def __init__(self):
            super().__init__(name="block")
            self.parts = [layers.Conv2D(3, 1, name="a"), layers.Conv2D(3, 1, name="b")]
            self.scale_initializer = keras.initializers.RandomUniform(1, 2)

        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(3,), initializer=self.scale_initializer)

        def call(self, x):
            return self.parts[1](self.parts[0](x)) * self.scale, x

    class Net(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.shared, self.inner, self.block = shared, inner, Block()
            self.head = layers.Dense(2, name="head")
            self.unused = layers.Dense(2, name="unused")
            self.unused.build((None, 3))

        def build(self, shape):
            self.bias = self.add_weight(name="bias", shape=(2,), initializer="zeros")
            self.bias_initializer = keras.initializers.RandomNormal()
            self.built = True

        def call(self, x):
            x = self.inner(self.shared(x))
            x = self.shared(self.block(x)[0])
            return self.head(keras.ops.mean(x, (1, 2))) + self.bias

    net = Net()
    net(np.zeros((1, 8, 8, 3), np.float32))
    classifier = Classifier(net)
    found = weighted_layers(classifier)
    assert [layer.path for layer in found] == ["net", "head", "shared", "block", "block/b", "block/a", "inner/inside"]
    assert [[v.name for v in layer.variables] for layer in found][:4] == [
        ["bias"], ["kernel", "bias"], ["kernel", "bias"], ["scale"],
    ]  # fmt: skip
    before = weights_of(classifier)
    unused = [v for v in net.weights if any(v is w for w in net.unused.weights)]
    with randomised(classifier, seed=3) as paths:
        assert paths == [layer.path for layer in found]
        for layer in found:  # every kernel is another one, and the layer that is not used stays
            for variable in layer.variables:
                place = next(i for i, v in enumerate(net.weights) if v is variable)
                zeros = variable.name == "bias" and layer.layer is not net
                assert (variable.numpy() == before[place]).all() == zeros  # biases are 0 in the beginning and now
        places = [i for i, v in enumerate(net.weights) if any(v is u for u in unused)]
        assert all(same([before[i] for i in places], [weights_of(classifier)[i] for i in places]))
    assert all(same(before, weights_of(classifier)))


def test_layers_of_one_path_are_told_apart():
    keras.utils.set_random_seed(0)

    class Twins(keras.Model):
        def __init__(self):
            super().__init__(name="twins")
            self.first, self.second = layers.Dense(3, name="same"), layers.Dense(2, name="same")

        def call(self, x):
            return self.second(self.first(keras.ops.mean(x, (1, 2))))

    net = Twins()
    net(np.zeros((1, 4, 4, 3), np.float32))
    found = weighted_layers(Classifier(net))
    assert [(layer.path, layer.variables[0].shape) for layer in found] == [("same", (3, 2)), ("same (2)", (3, 3))]
    assert [layer.position for layer in choose_layers(found, ["same (2)"])] == [1]
    below = [dataclasses.replace(layer, path=f"{k}/same") for k, layer in enumerate(found)]
    with pytest.raises(AttribevalError, match="'same', which stands for 0/same, 1/same"):
        choose_layers(below, ["same"])


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_every_weight_is_drawn_by_its_own_initialiser(flat):
    """Glorot's uniform fills ±√(6 / (fan in + fan out)); biases are 0, but that of c3, which is normal of σ .05."""
    with randomised(flat, seed=7):
        kernels = {n: flat.model.get_layer(n).kernel.numpy() for n in ("c1", "c2", "c3", "d")}
    for name, value in kernels.items():
        places = np.prod(value.shape[:-2])
        limit = np.sqrt(6 / (places * sum(value.shape[-2:])))
        assert 0.8 * limit < np.abs(value).max() <= limit, name
        assert value.std() == pytest.approx(limit / np.sqrt(3), rel=0.25), name
    d, c3, c2 = (next(v for v in flat.model.get_layer(n).weights if v.name == "bias") for n in ("d", "c3", "c2"))
    before = {id(v): v.numpy().copy() for v in (d, c3, c2)}
    with randomised(flat, ["c3", "d"], seed=7):
        assert (d.numpy() == 0).all() and 0 < np.abs(c3.numpy()).max() < 0.3  # normal of σ .05
        assert (c2.numpy() == before[id(c2)]).all()


@pytest.mark.parametrize("statistics", [False, True])
def test_statistics_of_batch_normalization(flat, statistics):
    norm = flat.model.get_layer("n1")
    mean, variance = norm.moving_mean.numpy().copy(), norm.moving_variance.numpy().copy()
    assert (mean != 0).all() and (variance != 1).all()
    with randomised(flat, statistics=statistics):
        assert (norm.gamma.numpy() == 1).all() and (norm.beta.numpy() == 0).all()
        assert (norm.moving_mean.numpy() == (0 if statistics else mean)).all()
        assert (norm.moving_variance.numpy() == (1 if statistics else variance)).all()
    assert (norm.moving_mean.numpy() == mean).all() and (norm.moving_variance.numpy() == variance).all()


def test_same_seed_same_weights_whatever_else_is_drawn_and_no_global_state_moves(flat):
    def kernel(name):
        return flat.model.get_layer(name).weights[0].numpy().copy()

    keras.utils.set_random_seed(11)
    expected = np.array(keras.random.uniform((3,))), np.random.random(), random.random()  # noqa: NPY002
    keras.utils.set_random_seed(11)
    with randomised(flat, seed=4):
        all_of_them = kernel("c1"), kernel("c3")
    with randomised(flat, ["c1"], seed=4):
        alone = kernel("c1")
    with randomised(flat, ["c1"], seed=5):
        other = kernel("c1")
    got = np.array(keras.random.uniform((3,))), np.random.random(), random.random()  # noqa: NPY002
    assert (alone == all_of_them[0]).all() and (alone != other).all()
    assert (expected[0] == got[0]).all() and expected[1:] == got[1:]
    same_shape = np.resize(all_of_them[0], all_of_them[1].shape)
    assert not np.allclose(same_shape, all_of_them[1])  # layers do not share their numbers


def test_frozen_layers_are_drawn_and_adapted_ones_stay():
    keras.utils.set_random_seed(0)
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(np.random.default_rng(0).normal(2, 3, (20, 8, 8, 3)))
    net = keras.Sequential([keras.Input((8, 8, 3)), adapted, layers.Conv2D(2, 3, name="c"), layers.Flatten(),
                            layers.Dense(2, name="d")])  # fmt: skip
    net.trainable = False
    classifier = Classifier(net)
    found = weighted_layers(classifier)
    assert [(layer.path, bool(layer.variables)) for layer in found] == [("d", True), ("c", True), ("adapted", False)]
    assert set(found[2].fixed) == {"mean", "variance", "count"}
    before = weights_of(classifier)
    with randomised(classifier):
        changed = [not equal for equal in same(before, weights_of(classifier))]
    assert changed == [v.name == "kernel" for v in net.weights]


def test_drawn_for_good():
    first, second = Classifier(make_flat(1)), Classifier(make_flat(2))
    draw_weights(first, seed=6)
    assert not all(same(weights_of(first), weights_of(second)))
    draw_weights(second, seed=6)
    assert all(same(weights_of(first), weights_of(second)))  # statistics too


# -- handed back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_handed_back_bit_for_bit(flat, error):
    flat.model.get_layer("c1").kernel.assign(
        np.where(np.arange(135).reshape(3, 3, 3, 5) % 7 == 0, -0.0, flat.model.get_layer("c1").kernel.numpy())
    )
    before, fingerprint = weights_of(flat), flat.fingerprint()
    try:
        with randomised(flat, statistics=True):
            assert flat.fingerprint() != fingerprint
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert all(same(before, weights_of(flat))) and flat.fingerprint() == fingerprint


def test_an_interruption_while_weights_are_put_back_waits_until_they_are(flat, monkeypatch):
    before = weights_of(flat)
    calls = []
    variable = type(flat.model.weights[0])
    assign = variable.assign

    def interrupted(self, value):
        calls.append(value)
        if len(calls) == 13:  # nine are drawn; the fourth that is put back is interrupted
            raise KeyboardInterrupt
        return assign(self, value)

    with pytest.raises(KeyboardInterrupt), randomised(flat):
        monkeypatch.setattr(variable, "assign", interrupted)
        calls.extend([None] * 9)
    monkeypatch.undo()
    assert len(calls) == 13 + 9 and all(same(before, weights_of(flat)))


def test_an_interruption_while_weights_are_drawn(flat, monkeypatch):
    before = weights_of(flat)
    calls = []
    variable = type(flat.model.weights[0])
    assign = variable.assign

    def interrupted(self, value):
        calls.append(value)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return assign(self, value)

    monkeypatch.setattr(variable, "assign", interrupted)
    with pytest.raises(KeyboardInterrupt), randomised(flat):
        raise AssertionError("never reached")
    assert all(same(before, weights_of(flat)))


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_a_variable_that_cannot_be_drawn_is_named_and_nothing_has_changed():
    keras.utils.set_random_seed(0)

    class Scale(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(name="factor", shape=(1,), initializer="ones")

        def call(self, x):
            return x * self.factor

    def drawn(shape, dtype=None):
        return keras.random.normal(shape, dtype=dtype)

    def net(*inner):
        return Classifier(keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1, name="c"), *inner,
                                            layers.Flatten(), layers.Dense(2, name="d")]))  # fmt: skip

    plain = net(Scale(name="scale"))
    before = weights_of(plain)
    with pytest.raises(AttribevalError, match=r"none for 'factor' of layer 'scale' \(Scale\)"), randomised(plain):
        pass
    with randomised(plain, ["c", "d"]) as paths:  # the others can
        assert paths == ["d", "c"]
    assert all(same(before, weights_of(plain)))
    function = net(layers.Conv2D(2, 1, kernel_initializer=drawn, name="by_function"))
    with pytest.raises(AttribevalError, match=r"'kernel' of layer 'by_function'.*subclass"), randomised(function):
        pass
    empty = keras.Sequential([keras.Input((4, 4, 3)), layers.GlobalAveragePooling2D()])
    with pytest.raises(AttribevalError, match="without any"):
        weighted_layers(Classifier(empty))


# -- every method follows the weights ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    """An Attributer whose model is random inside a block, and one of a model that has those weights for good."""

    def convolution():  # shap.DeepExplainer has no rule for depthwise ones
        return layers.Conv2D(5, 3, padding="same", name="c2")

    model, twin = make_flat(second=convolution), make_flat(second=convolution)
    original = Attributer(model)
    with randomised(original.classifier, seed=9, statistics=True):
        twin.set_weights(model.get_weights())
    return original, Attributer(twin)


@pytest.mark.parametrize("name", NAMES)
def test_maps_inside_the_block_are_those_of_a_model_with_the_random_weights(name, pair, images):
    """No method holds weights, or what follows from them, from the time before."""
    original, twin = pair
    before = original.explain(images, name, [1, 2], seed=3, batch_size=2).values  # compiled and remembered
    with randomised(original.classifier, seed=9, statistics=True):
        inside = original.explain(images, name, [1, 2], seed=3, batch_size=2).values
    expected = twin.explain(images, name, [1, 2], seed=3, batch_size=2).values
    np.testing.assert_allclose(inside, expected, rtol=1e-4, atol=1e-5 * max(np.abs(expected).max(), 1e-9))
    after = original.explain(images, name, [1, 2], seed=3, batch_size=2).values
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6 * max(np.abs(before).max(), 1e-9))
    if name.split("(")[0] not in ("sobel", "input", "random", "anchors"):
        assert not np.allclose(inside, before, rtol=1e-3)  # the weights matter, so that the comparison says something
