"""How much of the device does a training use? Our loop beside the bare compiled step, on ready batches, in one run.

    python benchmarks/roar/device.py                # a small net at 32 px
    python benchmarks/roar/device.py --big          # ResNet50 at 224 px, too (a GPU)

"bare" is one `tf.function` of the same step (same net, loss, optimizer), called on one batch that is on the device.
"ours" is `train` on a `tf.data` stream of that batch, from the first step on which both have compiled. Rows: precision,
XLA, steps per call of the compiled loop. Both take turns; the best of `--rounds` counts. Lines come as they are done.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def bare_step(model: Any, recipe: Any, x: Any, y: Any) -> Any:
    """The compiled step by itself: softmax cross-entropy, L2 as `train` has it, the recipe's optimizer."""
    import tensorflow as tf

    optimizer = recipe.make_optimizer(len(x))
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False, jit_compile=recipe.jit_compile)
    def step(x, y):
        with tf.GradientTape() as tape:
            output = tf.cast(model(x, training=True), tf.float32)
            loss = tf.reduce_mean(tf.keras.losses.sparse_categorical_crossentropy(y, output))
            loss += recipe.weight_decay * tf.add_n([tf.nn.l2_loss(v.value) for v in model.trainable_variables])
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return lambda: step(x, y)


def time_bare(model: Any, recipe: Any, x: Any, y: Any, steps: int) -> tuple[float, float]:
    """Seconds until the first step is done, and of `steps` more."""
    begun = time.perf_counter()
    step = bare_step(model, recipe, x, y)
    float(step())
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    for _ in range(steps):
        loss = step()
    float(loss)
    return first, time.perf_counter() - begun


def time_ours(model: Any, recipe: Any, x: Any, y: Any, steps: int) -> tuple[float, float]:
    """The same of `train`: an epoch of `steps` that also compiles, then another."""
    import tensorflow as tf

    from attribeval.training.loop import train

    stream = tf.data.Dataset.from_tensors((x, y)).repeat()
    seconds = []
    begun = time.perf_counter()

    class Epochs(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - begun)

    recipe = dataclasses.replace(recipe, epochs=None, steps=steps + steps)
    train(model, lambda size, part: stream, steps * len(x), recipe, tf.distribute.get_strategy(), [Epochs()])
    return seconds[0] - (seconds[1] - seconds[0]), seconds[1] - seconds[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--big", action="store_true", help="ResNet50 at 224 px, batch 128")
    parser.add_argument("--precisions", nargs="+", default=["float32"], help="float32, tf32, bfloat16, float16")
    parser.add_argument("--steps", type=int, default=60, help="that are timed")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jit", action="store_true", help="with XLA, too")
    args = parser.parse_args()

    import tensorflow as tf

    from attribeval import Recipe
    from attribeval.models.run_options import tf32
    from attribeval.models.small_net import small_net
    from attribeval.training.builder import build, describe

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    print(f"device: {', '.join(names) or f'CPU, {os.cpu_count()} cores'}; TensorFlow {tf.__version__}", flush=True)
    nets = {"small net, 32 px": (lambda: small_net((32, 32, 3), 10), (64, 32, 32, 3), 10)}
    if args.big:
        nets["ResNet50, 224 px"] = (lambda: tf.keras.applications.ResNet50(weights=None), (128, 224, 224, 3), 1000)
    for net, (make, shape, classes) in nets.items():
        spec = describe(make)
        rng = np.random.default_rng(0)
        x = tf.constant(rng.normal(size=shape).astype(np.float32))
        y = tf.constant(rng.integers(0, classes, shape[0]).astype(np.int32))
        rows = [
            (p, jit, n) for p in args.precisions for jit in ([False, True] if args.jit else [False]) for n in (1, 16)
        ]
        for precision, jit, together in rows:
            recipe = Recipe(
                epochs=1, batch_size=shape[0], optimizer="sgd", learning_rate=0.01, precision=precision,
                jit_compile=jit, steps_per_execution=together,
            )  # fmt: skip
            found = []
            for _ in range(args.rounds):
                with tf32(precision == "tf32"):
                    bare = time_bare(build(spec, 0, recipe.policy), recipe, x, y, args.steps)
                    ours = time_ours(build(spec, 0, recipe.policy), recipe, x, y, args.steps)
                found.append((bare, ours))
                tf.keras.backend.clear_session()
            rate = shape[0] * args.steps
            bare, ours = (min(pair[k][1] for pair in found) for k in (0, 1))
            first = [min(pair[k][0] for pair in found) for k in (0, 1)]
            row = f"{net}  {precision}{' XLA' if jit else ''}  {together:>2} steps a call"
            print(
                f"{row}  bare {rate / bare:9.0f} images/s  ours {rate / ours:9.0f}  ours/bare {bare / ours:.2f}  "
                f"first step {first[0]:.1f} s and {first[1]:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
