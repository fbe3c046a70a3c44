"""Five studies, each so small that it takes seconds: what `kill.py`, `crowd.py` and `fuzz.py` disturb."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE, CLASSES = 12, 3
COSTS = ("seconds_per_image", "peak_memory_mib", "scoring_seconds_per_image", "passes_per_image")


def pictures(n: int, seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bar whose place and channel tell the class: images uint8 (N, size, size, 3), labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    images = rng.integers(0, 120, (n, size, size, 3))
    for image, label in zip(images, labels, strict=True):
        image[2 : size - 2, 1 + 4 * label : 4 + 4 * label, label] += 130
    return images.astype(np.uint8), labels


def net() -> Any:
    """A net of some hundred weights, the same each time."""
    import keras

    keras.utils.set_random_seed(3)
    return untrained()


def untrained() -> Any:
    """The net with weights drawn anew."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(6, 3, activation="tanh", name="first"),
            layers.Conv2D(6, 3, activation="tanh", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax", name="head"),
        ]
    )


def samples(n: int = 70) -> Any:
    """Images with labels and the boxes of their bars, in more than one chunk of each study."""
    from attribeval.datasets.samples import Samples

    images, labels = pictures(n, 0)
    boxes = [np.array([[(1 + 4 * k) / SIZE, 2 / SIZE, (4 + 4 * k) / SIZE, 1 - 2 / SIZE]]) for k in labels]
    return Samples(images.astype(np.float32), labels, boxes=boxes)


def wsol(run_dir: Path, methods: Any = ("gradient", "gradcam"), **options: Any) -> Any:
    from attribeval import Attributer, Evaluator

    return Evaluator(Attributer(net()), samples()).wsol(methods, run_dir=run_dir, progress=False, **options)


def compare(run_dir: Path, methods: Any = ("gradient", "gradcam"), **options: Any) -> Any:
    from attribeval import Attributer, Evaluator

    options = {"benchmarks": ["deletion", "energy_in_box", "sparseness"], "chunk": 4} | options
    evaluator = Evaluator(Attributer(net()), samples(10))
    return evaluator.compare(methods, run_dir=run_dir, progress=False, **options)


def sanity(run_dir: Path, methods: Any = ("gradient", "gradcam"), **options: Any) -> Any:
    from attribeval import Attributer, Evaluator

    options = {"similarities": ["spearman", "ssim"]} | options
    return Evaluator(Attributer(net()), samples()).sanity(methods, run_dir=run_dir, progress=False, **options)


def bam(run_dir: Path, methods: Any = ("gradient", "gradcam"), **options: Any) -> Any:
    from attribeval import Evaluator
    from attribeval.benchmarks.bam.nets import Net
    from attribeval.models.small_net import small_net
    from attribeval.training.recipe import Recipe

    def build(shape: tuple[int, ...], classes: int) -> Any:
        return small_net(shape, classes, widths=(6, 8))

    recipe = Recipe(steps=40, batch_size=24)
    net = Net(build, recipe, recipe, concept_layers=("relu2", "logits"))
    sizes = {"images": 70, "robust_images": 6, "patch_images": 6, "series_images": 6, "slow_images": 2}
    options = {"net": net, "ks": (1 / 3, 1.0), "random_sets": 2, "strategy": _here()} | sizes | options
    return Evaluator.bam(_objects_on_scenes(), methods, run_dir=run_dir, progress=False, **options)


def roar(run_dir: Path, methods: Any = ("GRAD", "random"), **options: Any) -> Any:
    from attribeval import Evaluator
    from attribeval.datasets import Samples, TrainTest
    from attribeval.training.recipe import Recipe

    data = TrainTest(Samples(*pictures(60, 1), name="bars"), Samples(*pictures(30, 2), name="bars"))
    recipe = Recipe(epochs=2, batch_size=16, learning_rate=0.05)
    options = {"fractions": [0.5], "modes": ["remove"], "repeats": 1, "recipe": recipe, "checkpoint": net()} | options
    return Evaluator.roar(untrained, data, methods, run_dir=run_dir, progress=False, strategy=_here(), **options)


STUDIES: dict[str, Callable[..., Any]] = {
    "wsol": wsol, "compare": compare, "sanity": sanity, "bam": bam, "roar": roar,
}  # fmt: skip


def outcome(result: Any) -> str:
    """Everything that a result found out, without what it cost, as text that shows every bit."""
    table = result.table.drop(columns=[name for name in COSTS if name in result.table])
    order = [name for name in ("method", "metric", "benchmark", "mode", "layer", "fraction") if name in table]
    text = table.sort_values(order, kind="stable").to_csv(index=False)
    for name in sorted(result.arrays):
        values = np.ascontiguousarray(result.arrays[name])
        text += f"{name} {values.dtype} {values.shape} {hashlib.blake2b(values, digest_size=8).hexdigest()}\n"
    return text


def in_fork(work: Callable[[], None]) -> int:
    """Do something in a child of this process, in which TensorFlow is loaded and not yet used; returns its id.

    It ends with code 0, with that of `sys.exit`, or with 1 if it raised, which it tells on standard error.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        work()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def load() -> None:
    """Import what the studies need, so that forks start at once; no operation of TensorFlow is run."""
    from attribeval.quiet import load_tensorflow

    load_tensorflow(
        "keras",
        "pandas",
        "scipy.stats",
        "attribeval.evaluator",
        "attribeval.benchmarks.bam.procedure",
        "attribeval.benchmarks.leaderboard.procedure",
        "attribeval.benchmarks.roar.cell",
        "attribeval.benchmarks.roar.importance",
        "attribeval.benchmarks.roar.procedure",
        "attribeval.benchmarks.sanity.procedure",
        "attribeval.benchmarks.wsol.procedure",
    )


def _here() -> Any:
    """The strategy that keeps trainings in this process."""
    import tensorflow as tf

    return tf.distribute.get_strategy()


def _objects_on_scenes() -> Any:
    """Two objects on three scenes of plain colours, for BAM."""
    from attribeval.datasets.bam import Bam, BamPart

    rng = np.random.default_rng(0)

    def part(name: str, n: int) -> BamPart:
        objects, scenes = np.arange(n) % 2, np.arange(n) // 2 % 3
        colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
        plain = colours[scenes][:, None, None] + rng.normal(0, 25, (n, SIZE, SIZE, 3))
        plain = np.clip(plain, 0, 255).astype(np.uint8)
        masks = np.zeros((n, SIZE, SIZE), bool)
        for i, (y, x) in enumerate(rng.integers(0, SIZE - 6, (n, 2))):
            if objects[i]:
                masks[i, y : y + 6, x : x + 2] = masks[i, y : y + 2, x : x + 6] = True
            else:
                masks[i, y : y + 5, x : x + 5] = True
        images = np.where(masks[..., None], np.uint8(255 * np.arange(2)[objects])[:, None, None, None], plain)
        return BamPart(name, images, plain, masks, objects, scenes, ("block", "corner"), ("red", "green", "blue"))

    return Bam(part("train", 240), part("test", 120))
