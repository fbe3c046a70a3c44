"""What does a grid cost beyond its trainings? Its wall time against the bare sum of `Model.fit` for the same trainings.

    python benchmarks/roar/grid.py --rounds 3 --images 5000 --epochs 8

The bare side is what a user would write: the same net, optimizer, schedule and batch, images in memory as they are
(nothing is masked), `fit` and then `evaluate` on the test images, one after another in one process, TensorFlow's
defaults (no determinism). The grid's side is `Evaluator.roar` with one job: a process per training, masks, both
evaluations, determinism, records, and also what `fit` has no part in: one map per image (of random), the report, and
the start of a worker process in every round. Each round trains two models on either side; they take turns, with the
same number of threads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np


def bare(model: Any, recipe: Any, train: Any, test: Any) -> float:
    """Seconds of `fit` and `evaluate`, compilation included."""
    import keras

    begun = time.perf_counter()
    model.compile(recipe.make_optimizer(len(train)), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = train.images.astype(np.float32), train.labels
    model.fit(images, labels, batch_size=recipe.batch_size, epochs=int(recipe.epochs), verbose=0)
    model.evaluate(test.images.astype(np.float32), test.labels, batch_size=256, verbose=0)
    seconds = time.perf_counter() - begun
    keras.backend.clear_session()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    from attribeval import Evaluator, Recipe
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.datasets import TrainTest, digit_scenes
    from attribeval.models.small_net import small_net

    made = digit_scenes(size=arguments.size, n_train=arguments.images, n_test=1000)
    data = TrainTest(made.train.samples(), made.test.samples())
    recipe = Recipe(epochs=arguments.epochs)
    shape = (arguments.size, arguments.size, 3)
    fits, calls = [], []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.rounds):  # one repeat more: the unmodified model, and one without half its values
            fits += [bare(small_net(shape, 10), recipe, *data) for _ in range(2)]
            begun = time.perf_counter()
            Evaluator.roar(
                lambda: small_net(shape, 10), data, ["random"], run_dir=folder, fractions=[0.5], modes=["remove"],
                repeats=repeat + 1, recipe=recipe, progress=False,
            )  # fmt: skip
            calls.append(time.perf_counter() - begun)
        records = RunDir(folder).records()
    seconds, epochs = (sum(of(record) for record in records) for of in (
        lambda record: record["seconds"], lambda record: sum(record["history"]["seconds"])))  # fmt: skip
    trainings = f"{len(fits)} trainings of {arguments.images} images of {shape}, {arguments.epochs} epochs"
    print(f"{trainings}\nfit and evaluate   {sum(fits):7.1f} s   {np.round(fits, 1).tolist()}")
    print(f"grid, everything   {sum(calls):7.1f} s   {sum(calls) / sum(fits):.3f} ×   {np.round(calls, 1).tolist()}")
    print(f"  within its cells {seconds:7.1f} s   {seconds / sum(fits):.3f} ×   of this in epochs {epochs:.1f} s")


if __name__ == "__main__":
    main()
