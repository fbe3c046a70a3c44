"""Methods that read a transformer's attention: against NumPy, on a net that looks at one patch, and refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.contract import ON_ATTENTION, close
from helpers.vit import READS, attention_gradients, forward, read_out, vit

from attribeval import Attributer
from attribeval.errors import AttribevalError

L = keras.layers
TARGETS = [0, 1, 3]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(3, 12, 12, 3)).astype("f4")


@pytest.fixture(scope="module")
def nets():
    return {kind: (model := vit(kind), Attributer(model)) for kind in READS}


def enlarged(picture):
    return tf.image.resize(np.asarray(picture, "f4")[..., None], (12, 12)).numpy()


def slow_rollout(drawn, kind, image, target):
    product = np.eye(9 + READS[kind][0])
    for block in forward(drawn, kind, image)[1]:
        weights = 0.5 * block["a"].mean(0) + 0.5 * np.eye(len(product))
        product = weights / weights.sum(1, keepdims=True) @ product
    assert product.sum(1) == pytest.approx(1)
    return product


def slow_generic(drawn, kind, image, target):
    relevance = np.eye(9 + READS[kind][0])
    gradients = attention_gradients(drawn, kind, image, target)
    for block, gradient in zip(forward(drawn, kind, image)[1], gradients, strict=True):
        relevance = relevance + np.maximum(gradient * block["a"], 0).mean(0) @ relevance
    return relevance


def safe(a, b):
    return np.divide(a, b, out=np.zeros_like(a), where=np.abs(b) > 1e-12)


def z_plus(x, weight, relevance):
    """Rows x through a matrix: what is positive of x w shares out the relevance."""
    up, down = np.maximum(x, 0), np.minimum(x, 0)
    plus, minus = np.maximum(weight, 0), np.minimum(weight, 0)
    share_ = safe(relevance, up @ plus + down @ minus)
    return up * (share_ @ plus.T) + down * (share_ @ minus.T)


def residual(x, branch, relevance):
    share_ = safe(relevance, x + branch)
    parts, sizes = (x * share_, branch * share_), []
    total = sum(abs(part.sum()) for part in parts)
    for part in parts:
        sizes.append(part * abs(part.sum()) / total * relevance.sum() / part.sum())
    return sizes


def slow_attribution(drawn, kind, image, target):
    """Relevance from the logit down through the blocks, as the authors' layers pass it."""
    _, known, end = forward(drawn, kind, image)
    one_hot = np.eye(len(end["offset"]))[target]
    feature = z_plus(end["feature"][None], end["head"], one_hot[None])[0]
    _, read = READS[kind]
    relevance = np.zeros_like(end["tokens"])
    rows = range(len(relevance)) if read is None else read
    for row in rows:  # a token's part of the sum that the head sees
        part = end["tokens"][row] / (len(relevance) if read is None else 1)
        relevance[row] = safe(part * feature, end["feature"])
    product = np.eye(len(relevance))
    matrices = []
    gradients = attention_gradients(drawn, kind, image, target)
    for block, gradient in zip(known[::-1], gradients[::-1], strict=True):
        stay, branch = residual(block["y"], block["down"], relevance)
        branch = z_plus(block["active"], block["w2"], branch)
        branch = z_plus(block["g"], block["w1"], branch)
        stay, branch = residual(block["x"], block["attended"], stay + branch)
        heads, tokens, d = block["mixed"].shape
        mixed = block["mixed"].transpose(1, 0, 2).reshape(tokens, -1)
        branch = z_plus(mixed, block["wo"].reshape(heads * d, -1), branch)
        share_ = safe(branch.reshape(tokens, heads, d).transpose(1, 0, 2), block["mixed"]) / 2
        of_a = block["a"] * np.einsum("hnd,hmd->hnm", share_, block["v"])
        of_v = block["v"] * np.einsum("hnm,hnd->hmd", block["a"], share_)
        matrices.append(np.eye(tokens) + np.maximum(gradient * of_a, 0).mean(0))
        share_ = safe(of_a, block["s"]) / 2 / np.sqrt(d)
        of_q = block["q"] * np.einsum("hnm,hmd->hnd", share_, block["k"])
        of_k = block["k"] * np.einsum("hnm,hnd->hmd", share_, block["q"])
        for name, given in zip("qkv", (of_q, of_k, of_v), strict=True):
            stay = stay + z_plus(
                block["h"], block[f"w{name}"].reshape(-1, heads * d), given.transpose(1, 0, 2).reshape(tokens, -1)
            )
        relevance = stay
    for matrix in matrices:
        product = product @ matrix
    return product


SLOW = {
    "transformer_attribution": slow_attribution,
    "attention_rollout": slow_rollout,
    "generic_attention": slow_generic,
}


@pytest.mark.parametrize(
    "name,kind",
    [
        *[("attention_rollout", kind) for kind in READS],
        ("generic_attention", "two of three extra tokens"),
        ("transformer_attribution", "class token"),
        ("transformer_attribution", "average"),
    ],
)
def test_against_the_formula_on_attention_computed_by_hand(name, kind, nets, images):
    model, attributer = nets[kind]
    drawn = model.get_weights()
    logits = np.stack([forward(drawn, kind, image)[0] for image in images])
    np.testing.assert_allclose(logits, model(images), rtol=1e-4, atol=1e-4)  # the net, too, is written again
    maps = attributer.explain(images, name, TARGETS, progress=False).values
    for image, target, ours in list(zip(images, TARGETS, maps, strict=True))[: 3 if name == "attention_rollout" else 1]:
        expected = read_out(kind, SLOW[name](drawn, kind, image, target))
        assert np.ptp(expected) > 1e-3 * expected.max()
        np.testing.assert_allclose(ours, enlarged(expected), atol=1e-3 * np.ptp(expected))


def test_rollout_is_of_no_class_and_the_others_are(nets, images):
    for name in ON_ATTENTION:
        one, other = (nets["class token"][1].explain(images, name, k, progress=False).values for k in (0, 1))
        assert (np.abs(one - other).max() == 0) == (name == "attention_rollout")


def test_dropout_and_nesting_change_nothing(nets, images):
    expected = nets["class token"][1].explain(images, "attention_rollout", 0, progress=False).values
    dropping = vit("class token", dropout=0.3)  # Keras then computes attention in another way
    inputs = keras.Input((12, 12, 3))
    nested = Attributer(keras.Model(inputs, dropping(L.RandomFlip()(inputs))))
    close(nested.explain(images, "attention_rollout", 0, progress=False).values, expected, "attention_rollout")


# ------------------------------------------------------------------------------------------ a net that sees one patch

SEEN = (1, 2)  # row and column of the patch


class Looking(L.Layer):
    """The class token looks at one patch, all others at themselves; channels: 4 of content, then a flag per token."""

    def build(self, shape):
        where = 1 + 3 * SEEN[0] + SEEN[1]
        order = np.eye(10, dtype="f4")
        order[0] = order[where]
        flags = np.concatenate([np.zeros((4, 10), "f4"), np.eye(10, dtype="f4")])
        self.queries, self.keys = 500 * flags @ order, flags

    def call(self, x):
        q, k = (keras.ops.einsum("bnc,cd->bnd", x, w) for w in (self.queries, self.keys))
        weights = keras.ops.softmax(keras.ops.einsum("bnd,bmd->bnm", q, k))
        content = x * np.array([1] * 4 + [0] * 10, "f4")
        return x + keras.ops.einsum("bnm,bmc->bnc", weights, content)


class Flagged(L.Layer):
    """Content of the patches, none of the class token, and the flags."""

    def call(self, x):
        x = keras.ops.pad(keras.ops.reshape(x, (-1, 9, 4)), ((0, 0), (1, 0), (0, 0)))
        return keras.ops.einsum("bnc,cd->bnd", x, np.eye(4, 14, dtype="f4")) + np.concatenate(
            [np.zeros((10, 4), "f4"), np.eye(10, dtype="f4")], 1
        )


@pytest.fixture(scope="module")
def looking():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((12, 12, 3))
    x = Flagged()(L.Conv2D(4, 4, strides=4, use_bias=False)(inputs))
    x = Looking()(Looking()(x))
    x = x[:, 0, :4]
    return Attributer(keras.Model(inputs, L.Dense(3, use_bias=False)(L.Dense(6, "relu", use_bias=False)(x))))


@pytest.mark.parametrize(
    "name",
    [*ON_ATTENTION, "gradient", "gradient_x_input", "integrated_gradients", "deeplift", "lrp", "attnlrp",
     "occlusion(window=4, stride=4)"],
)  # fmt: skip
def test_a_net_that_looks_at_one_patch(name, looking, images):
    maps = np.abs(looking.explain(images, name, progress=False).values).sum(-1)
    seen = _seen()
    assert (maps.max((1, 2)) > 0).all()
    for one in maps:
        assert seen.flat[one.argmax()]
        if name in ON_ATTENTION:  # one value for each patch, drawn bilinearly
            np.testing.assert_allclose(one / one.max(), _alone(), atol=1e-5)
        else:
            assert not one[~seen].any()


def test_grad_cam_of_tokens_is_at_that_patch_if_only_it_has_content(looking, images):
    """Grad-CAM averages gradients over places, so that content anywhere would be marked."""
    images = images * _seen()[..., None]
    found = [looking.explain(images, "gradcam", k, progress=False).values[..., 0] for k in range(3)]
    positive = [one for maps in found for one in maps if one.max() > 0]
    assert looking.classifier.target_grid == (3, 3) and len(positive) > 2
    for one in positive:
        np.testing.assert_allclose(one / one.max(), _alone(), atol=1e-5)


def _seen():
    seen = np.zeros((12, 12), bool)
    rows, columns = (slice(4 * k, 4 * k + 4) for k in SEEN)
    seen[rows, columns] = True
    return seen


def _alone():
    """A grid of which only that patch has a value, drawn as maps are, up to 1."""
    alone = enlarged(np.arange(9).reshape(3, 3) == 3 * SEEN[0] + SEEN[1])[..., 0]
    return alone / alone.max()


# ------------------------------------------------------------------------------------------------------------ refusals


def _windows():
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 4, strides=4)(inputs)
    parts = keras.ops.reshape(
        keras.ops.transpose(keras.ops.reshape(x, (-1, 2, 2, 2, 2, 8)), (0, 1, 3, 2, 4, 5)), (-1, 4, 8)
    )
    parts = L.MultiHeadAttention(2, 4, name="in_windows")(parts, parts)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(keras.ops.reshape(parts, (-1, 16, 8)))))


def _fewer_keys():
    inputs = keras.Input((16, 16, 3))
    x = L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(inputs))
    small = L.Reshape((4, 8))(L.Conv2D(8, 2, strides=2)(L.Reshape((4, 4, 8))(x)))
    x = x + L.MultiHeadAttention(2, 4, name="to_fewer")(x, small)
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("name", ON_ATTENTION)
def test_what_is_refused_and_what_it_says(name):
    inputs = keras.Input((16, 16, 3))
    plain = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(inputs))))
    ask = np.zeros((1, 16, 16, 3), "f4"), name, 0
    with pytest.raises(AttribevalError, match=f"Expected a transformer for {name}.*without attention.*'gradcam'"):
        Attributer(plain).explain(*ask)
    for build, layer in ((_windows, "in_windows"), (_fewer_keys, "to_fewer")):
        with pytest.raises(AttribevalError, match=f"Expected a transformer for {name}.*in layer '{layer}'.*'attnlrp'"):
            Attributer(build()).explain(*ask)


# ------------------------------------------------------------------------------------------------------------- KerasHub


@pytest.mark.parametrize("name", ["ViT", "DeiT"])
def test_rollout_of_kerashub_is_that_of_the_scores_which_its_layers_return(name):
    hub = pytest.importorskip("keras_hub")
    keras.utils.set_random_seed(0)
    common = {"image_shape": (16, 16, 3), "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}
    extra = {"ViT": {"mlp_dim": 16}, "DeiT": {"intermediate_dim": 16}}[name]
    backbone = getattr(hub.models, f"{name}Backbone")(**common, **extra)
    backbone.set_weights([3 * w + 0.1 for w in backbone.get_weights()])
    images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("f4")
    maps = Attributer(keras.Model(backbone.input, L.Dense(3)(backbone.output[:, 0])))
    embed, encoder = (layer for layer in backbone.layers if not isinstance(layer, L.InputLayer))
    x = embed(images)
    product = np.eye(x.shape[1])
    for block in encoder.encoder_layers:
        h = block.layer_norm_1(x)
        weights = block.mha(h, h, return_attention_scores=True)[1].numpy().mean(1)
        product = (0.5 * weights + 0.5 * np.eye(x.shape[1])) @ product
        x = block(x)[0] if name == "DeiT" else block(x)
    expected = tf.image.resize(product[:, 0, -16:].reshape(2, 4, 4, 1), (16, 16))
    found = maps.explain(images, "attention_rollout", 0, progress=False).values
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.max(expected))
    for other in ("generic_attention", "transformer_attribution", "attnlrp"):
        values = maps.explain(images, other, 0, progress=False).values
        assert np.isfinite(values).all() and np.ptp(values) > 0
