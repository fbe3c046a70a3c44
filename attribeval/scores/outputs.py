"""One tensor of a model's outputs, and the logits behind it; references that a user gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.logits import find_logits


def pick(outputs: Any, wanted: str | int | None, rank: int, shape: str) -> Any:
    """One output, checked.

    Args:
        outputs: What the model returned: a tensor, or a list, tuple or dictionary of tensors.
        wanted: Key of a dictionary, or number of a list; None where there is only one.
        rank: How many axes it must have.
        shape: Its axes in words, for the error.

    Raises:
        AttribevalError: If there is no such output, several and none is named, or it has another number of axes.
    """
    named = outputs if isinstance(outputs, dict) else dict(enumerate(_listed(outputs)))
    if wanted is None and len(named) != 1:
        raise AttribevalError(f"Expected output= to name one of {_shapes(named)}. Received none.")
    key = next(iter(named)) if wanted is None else wanted
    if key not in named:
        raise AttribevalError(f"Expected output to be one of {_shapes(named)}. Received: {wanted!r}.")
    if len(getattr(named[key], "shape", ())) != rank:
        raise AttribevalError(
            f"Expected an output {shape} for this score. Received {_shapes({key: named[key]})}: name another with "
            "output=, or write score= as a function that reshapes it first."
        )
    return named[key]


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _shapes(named: dict[Any, Any]) -> str:
    return ", ".join(f"{name!r} {tuple(getattr(one, 'shape', ()))}" for name, one in named.items())


def logits_of(output: Any) -> tuple[Any, str | None]:
    """What went into the softmax or sigmoid that made an output, and which of them it was; None: the output itself.

    Raises:
        AttribevalError: If the tensor has a value already, which no longer says what made it.
    """
    if not tf.is_symbolic_tensor(output):
        raise AttribevalError(
            "Expected a model's symbolic output, behind whose softmax one can look. Received values: give the score to "
            "Attributer(model, score=...), whose answer(images) has the scores of images."
        )
    return find_logits(output)


def reference(values: Any, rank: int, shape: str) -> np.ndarray:
    """References as float32 (M, ...); one alone is a row of its own.

    Raises:
        AttribevalError: If they have another number of axes, or are not finite.
    """
    array = np.asarray(values, np.float32)
    array = array[None] if array.ndim == rank - 1 else array
    if array.ndim != rank or not array.size or not np.isfinite(array).all():
        raise AttribevalError(
            f"Expected finite references {shape}, one or more. Received: shape {np.shape(values)}"
            f"{'' if np.isfinite(array).all() else ' with values that are not finite'}."
        )
    return array


def class_indices(classes: Any, count: int) -> np.ndarray:
    """A class for each reference, int32 (count,); one stands for all.

    Raises:
        AttribevalError: If there are none, or another number of them.
    """
    array = np.asarray(-1 if classes is None else classes)
    if array.dtype.kind not in "ui" or array.ndim > 1 or array.size not in (1, count) or (array < 0).any():
        raise AttribevalError(
            f"Expected classes= as an index, or one for each of {count} references. Received: {classes!r}."
        )
    return np.broadcast_to(array, (count,)).astype(np.int32)


def check_classes(classes: np.ndarray, known: int) -> None:
    """Refuse an index that is no class of the model."""
    if classes.max() >= known:
        raise AttribevalError(f"Expected classes from 0 to {known - 1}. Received: {classes.max()}.")
