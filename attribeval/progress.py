"""Progress bars that are seen by people and silent in pipes."""

from __future__ import annotations

import sys
from typing import Any


def bar(total: int, what: str, show: bool | None = None, unit: str = "image") -> Any:
    """Make a progress bar.

    Args:
        total: Number of units.
        what: What is being done.
        show: True or False; None shows it when standard error is a terminal or a notebook is running.
        unit: What is counted.

    Returns:
        A `tqdm.auto.tqdm`, to be used in a `with` block.
    """
    from tqdm.auto import tqdm

    if show is None:
        show = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(total=total, desc=what, unit=unit, disable=not show, dynamic_ncols=True, leave=False)
