"""What the records of a leaderboard are called, and which of them are missing: one per cell, and some of the images."""

from __future__ import annotations

import time
from collections.abc import Mapping

from attribeval.methods.card import Method
from attribeval.metrics.card import Benchmark
from attribeval.runs.keys import digest_of, file_name
from attribeval.runs.store import Store


class Records:
    """Records of some methods and benchmarks, by the number of the first of a few images.

    Failures of earlier runs are tried again, those of this one, which begins here, are not.
    """

    def __init__(self, store: Store, methods: Mapping[str, Method], benchmarks: Mapping[str, Benchmark]):
        self.store = store
        self._methods = {label: file_name(method) for label, method in methods.items()}
        self._benchmarks = {label: file_name(benchmark) for label, benchmark in benchmarks.items()}
        self._images: dict[int, str] = {}
        self._began = time.time()

    def of_images(self, start: int, name: str) -> None:
        """Say what the records of the images from number `start` on are called: a hash of all they have in common."""
        self._images[start] = name

    def cell(self, start: int, method: str, benchmark: str) -> str:
        """Name of a cell's record."""
        return f"{self._of_method(start, method)}/{self._benchmarks[benchmark]}"

    def maps(self, start: int, method: str) -> str:
        """Name of the record of what maps cost."""
        return f"{self._of_method(start, method)}/maps"

    def images(self, start: int) -> str:
        """Name of the record of what is known of the images."""
        return f"{self._images[start]}/images"

    def agreement(self, start: int) -> str:
        """Name of the correlations between maps, which belong to all methods together."""
        return f"{self._images[start]}/agreement-{digest_of(list(self._methods.values()))}"

    def missing(self, start: int) -> list[tuple[str, str]]:
        """Cells without scores that are still to be tried."""
        return [(m, b) for m in self._methods for b in self._benchmarks if not self._is_tried(start, m, b)]

    def lacks_more(self, start: int) -> bool:
        """Whether anything beside the cells is still to be made."""
        if self.store.read(self.images(start)) is None or self.store.read_arrays(self.agreement(start)) is None:
            return True
        return bool(self.without_costs(start))

    def without_costs(self, start: int) -> list[str]:
        """Methods that have scores, but no record of what their maps cost."""

        def has_scores(method: str) -> bool:
            cells = (self.store.read(self.cell(start, method, benchmark)) for benchmark in self._benchmarks)
            return any(cell is not None and cell["error"] is None for cell in cells)

        return [m for m in self._methods if self.store.read(self.maps(start, m)) is None and has_scores(m)]

    def _of_method(self, start: int, method: str) -> str:
        return f"{self._images[start]}/{self._methods[method]}"

    def _is_tried(self, start: int, method: str, benchmark: str) -> bool:
        record = self.store.read(self.cell(start, method, benchmark))
        if record is None:
            return False
        return record["error"] is None or record["written"] >= self._began
