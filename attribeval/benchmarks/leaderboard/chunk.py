"""A few images: every method's maps once, every benchmark's shared part once, one record per cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.leaderboard.agreement import map_correlations, standard_ranks
from attribeval.benchmarks.leaderboard.memory import PeakMemory
from attribeval.common.seeds import image_seeds
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods.abilities import at, unable
from attribeval.methods.card import Method
from attribeval.methods.reading import ranking
from attribeval.metrics.card import Benchmark
from attribeval.metrics.subject import Explained, Subject
from attribeval.models.classifier import Classifier
from attribeval.runs import failures
from attribeval.runs.keys import digest_of, file_name, image_keys
from attribeval.runs.maps_cache import Maps, MapsCache
from attribeval.runs.store import Store


class Chunk:
    """Scores images start … stop − 1 by what is missing in the store.

    Args:
        attributer: The model.
        methods, benchmarks: By label.
        store: Where records are and go.
        names: What the records of the images from a number on are called: a name for all that they have in common.
        cache: Of maps, or None.
        began: When this run began (`time.time`): failures of earlier runs are tried again, those of this one are not.
        targets, seed, batch_size, strict: As in `procedure.run_leaderboard`.
    """

    def __init__(
        self,
        attributer: Attributer,
        methods: Mapping[str, Method],
        benchmarks: Mapping[str, Benchmark],
        store: Store,
        names: Mapping[int, str],
        cache: MapsCache | None,
        began: float,
        targets: str,
        seed: int,
        batch_size: int | None,
        strict: bool = False,
    ):
        self._attributer, self._strict = attributer, strict
        self._methods, self._benchmarks = methods, benchmarks
        self._store, self._names, self._cache, self._began = store, names, cache, began
        self._targets, self._seed, self._batch_size = targets, seed, batch_size
        self._method_files = {label: file_name(method) for label, method in methods.items()}
        self._benchmark_files = {label: file_name(benchmark) for label, benchmark in benchmarks.items()}
        self._fingerprint = attributer.classifier.fingerprint()

    # ------------------------------------------------------------------------------------------------- records

    def cell(self, start: int, method: str, benchmark: str) -> str:
        """Name of a cell's record."""
        return f"{self._of_method(start, method)}/{self._benchmark_files[benchmark]}"

    def maps(self, start: int, method: str) -> str:
        """Name of the record of what maps cost."""
        return f"{self._of_method(start, method)}/maps"

    def images(self, start: int) -> str:
        """Name of the record of what is known of the images."""
        return f"{self._names[start]}/images"

    def agreement(self, start: int) -> str:
        """Name of the correlations between maps, which belong to all methods together."""
        return f"{self._names[start]}/agreement-{digest_of(list(self._method_files.values()))}"

    def missing(self, start: int) -> list[tuple[str, str]]:
        """Cells without scores that are still to be tried."""
        return [(m, b) for m in self._methods for b in self._benchmarks if not self._is_tried(start, m, b)]

    def lacks_more(self, start: int) -> bool:
        """Whether anything beside the cells is still to be made."""
        if self._store.read(self.images(start)) is None or self._store.read_arrays(self.agreement(start)) is None:
            return True
        return bool(self._without_costs(start))

    def _without_costs(self, start: int) -> list[str]:
        """Methods that have scores, but no record of what their maps cost."""

        def has_scores(method: str) -> bool:
            cells = (self._store.read(self.cell(start, method, benchmark)) for benchmark in self._benchmarks)
            return any(cell is not None and cell["error"] is None for cell in cells)

        return [m for m in self._methods if self._store.read(self.maps(start, m)) is None and has_scores(m)]

    def _of_method(self, start: int, method: str) -> str:
        return f"{self._names[start]}/{self._method_files[method]}"

    def _is_tried(self, start: int, method: str, benchmark: str) -> bool:
        record = self._store.read(self.cell(start, method, benchmark))
        if record is None:
            return False
        return record["error"] is None or record["written"] >= self._began

    # ---------------------------------------------------------------------------------------------------- work

    def run(self, start: int, images: np.ndarray, samples: Samples | None, advance: Callable[[int], Any]) -> None:
        """Do what is missing.

        Args:
            start: Number of the first image.
            images: Raw, float32 (N, H, W, C).
            samples: The same images with what is known of them.
            advance: Called with the number of cells done.

        Raises:
            AttribevalError: If the model answers NaN, or a benchmark left it changed.
        """
        subject = self._subject(start, images, samples)
        keys = image_keys(self._attributer.classifier, images, subject.targets, subject.seeds)
        self._remember(start, subject)
        missing: dict[str, list[str]] = {method: [] for method in self._without_costs(start)}
        for method, benchmark in self.missing(start):
            missing.setdefault(method, []).append(benchmark)
        saved = self._store.read_arrays(self.agreement(start))
        prepared: dict[str, Any] = {}
        heats: dict[str, np.ndarray] = {}
        failed: set[str] = set()
        for method, benchmarks in missing.items():
            explained = self._explain(start, method, subject, keys)
            if isinstance(explained, str):
                failed.add(method)
                for benchmark in benchmarks:
                    self._fail(start, method, benchmark, f"no maps: {explained}", subject)
                    advance(1)
                continue
            heats[method] = explained.heat
            for benchmark in benchmarks:
                self._score(start, method, benchmark, subject, explained, prepared)
                advance(1)
        known = set() if saved is None else {m for m, there in zip(self._methods, saved["there"], strict=True) if there}
        if saved is None or set(heats) - known:
            self._correlate(start, subject, keys, heats, failed)

    def _subject(self, start: int, images: np.ndarray, samples: Samples | None) -> Subject:
        def answer(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._attributer.answer(asked, batch_size=self._batch_size)

        seeds = image_seeds(images, self._seed)
        classifier = self._attributer.classifier
        capacity = self._attributer.capacity(images, self._batch_size)
        subject = Subject(
            images, np.zeros(len(images), np.int64), answer, seeds, samples, classifier, capacity=capacity
        )
        bad = np.flatnonzero(~np.isfinite(subject.logits).all(1))
        if bad.size:
            raise AttribevalError(
                f"Expected finite scores. Received NaN or infinity from the model for image {start + bad[0]}: check "
                "its pixel range and preprocessing, and the model's weights."
            )
        predicted = subject.logits.argmax(1)
        subject.targets = samples.labels if samples is not None and self._targets == "label" else predicted
        return subject

    def _remember(self, start: int, subject: Subject) -> None:
        """Keep targets and predictions."""
        predicted = subject.logits.argmax(1)
        self._store.write(self.images(start), {"targets": subject.targets.tolist(), "predicted": predicted.tolist()})

    def _explain(self, start: int, method: str, subject: Subject, keys: list[str]) -> Explained | str:
        """A method's maps, from the cache if they are there; or why there are none."""
        built = at(self._methods, slice(start, start + len(subject)))[method]

        def explain(asked: Attributer, images: np.ndarray, targets: np.ndarray, seeds: np.ndarray) -> Attributions:
            explained = asked.explain_many(
                images, {method: built}, targets, seed=seeds, batch_size=self._batch_size, progress=False
            )
            return explained[method]

        def on_others(images: np.ndarray, targets: np.ndarray, seeds: np.ndarray) -> np.ndarray:
            return explain(self._attributer, images, targets, seeds).values

        def with_another(
            classifier: Classifier, images: np.ndarray, targets: np.ndarray, seeds: np.ndarray
        ) -> np.ndarray:
            other = Attributer(classifier, batch_size=self._attributer.batch_size)
            return explain(other, images, targets, seeds).values

        cache = self._cache if unable(built, images=True) is None else None  # ready maps are on disk already
        maps = None if cache is None else cache.load(built, keys)
        if maps is None:
            try:
                with PeakMemory() as memory:
                    made = explain(self._attributer, subject.images, subject.targets, subject.seeds)
            except Exception as error:
                return failures.reason_of(error, self._strict)
            each = np.ones(len(subject))
            maps = Maps(made.values, each * made.seconds / len(subject), each * memory.mib)
            if cache is not None:
                cache.save(built, keys, maps)
        costs = {"seconds": maps.seconds.tolist(), "peak_mib": [_json(value) for value in maps.peak_mib]}
        self._store.write(self.maps(start, method), costs)
        values = Attributions(maps.values, subject.targets, method)
        heat = values.heatmap(reduce=ranking(built))
        return Explained(maps.values, heat, on_others, with_another)

    def _score(
        self,
        start: int,
        method: str,
        benchmark: str,
        subject: Subject,
        explained: Explained,
        prepared: dict[str, Any],
    ) -> None:
        """One cell: scores, or the reason why there are none."""
        costs = {"prepare_seconds": 0.0, "prepare_passes": 0}
        built = _of_these(self._benchmarks[benchmark], start)
        if built is None:
            nothing = {"scores": [None] * len(subject), "error": None, "seconds": 0.0, "passes": 0}
            self._store.write(self.cell(start, method, benchmark), nothing | costs | {"written": time.time()})
            return
        needs = built.card.needs
        why = unable(self._methods[method], images="explain" in needs, model="classifier" in needs)
        if why is not None:
            self._fail(start, method, benchmark, why, subject)
            return
        if benchmark not in prepared:
            begun, passes = time.perf_counter(), subject.passes
            try:
                prepared[benchmark] = built.prepare(subject)
            except Exception as error:
                prepared[benchmark] = _Failure(failures.reason_of(error, self._strict))
            self._check_model(built, benchmark)
            costs = {
                "prepare_seconds": time.perf_counter() - begun,
                "prepare_passes": subject.passes - passes,
            }
        if isinstance(prepared[benchmark], _Failure):
            self._fail(start, method, benchmark, f"not prepared: {prepared[benchmark].reason}", subject, costs)
            return
        begun, passes = time.perf_counter(), subject.passes
        try:
            scores = _checked(built.score(subject, prepared[benchmark], explained), len(subject), start)
        except Exception as error:
            self._check_model(built, benchmark)
            self._fail(start, method, benchmark, failures.reason_of(error, self._strict), subject, costs)
            return
        self._check_model(built, benchmark)
        costs |= {"seconds": time.perf_counter() - begun, "passes": subject.passes - passes}
        record = {"scores": [_json(score) for score in scores], "error": None, "written": time.time()}
        self._store.write(self.cell(start, method, benchmark), record | costs)

    def _fail(
        self,
        start: int,
        method: str,
        benchmark: str,
        reason: str,
        subject: Subject,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        told = failures.of_images(start, start + len(subject) - 1, reason)
        record = {"scores": None, "error": told, "written": time.time()}
        self._store.write(self.cell(start, method, benchmark), record | dict(costs or {}))

    def _check_model(self, built: Benchmark, benchmark: str) -> None:
        """A benchmark that was given the weights must hand them back; all that comes after it would be wrong."""
        if "classifier" in built.card.needs and self._attributer.classifier.fingerprint() != self._fingerprint:
            raise AttribevalError(
                f"Expected the benchmark {benchmark!r} to put the model's weights back. Received changed weights: load "
                "the model again, and leave this benchmark out."
            )

    def _correlate(
        self, start: int, subject: Subject, keys: list[str], heats: dict[str, np.ndarray], failed: set[str]
    ) -> None:
        """Rank correlations between all methods' maps; maps that no cell asked for are fetched, or made again."""
        ranks = []
        for method in self._methods:
            if method not in heats and method not in failed:
                explained = self._explain(start, method, subject, keys)
                if isinstance(explained, str):  # its cells, which are done, say nothing of it; it has no correlations
                    failed.add(method)
                else:
                    heats[method] = explained.heat
            ranks.append(standard_ranks(heats.pop(method)) if method in heats else None)
        there = np.array([of_method is not None for of_method in ranks])
        correlations = map_correlations(ranks, len(subject))
        self._store.write_arrays(self.agreement(start), {"correlations": correlations, "there": there})


def _of_these(benchmark: Benchmark, start: int) -> Benchmark | None:
    """The benchmark as it judges images from number `start` on: its `images`, if it has any, are the run's first."""
    one: Any = benchmark
    limit = getattr(one, "images", None)
    if limit is None:
        return benchmark
    return replace(one, images=limit - start) if start < limit else None


class _Failure:
    """Stands for what a benchmark could not prepare."""

    def __init__(self, reason: str):
        self.reason = reason


def _checked(scores: Any, n: int, start: int) -> np.ndarray:
    scores = np.asarray(scores)
    if scores.shape != (n,) or scores.dtype.kind not in "fiub":
        raise AttribevalError(f"Expected {n} scores, real numbers ({n},). Received: {scores.dtype} {scores.shape}.")
    scores = scores.astype(np.float64)
    infinite = np.flatnonzero(np.isinf(scores))
    if infinite.size:
        raise AttribevalError(f"Expected finite scores, or NaN. Received infinity for image {start + infinite[0]}.")
    return scores


def _json(value: float) -> float | None:
    return None if value != value else float(value)
