"""A small vision transformer by the layers of Keras, and all that it computes written again in NumPy."""

from __future__ import annotations

import keras
import numpy as np
from scipy.special import erf

L = keras.layers
SIZE, PATCH, WIDTH, HEADS, CLASSES = 12, 4, 8, 2, 4
# Extra tokens before the patches, and which tokens the head reads: None is the mean of all.
READS = {"class token": (1, [0]), "average": (0, None), "two of three extra tokens": (3, [0, 2])}


class Extra(L.Layer):
    """Learnt tokens before the others, if any, and a position for each."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, self.extra, shape[-1]), initializer="random_normal")
        self.places = self.add_weight(shape=(1, shape[1] + self.extra, shape[-1]), initializer="random_normal")

    def call(self, x):
        tokens = keras.ops.broadcast_to(self.tokens, (keras.ops.shape(x)[0], self.extra, x.shape[-1]))
        return keras.ops.concatenate([tokens, x], axis=1) + self.places


def vit(kind, blocks=2, dropout=0.0, seed=3):
    """Patches of 4 × 4, GELU, LayerNorm before each part and at the end; all weights drawn, biases too."""
    extra, read = READS[kind]
    inputs = keras.Input((SIZE, SIZE, 3))
    x = Extra(extra)(L.Reshape((9, WIDTH))(L.Conv2D(WIDTH, PATCH, strides=PATCH)(inputs)))
    for _ in range(blocks):
        h = L.LayerNormalization()(x)
        x = x + L.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=dropout)(h, h)
        h = L.Dense(12, activation="gelu")(L.LayerNormalization()(x))
        x = x + L.Dense(WIDTH)(h)
    x = L.LayerNormalization()(x)
    if read is None:
        x = L.GlobalAveragePooling1D()(x)
    else:
        x = x[:, read[0]] if len(read) == 1 else keras.ops.add(*(x[:, k] for k in read))
    model = keras.Model(inputs, L.Dense(CLASSES)(x))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.6, w.shape) for w in model.get_weights()]
    if read is None:  # an average says little of each token: the head says it aloud
        weights[-2] *= 100
    model.set_weights(weights)
    return model


def norm(x, gamma, beta):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3) * gamma + beta


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def forward(drawn, kind, image, nudge=None):
    """Logits of one image and, block by block, everything on the way; float64.

    Args:
        drawn: The weights of a model of `vit`.
        kind: Which one it is.
        image: (12, 12, 3).
        nudge: A block's number and what is added to its weights of attention, (heads, tokens, tokens).
    """
    _, read = READS[kind]
    weights = iter([w.astype(float) for w in drawn])
    kernel, bias = next(weights), next(weights)
    patches = image.astype(float).reshape(3, PATCH, 3, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(9, -1)
    extra, places = next(weights), next(weights)
    x = np.concatenate([extra[0], patches @ kernel.reshape(-1, WIDTH) + bias]) + places[0]
    known, count = [], (len(drawn) - 8) // 16
    for number in range(count):
        b = {"x": x, "norm1": (next(weights), next(weights))}
        b["h"] = norm(x, *b["norm1"])
        for name in "qkv":
            b[f"w{name}"], b[f"b{name}"] = next(weights), next(weights)
            b[name] = np.einsum("nc,chd->hnd", b["h"], b[f"w{name}"]) + b[f"b{name}"][:, None]
        b["wo"], b["bo"] = next(weights), next(weights)
        b["s"] = np.einsum("hnd,hmd->hnm", b["q"], b["k"]) / np.sqrt(b["q"].shape[-1])
        b["a"] = softmax(b["s"])
        weighed = b["a"] + (nudge[1] if nudge is not None and nudge[0] == number else 0)
        b["mixed"] = np.einsum("hnm,hmd->hnd", weighed, b["v"])
        b["attended"] = np.einsum("hnd,hdc->nc", b["mixed"], b["wo"]) + b["bo"]
        b["y"] = x + b["attended"]
        b["norm2"] = (next(weights), next(weights))
        b["g"] = norm(b["y"], *b["norm2"])
        b["w1"], b["b1"], b["w2"], b["b2"] = (next(weights) for _ in range(4))
        b["up"] = b["g"] @ b["w1"] + b["b1"]
        b["active"] = gelu(b["up"])
        b["down"] = b["active"] @ b["w2"] + b["b2"]
        x = b["y"] + b["down"]
        known.append(b)
    last = (next(weights), next(weights))
    tokens = norm(x, *last)
    feature = tokens.mean(0) if read is None else tokens[read].sum(0)
    head, offset = next(weights), next(weights)
    end = {"x": x, "norm": last, "tokens": tokens, "feature": feature, "head": head, "offset": offset}
    end |= {"patches": patches, "kernel": kernel.reshape(-1, WIDTH), "bias": bias, "places": places[0]}
    return feature @ head + offset, known, end


def attention_gradients(drawn, kind, image, target, step=1e-5):
    """d logit / d weights of attention of every block, by central differences."""
    _, known, _ = forward(drawn, kind, image)
    found = []
    for number, block in enumerate(known):
        gradient = np.zeros_like(block["a"])
        for place in np.ndindex(gradient.shape):
            nudge = np.zeros_like(gradient)
            nudge[place] = step
            ends = [forward(drawn, kind, image, (number, sign * nudge))[0][target] for sign in (1, -1)]
            gradient[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(gradient)
    return found


def read_out(kind, product):
    """The picture (3, 3) of a product of all layers' matrices, at the tokens that the head reads."""
    extra, read = READS[kind]
    rows = product if read is None else product[read]
    return rows.mean(0)[extra:].reshape(3, 3)
