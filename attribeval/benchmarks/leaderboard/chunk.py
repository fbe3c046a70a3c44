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
from attribeval.benchmarks.leaderboard.options import CompareOptions
from attribeval.benchmarks.leaderboard.records import Records
from attribeval.collected import check_scores
from attribeval.common.seeds import image_seeds
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods.abilities import at, unable
from attribeval.methods.card import Method
from attribeval.methods.given import ranking
from attribeval.metrics.card import Benchmark
from attribeval.metrics.subject import Explained, Subject
from attribeval.models.classifier import Classifier
from attribeval.results.numbers import known
from attribeval.runs import failures
from attribeval.runs.keys import image_keys
from attribeval.runs.maps_cache import Maps, MapsCache

_PREPARED: dict[str, float] = {"prepare_seconds": 0.0, "prepare_passes": 0}  # before, for another cell


class Chunk:
    """Scores images start … stop − 1 by what is missing in the store."""

    def __init__(
        self,
        attributer: Attributer,
        methods: Mapping[str, Method],
        benchmarks: Mapping[str, Benchmark],
        records: Records,
        cache: MapsCache | None,
        options: CompareOptions,
    ):
        self._attributer, self._options = attributer, options
        self._methods, self._benchmarks = methods, benchmarks
        self._records, self._store, self._cache = records, records.store, cache
        self._fingerprint = attributer.classifier.fingerprint()

    def run(self, start: int, images: np.ndarray, samples: Samples | None, advance: Callable[[int], Any]) -> None:
        """Do what is missing of raw images (N, H, W, C) from number `start` on; `advance` gets how many cells are done.

        Raises:
            AttribevalError: If the model answers NaN, or a benchmark left it changed.
        """
        subject = self._subject(start, images, samples)
        keys = image_keys(self._attributer.classifier, images, subject.targets, subject.seeds)
        predicted = subject.logits.argmax(1).tolist()
        self._store.write(self._records.images(start), {"targets": subject.targets.tolist(), "predicted": predicted})
        missing: dict[str, list[str]] = {method: [] for method in self._records.without_costs(start)}
        for method, benchmark in self._records.missing(start):
            missing.setdefault(method, []).append(benchmark)
        saved = self._store.read_arrays(self._records.agreement(start))
        prepared: dict[str, Any] = {}
        heats: dict[str, np.ndarray] = {}
        failed: set[str] = set()
        for method, benchmarks in missing.items():
            explained = self._explain(start, method, subject, keys)
            if isinstance(explained, str):
                failed.add(method)
            else:
                heats[method] = explained.heat
            for benchmark in benchmarks:
                if isinstance(explained, str):
                    record = {"scores": None, "error": f"no maps: {explained}"}
                else:
                    record = self._score(start, method, benchmark, subject, explained, prepared)
                if record["error"] is not None:
                    record["error"] = failures.of_images(start, start + len(images) - 1, record["error"])
                self._store.write(self._records.cell(start, method, benchmark), record | {"written": time.time()})
                advance(1)
        whole = set() if saved is None else {m for m, there in zip(self._methods, saved["there"], strict=True) if there}
        if saved is None or set(heats) - whole:
            self._correlate(start, subject, keys, heats, failed)

    def _subject(self, start: int, images: np.ndarray, samples: Samples | None) -> Subject:
        def answer(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._attributer.answer(asked, batch_size=self._options.batch_size)

        seeds = image_seeds(images, self._options.seed)
        classifier = self._attributer.classifier
        capacity = self._attributer.capacity(images, self._options.batch_size)
        subject = Subject(
            images, np.zeros(len(images), np.int64), answer, seeds, samples, classifier, capacity=capacity
        )
        check_scores(subject.logits, start)
        predicted = subject.logits.argmax(1)
        subject.targets = samples.labels if samples is not None and self._options.targets == "label" else predicted
        return subject

    def _explain(self, start: int, method: str, subject: Subject, keys: list[str]) -> Explained | str:
        """A method's maps, from the cache if they are there; or why there are none."""
        built = at(self._methods, slice(start, start + len(subject)))[method]

        def explain(asked: Attributer, images: np.ndarray, targets: np.ndarray, seeds: np.ndarray) -> Attributions:
            explained = asked.explain_many(
                images, {method: built}, targets, seed=seeds, batch_size=self._options.batch_size, progress=False
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
                return failures.reason_of(error, self._options.strict)
            each = np.ones(len(subject))
            maps = Maps(made.values, each * made.seconds / len(subject), each * memory.mib)
            if cache is not None:
                cache.save(built, keys, maps)
        costs = {"seconds": maps.seconds.tolist(), "peak_mib": [known(value) for value in maps.peak_mib]}
        self._store.write(self._records.maps(start, method), costs)
        values = Attributions(maps.values, subject.targets, method)
        heat = values.heatmap(reduce=ranking(built))
        return Explained(maps.values, heat, on_others, with_another)

    def _score(
        self, start: int, method: str, benchmark: str, subject: Subject, explained: Explained, prepared: dict[str, Any]
    ) -> dict[str, Any]:
        """A cell's record: scores, or the reason why there are none; and what they cost."""
        built = _of_these(self._benchmarks[benchmark], start)
        if built is None:
            return {"scores": [None] * len(subject), "error": None, "seconds": 0.0, "passes": 0} | _PREPARED
        needs = built.card.needs
        why = unable(self._methods[method], images="explain" in needs, model="classifier" in needs)
        if why is not None:
            return {"scores": None, "error": why}
        costs = _PREPARED
        if benchmark not in prepared:
            made, why, seconds, passes = self._try(lambda: built.prepare(subject), built, benchmark, subject)
            prepared[benchmark] = made, why
            costs = {"prepare_seconds": seconds, "prepare_passes": passes}
        ready, why = prepared[benchmark]
        if why is not None:
            return {"scores": None, "error": f"not prepared: {why}"} | costs
        scores, why, seconds, passes = self._try(
            lambda: _checked(built.score(subject, ready, explained), len(subject), start), built, benchmark, subject
        )
        if why is not None:
            return {"scores": None, "error": why} | costs
        found = {"scores": [known(score) for score in scores], "error": None}
        return found | costs | {"seconds": seconds, "passes": passes}

    def _try(
        self, work: Callable[[], Any], built: Benchmark, benchmark: str, subject: Subject
    ) -> tuple[Any, str | None, float, int]:
        """What a benchmark makes, or why it fails; seconds, and the forward passes that it asked for.

        One that was given the weights must hand them back; all that comes after it would be wrong.
        """
        begun, passes = time.perf_counter(), subject.passes
        made, why = None, None
        try:
            made = work()
        except Exception as error:
            why = failures.reason_of(error, self._options.strict)
        if "classifier" in built.card.needs and self._attributer.classifier.fingerprint() != self._fingerprint:
            raise AttribevalError(
                f"Expected the benchmark {benchmark!r} to put the model's weights back. Received changed weights: load "
                "the model again, and leave this benchmark out."
            )
        return made, why, time.perf_counter() - begun, subject.passes - passes

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
        self._store.write_arrays(self._records.agreement(start), {"correlations": correlations, "there": there})


def _of_these(benchmark: Benchmark, start: int) -> Benchmark | None:
    """The benchmark as it judges images from number `start` on: its `images`, if it has any, are the run's first."""
    one: Any = benchmark
    limit = getattr(one, "images", None)
    if limit is None:
        return benchmark
    return replace(one, images=limit - start) if start < limit else None


def _checked(scores: Any, n: int, start: int) -> np.ndarray:
    scores = np.asarray(scores)
    if scores.shape != (n,) or scores.dtype.kind not in "fiub":
        raise AttribevalError(f"Expected {n} scores, real numbers ({n},). Received: {scores.dtype} {scores.shape}.")
    scores = scores.astype(np.float64)
    infinite = np.flatnonzero(np.isinf(scores))
    if infinite.size:
        raise AttribevalError(f"Expected finite scores, or NaN. Received infinity for image {start + infinite[0]}.")
    return scores
