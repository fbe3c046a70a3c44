"""Methods that iterate: one image after the other, which is exact, or many at once, which a GPU needs.

Batches of different size differ in rounding, and some iterations make more of it from step to step. One by one, a map
does not know the batch; side by side, it does by as much as the method's docstring says.
"""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch


def check_side_by_side(option: Any) -> None:
    """Refuse what is neither True, False nor None.

    Raises:
        AttribevalError: With what was received.
    """
    if option is not None and not isinstance(option, bool):
        raise AttribevalError(f"Expected side_by_side to be True, False or None. Received: {option!r}.")


def is_together(option: bool | None) -> bool:
    """Whether images go side by side; None: where there is a GPU."""
    return bool(tf.config.list_logical_devices("GPU")) if option is None else option


def groups(batch: Batch, option: bool | None, each: int = 1) -> list[slice]:
    """Which images of a batch go together.

    Args:
        batch: The images.
        option: As `is_together` takes it.
        each: How often the model sees an image at a time.

    Returns:
        Consecutive slices of the batch: of as many images as the model takes at a time, or of one each.
    """
    size = max(1, batch.capacity // each) if is_together(option) else 1
    return [slice(start, min(start + size, len(batch))) for start in range(0, len(batch), size)]
