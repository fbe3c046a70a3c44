"""Probabilities that a model makes out of sight, where the graph shows no softmax or sigmoid to step over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.task import Task

PROBES = 4  # images tried
_LENGTHS = (30.0, 1000.0)  # logits grow with the image, or take both signs; probabilities stay where they are


def refuse_hidden_probabilities(
    task: Task, forward: Callable, shape: tuple[int | None, ...], dtype: str, linear: bool
) -> None:
    """Refuse what is called logits, or probabilities, and is not.

    Args:
        task: What the output is read as. A regression, a function as score, and a link that was found pass.
        forward: Model inputs -> (scores, answer).
        shape: Of the input, (H, W, C), None for free sides.
        dtype: Of the input.
        linear: Whether a dense layer or a convolution gives the output: those are logits, whatever their values.

    Raises:
        AttribevalError: If "logits" sum to 1 on every probe, or lie within [0, 1]; or if `score="output"` of one unit
            is no probability. The message says what to do.
    """
    if task.link is not None or not task.has_probabilities:
        return
    noise = np.random.default_rng(0).uniform(-1, 1, size=(PROBES, *(32 if side is None else side for side in shape)))

    def answer(length: float) -> np.ndarray:
        output = forward(tf.constant(noise * length, dtype))[1].numpy().astype(np.float64)
        return output[:, -1:] if task.name == "binary" and task.score == "logit" else output  # of one unit, z

    output = answer(1.0)
    if task.score == "output":
        if task.name == "binary" and not (output >= 0).all():
            raise AttribevalError(
                f"Expected the output of one unit within 0 and 1 for score='output'. Received {output.min():.3g} to "
                f"{output.max():.3g}: explain the logit, score='logit', or a quantity, task='regression'."
            )
        return
    if task.name == "multiclass" and (output >= 0).all() and np.allclose(output.sum(1), 1.0, atol=1e-3):
        raise AttribevalError(
            "The outputs of this model are probabilities (they are positive and sum to 1), but the softmax that "
            "made them could not be found in its graph, so there are no logits to explain. Pass a model that ends "
            "in logits (e.g. Dense(classes) without activation), or score='output' to explain the probabilities."
        )
    if not linear and _is_within(output) and all(_is_within(_long(answer, length)) for length in _LENGTHS):
        raise AttribevalError(
            f"The outputs of this model seem to be probabilities: they lie from {output.min():.3g} to "
            f"{output.max():.3g}, within 0 and 1 for every image tried, but no sigmoid or softmax that makes them "
            "could be found at the end of its graph (a clip behind it?), so there are no logits to explain. Pass a "
            "model that ends in logits, or score='output' to explain the probabilities; task='regression' if they are "
            "quantities."
        )


def _long(answer: Callable, length: float) -> np.ndarray:
    """The outputs for long images, those that are finite; none if the model refuses such images."""
    try:
        output = answer(length)
    except tf.errors.InvalidArgumentError:  # an assertion of the model
        return np.zeros(0)
    return output[np.isfinite(output)]


def _is_within(output: np.ndarray) -> bool:
    return bool(((output >= 0) & (output <= 1)).all())
