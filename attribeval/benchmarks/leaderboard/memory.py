"""How much memory a piece of work took, as the operating system sees it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_STATM = Path("/proc/self/statm")
_PERIOD = 0.01  # seconds between two looks


class PeakMemory:
    """The most by which the resident memory of this process rose above what it was at the start of a `with` block.

    A thread looks every 10 ms, so that shorter peaks are missed. Memory that earlier work freed and the process kept is
    used again without being seen; what TensorFlow keeps of a first call (compiled graphs) counts for that call.

    Attributes:
        mib: After the block: MiB, 0 or more; NaN where the system has no /proc.
    """

    def __init__(self) -> None:
        self.mib = float("nan")
        self._stop = threading.Event()

    def __enter__(self) -> PeakMemory:
        self._start = _resident()
        if self._start is not None:
            self._peak = self._start
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._start is not None:
            self._stop.set()
            self._thread.join()
            self._look()
            self.mib = (self._peak - self._start) / 2**20

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._look()

    def _look(self) -> None:
        self._peak = max(self._peak, _resident() or 0)


def _resident() -> int | None:
    """Bytes of this process in memory; None where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
