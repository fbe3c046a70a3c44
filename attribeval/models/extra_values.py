"""Values for an input beside the image, as a caller gives them: checked, and as the model takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval.datasets.source import fits
from attribeval.errors import AttribevalError


def read_values(name: str, given: Any, spec: Any, n: int) -> np.ndarray:
    """Checked values of one input.

    Args:
        name: Of the input.
        given: What the caller gave: (n, ...), (1, ...) or (...); (n,) for an input of one number.
        spec: `tf.TensorSpec` of the input, the batch first.
        n: How many images there are.

    Returns:
        (n, ...) or (1, ...), of the input's type.

    Raises:
        AttribevalError: For another shape or type, or values that are not finite or do not fit the type.
    """
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise AttribevalError(f"Expected extra[{name!r}] as one array. Received: {error}.") from error
    if array.dtype.kind not in "buif":
        raise AttribevalError(f"Expected real numbers as extra[{name!r}]. Received: {array.dtype}.")
    shape = tuple(spec.shape[1:])
    if array.shape == (n,) and shape == (1,):
        array = array[:, None]
    if array.ndim == 0 and shape == (1,):
        array = array[None]
    if fits(array.shape, shape):
        array = array[None]
    if not fits(array.shape[1:], shape) or array.ndim != 1 + len(shape) or len(array) not in (1, n):
        one, several = (_written(sides) for sides in (shape, (n, *shape)))
        raise AttribevalError(
            f"Expected extra[{name!r}] of shape {several}, a row for each image, or {one}, one value for all. "
            f"Received: {array.shape}."
        )
    kind = spec.dtype.as_numpy_dtype
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(kind)
    whole = np.dtype(kind).kind in "iub"
    right = (cast == array) if whole else np.isfinite(cast)
    bad = np.flatnonzero(~right.reshape(len(array), -1).all(1))
    if bad.size:
        what = f"{np.dtype(kind)} values" if whole else "finite values"
        raise AttribevalError(
            f"Expected {what} as extra[{name!r}]. Received {np.ravel(array[bad[0]])[:4].tolist()} for image {bad[0]}."
        )
    return cast


def _written(sides: tuple[int | None, ...]) -> str:
    inside = ", ".join("any" if side is None else str(side) for side in sides)
    return f"({inside}{',' if len(sides) == 1 else ''})"
