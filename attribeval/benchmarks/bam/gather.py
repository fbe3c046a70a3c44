"""What is measured of BAM's models: g_c of every method, patches, concepts; or why it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.benchmarks.bam.concept_contrast import EXAMPLES, concept_examples, kept_vectors
from attribeval.benchmarks.bam.insignificant_patch import PAPER_OPTIMISER, RADIUS, Patches, insignificant_patches
from attribeval.benchmarks.bam.models import OBJECT, SCENE, SCENE_ONLY, Trained, k_name, train_models, training_sets
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.bam.plan import Plan
from attribeval.benchmarks.bam.relative_importance import feature_items
from attribeval.benchmarks.bam.scoring import Averages, averages
from attribeval.benchmarks.bam.stimuli import SMALLER, Stimulus, moved, of_part, patched
from attribeval.benchmarks.bam.summary import Concepts, Evidence
from attribeval.common.versions import versions
from attribeval.concepts.tcav import ConceptVectors, Tcav, score_concept
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.runs.failures import reason_of
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.store import Store


@dataclass(frozen=True, eq=False)
class Scored:
    """g_c of every method, and which images the model classifies correctly; without a model NaN, and all count."""

    averages: dict[str, Averages]
    correct: np.ndarray

    def at(self, places: np.ndarray) -> Scored:
        """Some of the images."""
        some = {
            name: Averages(one.region[places], one.random[places], one.seconds, one.error)
            for name, one in self.averages.items()
        }
        return Scored(some, self.correct[places])


class Gathering:
    """The models of a call, trained, and what is asked of them; the store keeps both.

    Attributes:
        models: By name, those that could be trained.
        lost: Why others could not, by name.
        items: The test images of MCS and IDR.
        again: Those that are measured with objects at other places.
        of_series: Those of each f_k.
        having: Those of the patches.
        inputs: Model inputs of these without patches; None without f_∅s.
    """

    def __init__(self, plan: Plan, options: BamOptions):
        self.plan, self.options, self.test = plan, options, plan.data.test
        sets = training_sets(plan.data, plan.ks, options.feature, options.order)  # checks both
        self.items = np.arange(min(options.images, len(self.test)))
        self.again = self.items[: options.robust_images]
        where = (options.feature, options.order, options.series_scenes)
        self.of_series = [feature_items(self.test, k, *where)[: options.series_images] for k in plan.ks]
        self.having = np.flatnonzero(self.test.objects == options.feature)[: options.patch_images]
        if not self.having.size:
            raise AttribevalError("Expected test images with the common feature, for patches of IIR. Received none.")
        self.inputs: Any = None
        self._store = Store(options.run_dir, "bam")
        self._content = self.test.fingerprint()
        self.lost: dict[str, str] = {}
        self.models: dict[str, Trained] = train_models(
            sets, plan.net, self._store, strategy=options.strategy, seed=options.seed, progress=options.progress,
            failed=None if options.strict else self.lost,
        )  # fmt: skip

    def fill(self, evidence: Evidence) -> None:
        """Measure everything."""
        self._contrasts(evidence)
        self._series(evidence)
        self._patches(evidence)
        lost = list(self.lost.values())
        try:
            evidence.concepts = None if lost else self._concepts()
        except Exception as error:
            lost = [reason_of(error, self.options.strict)]
        evidence.concepts_error = "; ".join(lost)

    def bare(self) -> Classifier:
        """f_∅s on its own inputs."""
        model = self.models[SCENE_ONLY].classifier.model
        return Classifier(model, class_names=self.test.scene_names, name="bam_scene_only_inputs")

    def _contrasts(self, evidence: Evidence) -> None:
        test, items, seed = self.test, self.items, self.options.seed
        evidence.objects = self._score(OBJECT, of_part(test, "composite", "object", items))
        evidence.scenes = self._score(SCENE, of_part(test, "composite", "scene", items))
        evidence.alone = self._score(SCENE, of_part(test, "scene_only", "scene", items))
        for row, scale in (("Moved", 1.0), ("Smaller", SMALLER)) if self.again.size else ():
            evidence.robust[row] = (
                self._score(OBJECT, moved(test, "composite", "object", self.again, seed, scale), True),
                self._score(SCENE, moved(test, "composite", "scene", self.again, seed, scale), True),
                self._score(SCENE, moved(test, "scene_only", "scene", self.again, seed, scale), True),
            )

    def _series(self, evidence: Evidence) -> None:
        if not all(chosen.size for chosen in self.of_series):
            return
        ks, union = self.plan.ks, np.unique(np.concatenate(self.of_series))
        last = self._score(k_name(ks[-1]), of_part(self.test, "composite", "scene", union), True)
        for k, chosen in zip(ks, self.of_series, strict=True):
            beside = last.at(np.searchsorted(union, chosen))
            of_k = of_part(self.test, "composite", "scene", chosen)
            evidence.series.append((beside if k == ks[-1] else self._score(k_name(k), of_k, True), beside))

    def _patches(self, evidence: Evidence) -> None:
        """What f_∅s says of scenes, and of the same with patches that it does not notice; where these fail, why."""
        test, having = self.test, self.having
        reason = self.lost.get(SCENE_ONLY)
        if reason is None:
            try:
                self.inputs, evidence.patches = self._kept_patches()
            except Exception as error:
                reason = f"no patches: {reason_of(error, self.options.strict)}"
        if reason is not None:
            evidence.without_patch = evidence.with_patch = self._nothing(having, reason, False)
            return
        bare, inputs = self.bare(), self.inputs
        evidence.without_patch = self._score(bare, patched(test, having, inputs, None, "inputs"))
        evidence.with_patch = self._score(bare, patched(test, having, inputs, evidence.patches, "inputs with patches"))

    def _score(self, model: str | Classifier, stimulus: Stimulus, quick_only: bool = False) -> Scored:
        if isinstance(model, str) and model in self.lost:
            return self._nothing(stimulus.items, self.lost[model], quick_only)
        classifier = self.models[model].classifier if isinstance(model, str) else model
        plan, kept = self.plan, (self._store, self._content, self.options)
        quick = {name: method for name, method in plan.methods.items() if name not in plan.slow}
        found = averages(classifier, stimulus, quick, *kept) if quick else {}
        if plan.slow and not quick_only:
            slow = {name: plan.methods[name] for name in plan.slow}
            found |= averages(classifier, stimulus.first(self.options.slow_images), slow, *kept)
        right = []
        for start in range(0, len(stimulus.items), 256):
            places = np.arange(start, min(start + 256, len(stimulus.items)))
            x = classifier.prepare(np.asarray(stimulus.load(places)[0], np.float32))
            right.append(classifier.forward(x)[0].numpy().argmax(1) == stimulus.labels[places])
        return Scored(found, np.concatenate(right))

    def _nothing(self, items: np.ndarray, reason: str, quick_only: bool) -> Scored:
        """What stands where there is no model, or no image for it: NaN, and why."""
        found = {}
        for name in self.plan.methods:
            n = len(items[: self.options.slow_images]) if name in self.plan.slow else len(items)
            if not (quick_only and name in self.plan.slow):
                found[name] = Averages(np.full(n, np.nan), np.full(n, np.nan), float("nan"), reason)
        return Scored(found, np.ones(len(items), bool))

    def _kept_patches(self) -> tuple[np.ndarray, Patches]:
        """Model inputs of scenes, and the patches found in them; kept by content."""
        scene_only, bare, items = self.models[SCENE_ONLY].classifier, self.bare(), self.having
        inputs, pasted = (
            np.asarray(scene_only.prepare(self.test.load(kind, items).astype(np.float32)))
            for kind in ("scene_only", "composite")
        )
        shape = (1, *inputs.shape[1:])
        ends = [np.asarray(scene_only.prepare(np.full(shape, end, np.float32)))[0, 0, 0] for end in (0.0, 255.0)]
        optimiser: Mapping[str, Any] = PAPER_OPTIMISER if self.options.protocol == "paper" else {}
        about = [model_key(bare), items.tolist(), RADIUS, versions(), content_of(inputs, pasted), *optimiser.items()]
        name = f"patches/{digest_of(about)}"
        parts = ("images", "change", "before", "scale", "size")
        found = self._store.read_arrays(name)
        if found is None:
            with progress_bars.bar(len(items), "patches", self.options.progress) as bar:
                made = insignificant_patches(
                    bare, inputs, pasted, np.asarray(self.test.masks[items]),
                    bounds=(np.minimum(*ends), np.maximum(*ends)), **optimiser,
                )  # fmt: skip
                bar.update(len(items))
            found = {part: np.asarray(getattr(made, part)) for part in parts}
            self._store.write_arrays(name, found)
        return inputs, Patches(**{part: found[part] for part in parts})

    def _concepts(self) -> Concepts | None:
        """TCAV of the feature for f_o, f_s and every f_k, each on images with it; None without enough of them."""
        train, options, test, plan = self.plan.data.train, self.options, self.test, self.plan
        enough = (train.objects == options.feature).sum() >= EXAMPLES and len(train) >= 2 * EXAMPLES
        if not enough or not all(chosen.size for chosen in self.of_series):
            return None
        concept, others = concept_examples(train, options.feature, options.random_sets, options.seed)
        items = np.flatnonzero(test.objects == options.feature)[:EXAMPLES]
        vectors: dict[str, list[ConceptVectors]] = {}

        def score(name: str, chosen: np.ndarray, targets: int | np.ndarray) -> Tcav:
            classifier = self.models[name].classifier
            if name not in vectors:
                layers = plan.net.concept_layers
                vectors[name] = kept_vectors(classifier, concept, others, layers, self._store, options.seed)
            return score_concept(classifier, test.load("composite", chosen), targets, vectors[name])

        series = []
        with progress_bars.bar(2 + len(plan.ks), "concepts", options.progress, unit="model") as bar:
            of_objects, of_scenes = score(OBJECT, items, options.feature), score(SCENE, items, test.scenes[items])
            bar.update(2)
            for k, chosen in zip(plan.ks, self.of_series, strict=True):
                own, last = (score(k_name(one), chosen, test.scenes[chosen]) for one in (k, plan.ks[-1]))
                series.append((own, last))
                bar.update(1)
        return Concepts(of_objects, of_scenes, series, len(items))
