"""Which method explains a small vision transformer that was really trained? Prints the tables of docs/transformers.md.

    python benchmarks/attribution/transformers.py NET.keras

Trains the net on `digit_scenes` of 32 × 32 pixels unless the file is there; about a quarter of an hour on one core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from attribeval import Attributer, Evaluator, datasets

SIDE, GRID, WIDTH, HEADS, BLOCKS = 32, 8, 64, 4, 3
EPOCHS, N_TRAIN, BATCH, PEAK_RATE = 10, 10_000, 64, 2e-3
N_TEST = 100
METHODS = ["attention_rollout", "transformer_attribution", "generic_attention", "attnlrp", "attnlrp(gamma=0.25)", "lrp",
           "lrp(rule='gamma')", "deeplift", "gradcam", "layercam", "gradient_x_input", "integrated_gradients",
           "occlusion(window=4, stride=4)"]  # fmt: skip
BENCHMARKS = ["pointing_game", "energy_in_box", "deletion(steps=8)", "idsds", "random_logit"]


def build() -> keras.Model:
    """Raw pixels → probabilities: three convolutions give 8 × 8 tokens, a class token is put before them."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for k, filters in enumerate((16, 32)):
        x = layers.Conv2D(filters, 2 if k else 3, strides=1 + k, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
    x = layers.Reshape((GRID * GRID, WIDTH))(layers.Conv2D(WIDTH, 2, strides=2)(x))
    x = layers.ZeroPadding1D((1, 0))(x)  # the class token is its position's embedding
    x = x + layers.Embedding(GRID * GRID + 1, WIDTH)(keras.ops.arange(GRID * GRID + 1))[None]
    for _ in range(BLOCKS):
        h = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(h, h)
        h = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(WIDTH)(h)
    x = layers.LayerNormalization()(x)[:, 0]
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="digit_vit")


def train(file: Path) -> None:
    """Fresh composites each epoch, as the embedded nets are trained (`data/make_digit_nets.py`)."""
    keras.utils.set_random_seed(0)
    model = build()
    steps = EPOCHS * (N_TRAIN // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE / 10, steps, warmup_target=PEAK_RATE, warmup_steps=200)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    for epoch in range(EPOCHS):
        begun = time.perf_counter()
        split = datasets.digit_scenes(size=SIDE, n_train=N_TRAIN, n_test=1, seed=epoch).train
        fitted = model.fit(split.images, split.objects, batch_size=BATCH, verbose=0).history
        seconds = time.perf_counter() - begun
        print(f"epoch {epoch + 1}: accuracy {fitted['accuracy'][0]:.3f}, {seconds:.0f} s", flush=True)
    model.save(file)


def main() -> None:
    """Train if need be; then completeness, and the board."""
    file = Path(sys.argv[1])
    if not file.is_file():
        train(file)
    test = datasets.digit_scenes(size=SIDE, n_train=1, n_test=2_000).test
    attributer = Attributer(file)
    right = attributer.predict(test.images).argmax(1) == test.objects
    print(f"{100 * right.mean():.1f} % of {len(right)} test images are right")
    samples = test.samples()[:N_TEST]
    for name in ("attnlrp", "attnlrp(gamma=0.25)", "lrp(rule='epsilon', epsilon=0)", "deeplift"):
        maps = attributer.explain(samples, name, progress=False)
        sums = maps.values.sum((1, 2, 3), dtype=float)
        share = np.abs(maps.completeness_gap) / np.abs(sums - maps.completeness_gap)
        print(f"{name}: |gap / what should be shared out| has the median {np.median(share):.2g}", flush=True)
    table = Evaluator(attributer, samples).compare(METHODS, BENCHMARKS).table
    print(table.to_string())


if __name__ == "__main__":
    main()
