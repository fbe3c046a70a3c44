"""A patch that a model does not notice: δ with f(x + δ) ≈ f(x) (Yang & Kim 2019, section 4.4 and appendix A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier

_BATCH = 64
RADIUS = 0.5
PAPER_OPTIMISER = {"optimiser": "descent", "rate": 500.0, "eta1": 0.01}  # appendix A, and section 5.4 for eta1
TOLERANCE = 0.1  # a patch is insignificant if ‖f(x + δ) − f(x)‖ is below this share of ‖f(x)‖


@dataclass(frozen=True, eq=False)
class Patches:
    """What was found, for N images.

    Attributes:
        images: x + δ, float32 (N, H, W, C), model inputs within the pixel bounds; equal to x off the masks.
        change: ‖f(x + δ) − f(x)‖₂ over all logits, float64 (N,).
        before: The same with the object as it was, before the optimisation, (N,).
        scale: ‖f(x)‖₂, (N,): what `change` is to be compared with.
        size: ‖δ‖₂, (N,).
    """

    images: np.ndarray
    change: np.ndarray
    before: np.ndarray
    scale: np.ndarray
    size: np.ndarray

    @property
    def insignificant(self) -> np.ndarray:
        """Which images have a patch that the model hardly notices, bool (N,); only on these does IIR mean anything."""
        return self.change < TOLERANCE * self.scale


def insignificant_patches(
    classifier: Classifier, x: np.ndarray, pasted: np.ndarray, masks: np.ndarray, *,
    bounds: tuple[float, float] | tuple[np.ndarray, np.ndarray] = (0.0, 255.0), steps: int = 300,
    rate: float | None = None, eta1: float = 0.0, eta2: float = 0.01, radius: float = RADIUS,
    optimiser: Literal["adam", "descent"] = "adam",
) -> Patches:  # fmt: skip
    """Change an object's pixels until the model's logits are as if it were not there.

    The objective is the article's: ‖f(x + δ) − f(x)‖₂ − η₁‖δ‖₂ + η₂ Σ[(x + δ − p_h)⁺ + (p_l − x − δ)⁺], minimised over
    δ from the pasted object on. Three of its parts are made exact rather than hoped for: δ is 0 off the mask (the third
    penalty's purpose; as printed it is signed, and rewards dark pixels outside), x + δ is cut to the pixel bounds at
    every step, and δ stays within a distance of its start, so that the object is still to be seen, and δ cannot vanish:
    η₁, which is there for that, is 0 by default. With the article's 0.01 on pixels of 0 to 255 it outweighs the rest:
    ‖δ‖ grows at the cost of ‖f(x + δ) − f(x)‖₂. The released code
    has the penalties' signs reversed and wraps its output at 256, so it finds no such patch. The best of all steps is
    returned, by ‖f(x + δ) − f(x)‖₂, so that more steps never are worse.

    Args:
        classifier: The model. Inputs are *its own*, so it must have been made without preprocessing.
        x: Model inputs, (N, H, W, C).
        pasted: The same with the object, (N, H, W, C).
        masks: Where the object is, bool (N, H, W).
        bounds: p_l and p_h, smallest and largest input values, numbers or arrays of a channel each.
        steps: Of the optimiser; the article's code has 300.
        rate: Step size. "adam": None takes 1/100 of the bounds' range. "descent", the update as printed, δ − λ ∂L/∂δ:
            None takes the article's λ = 500.
        eta1: η₁, the weight of ‖δ‖₂; the article's is .01.
        eta2: η₂, the weight of pixels out of bounds (before they are cut).
        radius: Largest ‖δ − δ₀‖₂ / ‖δ₀‖₂.
        optimiser: "adam" or "descent".

    Returns:
        `Patches`.

    Raises:
        AttribevalError: If shapes differ, a mask is empty, or an option is out of range.
    """
    x, pasted = np.asarray(x, np.float32), np.asarray(pasted, np.float32)
    if x.shape != pasted.shape or np.shape(masks) != x.shape[:3] or not len(x):
        raise AttribevalError(
            f"Expected inputs, inputs with an object, and masks of the same images. Received: {x.shape}, "
            f"{pasted.shape}, {np.shape(masks)}."
        )
    if not np.asarray(masks).any((1, 2)).all():
        raise AttribevalError("Expected a region for the patch in every image. Received an empty mask.")
    if optimiser not in ("adam", "descent") or steps < 1 or not radius > 0:
        raise AttribevalError(
            f"Expected optimiser 'adam' or 'descent', steps >= 1 and radius > 0. Received: {optimiser!r}, {steps}, "
            f"{radius}."
        )
    if classifier.preprocess is not None:
        raise AttribevalError(
            "Expected a classifier without preprocessing, whose inputs are optimised. Received one with: "
            "Classifier(model)."
        )
    low, high = (np.broadcast_to(np.asarray(end, np.float32), x.shape[-1:]) for end in bounds)
    if rate is None:
        rate = 500.0 if optimiser == "descent" else float((high - low).mean()) / 100
    numbers = tf.constant([rate, eta1, eta2, radius], tf.float32)
    run = _compiled(classifier, optimiser)
    found = []
    for start in range(0, len(x), _BATCH):
        part = np.s_[start : start + _BATCH]
        region = np.asarray(masks[part], np.float32)[..., None]
        out = run(x[part], pasted[part], region, low, high, tf.constant(steps), numbers)
        found.append([value.numpy() for value in out])
    images, *columns = (np.concatenate(column) for column in zip(*found, strict=True))
    change, before, scale = (column.astype(np.float64) for column in columns)
    images = np.where(np.asarray(masks)[..., None], images, x)
    size = np.sqrt(((images - x).astype(np.float64) ** 2).sum((1, 2, 3)))
    return Patches(images, change, before, scale, size)


def _compiled(classifier: Classifier, optimiser: str) -> Any:
    """The whole optimisation as one graph: every image by itself, so that batches change nothing."""

    def build(x, pasted, region, low, high, steps, numbers):
        rate, eta1, eta2, radius = tf.unstack(numbers)
        clean = tf.cast(classifier.trace(x)[1], tf.float32)
        start = (tf.clip_by_value(pasted, low, high) - x) * region
        reach = radius * _norm(start)

        def step(k, delta, first, second, best, least):
            logits = tf.cast(classifier.trace(x + delta)[1], tf.float32)
            change = _norm(logits - clean)
            better = change < least
            best = tf.where(tf.reshape(better, [-1, 1, 1, 1]), delta, best)
            least = tf.minimum(change, least)
            beyond = tf.nn.relu(x + delta - high) + tf.nn.relu(low - x - delta)
            loss = change - eta1 * _norm(delta) + eta2 * tf.reduce_sum(beyond, [1, 2, 3])
            (slope,) = tf.gradients(loss, delta)
            slope = slope * region
            if optimiser == "adam":
                t = tf.cast(k + 1, tf.float32)
                first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
                move = first / (1 - 0.9**t) / (tf.sqrt(second / (1 - 0.999**t)) + 1e-8)
                decay = 0.5 * (1 + tf.cos(np.pi * (t - 1) / tf.cast(steps, tf.float32)))
                delta = delta - rate * decay * move
            else:
                delta = delta - rate * slope
            delta = (tf.clip_by_value(x + delta, low, high) - x) * region
            away = delta - start
            shrink = tf.minimum(1.0, reach / tf.maximum(_norm(away), 1e-12))
            delta = start + away * tf.reshape(shrink, [-1, 1, 1, 1])
            return k + 1, delta, first, second, best, least

        zeros, far = tf.zeros_like(x), tf.fill(tf.shape(x)[:1], np.float32(np.inf))
        state = (tf.constant(0), start, zeros, zeros, start, far)
        state = tf.while_loop(lambda k, *_: k <= steps, step, state, maximum_iterations=steps + 1)
        before = _norm(tf.cast(classifier.trace(x + start)[1], tf.float32) - clean)
        return x + state[4], state[5], before, _norm(clean)

    shape = [None, *classifier.input_shape]
    image = tf.TensorSpec(shape, tf.float32)
    region = tf.TensorSpec([*shape[:3], 1], tf.float32)
    channels = tf.TensorSpec([shape[3]], tf.float32)
    specs = (image, image, region, channels, channels, tf.TensorSpec([], tf.int32), tf.TensorSpec([4], tf.float32))
    return classifier.compiled(("insignificant_patch", optimiser), build, *specs)


def _norm(values: Any) -> Any:
    """‖·‖₂ of each image, (N,), with a gradient at 0."""
    return tf.sqrt(tf.reduce_sum(values**2, list(range(1, values.shape.rank))) + 1e-12)
