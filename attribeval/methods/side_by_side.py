"""Methods that iterate: one image after the other, which is exact, or many at once, which a GPU needs.

Batches of different size differ in rounding, and iterations make more of it from step to step. One by one, a map does
not know its batch; side by side, it does, by as much as the method's docstring says.
"""

from __future__ import annotations

from attribeval.methods.batch import Batch


def groups(batch: Batch, side_by_side: bool, each: int = 1) -> list[slice]:
    """Which images of a batch go together: as many as the model takes at a time, or each by itself.

    Args:
        batch: The images.
        side_by_side: Whether they go together at all.
        each: How often the model sees an image at a time.

    Returns:
        Consecutive slices of the batch.
    """
    size = max(1, batch.capacity // each) if side_by_side else 1
    return [slice(start, min(start + size, len(batch))) for start in range(0, len(batch), size)]
