"""Fine-tuning with random deletion, so that an image with holes is nothing unusual to a model any more.

The deletion knows no map, so it favours no method. IDSDS and F-Fidelity ask for it, each with its own kind of hole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.cells import grid_cells
from attribeval.models.preprocessing import find_preprocessing
from attribeval.training.loop import train
from attribeval.training.recipe import Recipe

DELETIONS = ("patch", "pixels")
# The released code of both: idsds (README and train.py) and Finetune-Fidelity (image/train_model.py).
RECIPES = {
    "patch": Recipe(
        epochs=30,
        batch_size=256,
        optimizer="sgd",
        learning_rate=1e-3,
        nesterov=False,
        schedule="drops",
        drops=(10, 20),
        warmup_epochs=0,
    ),
    "pixels": Recipe(
        epochs=100, batch_size=128, optimizer="adam", learning_rate=1e-4, schedule="constant", warmup_epochs=0
    ),
}


def fine_tune(
    model: Any, images: np.ndarray, labels: np.ndarray, *,
    deletion: str = "patch", grid: int = 4, chance: float = 0.5, beta: float = 0.1, fill: Fill = "black",
    preprocess: str | Callable | None = None, recipe: Recipe | None = None,
    seed: int = 0,
) -> Any:  # fmt: skip
    """Train a copy of a model on, on images with random holes.

    Args:
        model: A Keras classifier, Functional or Sequential, nested or not; its output is a softmax's, or logits.
        images: Raw training images, float or uint8 (N, H, W, C).
        labels: Class of each image, ints (N,).
        deletion: "patch": one patch of a grid, in a part of the images (IDSDS, Hesse et al. 2024). "pixels":
            random pixels, each number from none to the share beta as likely (F-Fidelity, Zheng et al. 2024).
        grid: Patches along each side, for "patch".
        chance: Share of images that lose a patch, for "patch".
        beta: Largest share of pixels that is removed, for "pixels".
        fill: What replaces a hole, in raw space: the same as in the benchmark.
        preprocess: As the model was given to `Attributer`.
        recipe: The training; None takes that of the paper's code. Of `augment` nothing may be set.
        seed: Of the order of the images and of the holes.

    Returns:
        A new Keras model; `model` is as it was.

    Raises:
        AttribevalError: If the model cannot be copied, an argument is out of range, or the loss is not finite.

    Differs from Finetune-Fidelity's code: a removed pixel loses all its channels (there, the mask of H · W places is
    laid over C · H · W values and meets the first channel only), and the number of pixels varies up to β.
    """
    check_choice("deletion", deletion, DELETIONS)
    check_fill(fill, allowed=PLAIN_FILLS)
    check_count("seed", seed, 0)
    recipe = recipe or RECIPES[deletion]
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise AttribevalError(
            f"Expected images (N, H, W, C) and a class index for each. Received: {images.shape} and {labels.shape} of "
            f"dtype {labels.dtype}."
        )
    if recipe.augment is not None or recipe.policy is not None:
        raise AttribevalError("Expected a recipe without augment, in float32 or tf32. Received one of them.")
    if not 0 <= chance <= 1 or not 0 < beta < 1:
        raise AttribevalError(f"Expected chance 0..1 and 0 < beta < 1. Received: {chance!r}, {beta!r}.")
    cells = grid_cells(images.shape[1:3], grid if deletion == "patch" else 1)
    tuned, prepare = _copied(model), find_preprocessing(preprocess) or (lambda x: x)

    def batches(size: int, pipeline: tuple[int, int]) -> Any:
        def some() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            rng = np.random.default_rng([seed, pipeline[0]])
            for chosen in _shuffled(len(images), size, rng):
                raw = images[chosen].astype(np.float32)
                holes = patch_holes(len(raw), cells, chance, rng) if deletion == "patch" else None
                holes = pixel_holes(raw.shape[:3], beta, rng) if holes is None else holes
                raw = np.where(holes[..., None], filled(raw, fill), raw)
                yield np.asarray(prepare(raw), np.float32), labels[chosen].astype(np.int32)

        shapes = [size, *images.shape[1:]], [size]
        return tf.data.Dataset.from_generator(
            some, output_signature=(tf.TensorSpec(shapes[0], "float32"), tf.TensorSpec(shapes[1], "int32"))
        )

    train(tuned, batches, len(images), recipe, tf.distribute.get_strategy())
    return tuned


def patch_holes(count: int, cells: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """One random cell of `cells` (H, W) in a random part of the images: where the holes are, bool (B, H, W)."""
    which = rng.integers(0, int(cells.max()) + 1, count)
    which[rng.random(count) >= chance] = -1
    return cells == which[:, None, None]


def pixel_holes(shape: tuple[int, int, int], beta: float, rng: np.random.Generator) -> np.ndarray:
    """Random pixels, from none to a share `beta` of them, bool of shape (B, H, W)."""
    total = shape[1] * shape[2]
    counts = rng.integers(0, int(beta * total + 1e-9) + 1, shape[0])
    keys = rng.random((shape[0], total))
    return (keys.argsort(1).argsort(1) < counts[:, None]).reshape(shape)


def _shuffled(n: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless full batches of indices, a new order in each epoch, batches across the border of epochs."""
    left = np.zeros(0, int)
    while True:
        while len(left) < size:
            left = np.concatenate([left, rng.permutation(n)])
        yield left[:size]
        left = left[size:]


def _copied(model: Any) -> Any:
    """A copy with weights of its own."""
    if not isinstance(model, tf.keras.Model):
        raise AttribevalError(f"Expected a Keras 3 model. Received: {type(model).__module__}.{type(model).__name__}.")
    try:
        copy = tf.keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    except (ValueError, TypeError, NotImplementedError) as error:
        raise AttribevalError(
            f"Could not copy the model ({error}). Expected a Functional or Sequential model: save and load yours, and "
            "fine-tune that one."
        ) from error
    return copy
