"""Progress bars that are seen by people and silent in pipes."""

from __future__ import annotations

import os
import sys
from typing import Any

_QUIET = "ATTRIBEVAL_QUIET"  # of the environment, so that processes that are started have it as well


def keep_quiet(quiet: bool) -> None:
    """Say whether bars that are not asked for by `show=True` stay away in this process and those that it starts."""
    if quiet:
        os.environ[_QUIET] = "1"
    else:
        os.environ.pop(_QUIET, None)


def is_quiet() -> bool:
    """Whether no progress is wanted."""
    return os.environ.get(_QUIET) == "1"


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
        show = not is_quiet() and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    return tqdm(total=total, desc=what, unit=unit, disable=not show, dynamic_ncols=True, leave=False)
