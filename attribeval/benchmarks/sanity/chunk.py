"""A few images: every method's maps, layer after layer made random, against those of the trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.sanity.explaining import explain_each, small_map
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.sanity.summary import Part
from attribeval.common.versions import versions
from attribeval.methods.card import Method
from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.models.randomised import WeightedLayer, randomised
from attribeval.runs import failures
from attribeval.runs.keys import content_of, digest_of, method_key, model_key, slug
from attribeval.runs.store import Store


@dataclass
class Run:
    """What all chunks share."""

    attributer: Attributer
    methods: dict[str, Method]
    found: list[WeightedLayer]
    options: SanityOptions
    similarities: list[str]
    shown: list[tuple[int, ...]]  # sets of layers that the picture shows
    store: Store

    def __post_init__(self) -> None:
        self.model = model_key(self.attributer.classifier)

    def record(self, label: str, positions: tuple[int, ...], content: str) -> str:
        """What a method's measurements of a chunk are called: a hash of all that they depend on."""
        method = self.methods[label]
        about = [
            self.model,
            [self.found[p].path for p in positions],
            positions,
            self.options.statistics,
            self.options.seed,
            content,
        ]
        about += [method_key(method), self.similarities, positions in self.shown, versions()]
        return f"{slug(method.card.name)}/{digest_of(about)}"


class Chunk:
    """A few images: the features of their maps are kept while the model's layers are made random, set after set."""

    def __init__(self, run: Run, raw: np.ndarray, start: int):
        self.run, self.raw, self.start = run, raw, start
        self.content = content_of(raw, np.asarray(run.attributer.classifier.prepare(raw)))
        self._targets: np.ndarray | None = None
        self._features: dict[str, dict[str, np.ndarray]] = {}
        self._example: dict[str, np.ndarray] = {}
        self._failed: dict[str, dict[str, str]] = {}  # what the trained model's maps lack, by label and similarity

    def measure(self, positions: tuple[int, ...]) -> dict[str, Part]:
        """Similarities of every method's maps, by label, with these layers random; () is the trained model itself.

        What lacks something because it failed is written without it, and measured again by the next run.
        """
        names = self.run.similarities if positions else []
        records = {label: self.run.record(label, positions, self.content) for label in self.run.methods}
        found = {label: self.run.store.read_arrays(record) for label, record in records.items()}
        whole = {label: one for label, one in found.items() if one is not None and set(names) <= set(one)}
        done = {label: Part(len(self.raw), one, {}) for label, one in whole.items()}
        missing = [label for label in found if label not in whole]
        self._read_trained([label for label in missing if label not in self._features and label not in self._failed])
        fresh = self._compare(positions, missing) if positions else {}
        if not positions:
            examples = {label: self._example[label] for label in missing if label in self._example}
            fresh = {
                m: Part(len(self.raw), {"example": one, "seconds": np.zeros(())}, {}) for m, one in examples.items()
            }
        for label, part in fresh.items():
            if part.arrays:
                self.run.store.write_arrays(records[label], part.arrays)
        nothing = {label: Part(len(self.raw), {}, self._told(self._failed.get(label, {}))) for label in missing}
        return done | nothing | fresh

    def _told(self, reasons: Mapping[str, str]) -> dict[str, str]:
        last = self.start + len(self.raw) - 1
        return {name: failures.of_images(self.start, last, why) for name, why in reasons.items()}

    def _read_trained(self, labels: list[str]) -> None:
        maps, failed = self._explain(labels, ())
        names = {name: SIMILARITIES[name] for name in self.run.similarities}
        self._failed |= {label: dict.fromkeys(names, why) for label, why in failed.items()}
        for label, one in maps.items():

            def features(some: dict[str, Any], values: np.ndarray = one.values) -> dict[str, np.ndarray]:
                return {name: similarity.features(values) for name, similarity in some.items()}

            self._features[label], self._failed[label] = failures.each(features, names, self.run.options.strict)
            self._example[label] = small_map(one.values[0])

    def _compare(self, positions: tuple[int, ...], labels: list[str]) -> dict[str, Part]:
        labels = [label for label in labels if label in self._features]
        if not labels:
            return {}
        chosen = [self.run.found[p] for p in positions]
        classifier = self.run.attributer.classifier
        with randomised(classifier, chosen, seed=self.run.options.seed, statistics=self.run.options.statistics):
            explained, failed = self._explain(labels, positions)
        lost = {label: dict.fromkeys(self.run.similarities, why) for label, why in failed.items()}
        fresh = {label: Part(len(self.raw), {}, self._told(reasons)) for label, reasons in lost.items()}
        for label, maps in explained.items():
            arrays: dict[str, np.ndarray] = {"seconds": np.array(maps.seconds)}
            trained = self._features[label]

            def compare(
                some: dict[str, Any], values: np.ndarray = maps.values, trained: dict[str, np.ndarray] = trained
            ) -> dict[str, np.ndarray]:
                return {name: one.compare(trained[name], one.features(values)) for name, one in some.items()}

            compared, lacking = failures.each(compare, {n: SIMILARITIES[n] for n in trained}, self.run.options.strict)
            if positions in self.run.shown:
                arrays["example"] = small_map(maps.values[0])
            fresh[label] = Part(len(self.raw), arrays | compared, self._told(self._failed[label] | lacking))
        return fresh

    def _explain(self, labels: list[str], positions: tuple[int, ...]) -> tuple[dict[str, Attributions], dict[str, str]]:
        if not labels:
            return {}, {}
        if self._targets is None:
            output = self.run.attributer.predict(self.raw, batch_size=self.run.options.batch_size, progress=False)
            self._targets = output.argmax(1)
        methods = {label: self.run.methods[label] for label in labels}
        where = "the trained model" if not positions else f"{self.run.found[positions[-1]].path!r} made random"
        return explain_each(
            self.run.attributer, self.raw, methods, self._targets, self.run.options, model=positions, where=where
        )
