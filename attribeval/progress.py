"""Progress: a bar for people, a line a minute where output goes into a file or a pipe."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

_QUIET = "ATTRIBEVAL_QUIET"  # of the environment, so that processes that are started have it as well
_SECONDS = 60.0  # between lines
_open: list[Lines] = []  # the outermost speaks for those inside it


def keep_quiet(quiet: bool) -> None:
    """Say whether progress that is not asked for by `show=True` stays away in this process and those that it starts."""
    if quiet:
        os.environ[_QUIET] = "1"
    else:
        os.environ.pop(_QUIET, None)


def is_quiet() -> bool:
    """Whether no progress is wanted."""
    return os.environ.get(_QUIET) == "1"


def bar(total: int, what: str, show: bool | None = None, unit: str = "image") -> Any:
    """Tell how far something is.

    Args:
        total: Number of units.
        what: What is being done.
        show: True: a bar. False: nothing. None: a bar in a terminal or a notebook, else a line a minute on standard
            error, the first after a minute; nothing after `keep_quiet(True)`.
        unit: What is counted.

    Returns:
        To be used in a `with` block, and told of progress by `update(n)`: a `tqdm.auto.tqdm`, or `Lines`.
    """
    from tqdm.auto import tqdm

    seen = (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
    if show is None and not is_quiet() and not seen:
        return Lines(total, what, unit)
    show = not is_quiet() and seen if show is None else show
    return tqdm(total=total, desc=what, unit=unit, disable=not show, dynamic_ncols=True, leave=False)


class Lines:
    """A line a minute, also while a unit takes longer than that: who reads a log sees that it lives."""

    def __init__(self, total: int, what: str, unit: str = "image"):
        self._total, self._what, self._unit = total, what, unit
        self._at_start: int | None = None
        self._done, self._ended = 0, threading.Event()

    def __enter__(self) -> Lines:
        self._begun = time.monotonic()
        _open.append(self)
        self.thread = threading.Thread(target=self._speak, name="attribeval-progress", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        _open.remove(self)

    def update(self, n: int = 1) -> None:
        """So many units more are done."""
        if self._at_start is None and time.monotonic() - self._begun < 1:
            self._at_start = n  # found done, such as by an earlier run: says nothing of the speed
        self._done += n

    def line(self, seconds: float) -> str:
        """How far it is after so many seconds, and how long the rest takes if it goes on like that."""
        mine = self._done - (self._at_start or 0)
        text = f"{self._what}: {self._done} of {self._total} {self._unit}s after {_time(seconds)}"
        return text + (f", about {_time(seconds / mine * (self._total - self._done))} left" if mine > 0 else "")

    def _speak(self) -> None:
        while not self._ended.wait(_SECONDS):
            if _open and _open[0] is self:
                print(self.line(time.monotonic() - self._begun), file=sys.stderr, flush=True)


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 1 else f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
