"""BAM from data to table: train, verify, explain, patch, test concepts. Everything is kept in the run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.benchmarks.bam.concept_contrast import EXAMPLES, concept_examples, kept_vectors
from attribeval.benchmarks.bam.examples import example_panels, patch_panels, series_panels
from attribeval.benchmarks.bam.insignificant_patch import PAPER_OPTIMISER, RADIUS, Patches, insignificant_patches
from attribeval.benchmarks.bam.models import OBJECT, SCENE, SCENE_ONLY, Trained, k_name, train_models, training_sets
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.bam.plan import Plan, make_plan
from attribeval.benchmarks.bam.relative_importance import feature_items, relative_importance
from attribeval.benchmarks.bam.scoring import Averages, averages
from attribeval.benchmarks.bam.stimuli import SMALLER, Stimulus, moved, of_part, patched
from attribeval.benchmarks.bam.summary import Concepts, Evidence, summarise
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.concepts.tcav import ConceptVectors, Tcav, score_concept
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.results.result import Result
from attribeval.runs.failures import failed_rows, reason_of
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.store import Store


@takes(BamOptions)
def run_bam(options: BamOptions) -> Result:
    """Benchmark attribution methods by relative feature importance: MCS, IDR, IIR, and TCAV.

    Returns:
        `table` with one row per method and metric, and columns: method; kind ("method", "control", "concept"); metric
        ("MCS", "MCSMoved", "MCSSmaller", "MCSCorrelation", "IDR", "IDRMoved", "IDRSmaller", "IIR", "IIRChange"); value;
        low, high (95 % interval over images, see `over_images.mean_interval`); deviation (of 10 trials of 100 images;
        empty for fewer than 100); baseline (the same with random regions, for TCAV with random concepts); images;
        seconds_per_image; error (why numbers of all or of some images are missing, see `runs.failures`).
        `settings["accuracy"]` is figure 2. `arrays` holds the series over k and the example panels.

    Raises:
        AttribevalError: If an argument is out of range, the data have too few images, or a model fits them not.
    """
    plan = make_plan(options)
    store = Store(options.run_dir, "bam")
    test, feature, order, seed = plan.data.test, options.feature, options.order, options.seed
    content = test.fingerprint()
    sets = training_sets(plan.data, plan.ks, feature, order)
    models = train_models(sets, plan.net, store, strategy=options.strategy, seed=seed, progress=options.progress)
    importance = relative_importance(models, test, plan.ks, feature, order, options.series_scenes)

    def score(name: str | Classifier, stimulus: Stimulus, quick_only: bool = False) -> _Scored:
        classifier = models[name].classifier if isinstance(name, str) else name
        return _score(classifier, stimulus, plan, store, quick_only, content, options)

    items = np.arange(min(options.images, len(test)))
    evidence = Evidence(importance, list(plan.methods), kinds=plan.kinds)
    evidence.objects = score(OBJECT, of_part(test, "composite", "object", items))
    evidence.scenes = score(SCENE, of_part(test, "composite", "scene", items))
    evidence.alone = score(SCENE, of_part(test, "scene_only", "scene", items))
    again = items[: options.robust_images]
    for row, scale in (("Moved", 1.0), ("Smaller", SMALLER)) if again.size else ():
        evidence.robust[row] = (
            score(OBJECT, moved(test, "composite", "object", again, seed, scale), True),
            score(SCENE, moved(test, "composite", "scene", again, seed, scale), True),
            score(SCENE, moved(test, "scene_only", "scene", again, seed, scale), True),
        )
    of_series = [
        feature_items(test, k, feature, order, options.series_scenes)[: options.series_images] for k in plan.ks
    ]
    if all(chosen.size for chosen in of_series):
        union = np.unique(np.concatenate(of_series))
        last = score(k_name(plan.ks[-1]), of_part(test, "composite", "scene", union), True)
        for k, chosen in zip(plan.ks, of_series, strict=True):
            beside = last.at(np.searchsorted(union, chosen))
            is_last = k == plan.ks[-1]
            one = beside if is_last else score(k_name(k), of_part(test, "composite", "scene", chosen), True)
            evidence.series.append((one, beside))
    bare = Classifier(models[SCENE_ONLY].classifier.model, class_names=test.scene_names, name="bam_scene_only_inputs")
    having = np.flatnonzero(test.objects == feature)[: options.patch_images]
    inputs, evidence.patches = _patches(models[SCENE_ONLY].classifier, bare, test, having, options, store)
    evidence.without_patch = score(bare, patched(test, having, inputs, None, "inputs"))
    evidence.with_patch = score(bare, patched(test, having, inputs, evidence.patches, "inputs with patches"))
    try:
        evidence.concepts = _concepts(models, plan, test, options, of_series, store)
    except Exception as error:
        evidence.concepts_error = reason_of(error, options.strict)
    settings = _settings(plan, options, models) | {
        "images": len(items), "robust_images": len(again), "patch_images": len(having)
    }  # fmt: skip
    result = summarise(evidence, settings, options.strict)
    failed = set(failed_rows(result.table)["method"])
    drawn = replace(plan, methods={name: one for name, one in plan.methods.items() if name not in failed})
    result.arrays |= example_panels(models, drawn, test, items, evidence, seed)
    result.arrays |= series_panels(models, drawn, test, of_series[0], seed)
    result.arrays |= patch_panels(bare, drawn, test, having, inputs, evidence.patches, seed)
    return result


def _settings(plan: Plan, options: BamOptions, models: Mapping[str, Trained]) -> dict[str, Any]:
    """What a result says of the run that made it."""
    test = plan.data.test
    return {
        "data": {"train": len(plan.data.train), "test": len(test), "size": list(test.images.shape[1:])},
        "objects": list(test.object_names),
        "scenes": list(test.scene_names),
        "feature": test.object_names[options.feature],
        "series_on": "scenes with the feature" if options.series_scenes == "all" else "the first scene",
        "series_images": options.series_images,
        "recipe": plan.net.recipe.to_json(),
        "series_recipe": (plan.net.series_recipe or plan.net.recipe).to_json(),
        "preprocess": plan.net.preprocess,
        "methods": list(plan.methods),
        "options": {name: o for name, method in plan.methods.items() if (o := options_of(method))},
        "slow_methods": plan.slow,
        "slow_images": options.slow_images,
        "protocol": options.protocol,
        "training_seconds": {name: round(m.record["total_seconds"], 1) for name, m in models.items()},
        "seed": options.seed,
        "versions": versions(),
    }


@dataclass(frozen=True, eq=False)
class _Scored:
    """g_c of every method, and which images the model classifies correctly."""

    averages: dict[str, Averages]
    correct: np.ndarray

    def at(self, places: np.ndarray) -> _Scored:
        """Some of the images."""
        some = {
            name: Averages(one.region[places], one.random[places], one.seconds, one.error)
            for name, one in self.averages.items()
        }
        return _Scored(some, self.correct[places])


def _score(
    classifier: Classifier,
    stimulus: Stimulus,
    plan: Plan,
    store: Store,
    quick_only: bool,
    content: str,
    options: BamOptions,
) -> _Scored:
    quick = {name: method for name, method in plan.methods.items() if name not in plan.slow}
    found = averages(classifier, stimulus, quick, store, content, options) if quick else {}
    if plan.slow and not quick_only:
        slow = {name: plan.methods[name] for name in plan.slow}
        found |= averages(classifier, stimulus.first(plan.slow_images), slow, store, content, options)
    right = []
    for start in range(0, len(stimulus.items), 256):
        places = np.arange(start, min(start + 256, len(stimulus.items)))
        x = classifier.prepare(np.asarray(stimulus.load(places)[0], np.float32))
        right.append(classifier.forward(x)[0].numpy().argmax(1) == stimulus.labels[places])
    return _Scored(found, np.concatenate(right))


def _patches(
    scene_only: Classifier,
    bare: Classifier,
    test: Any,
    items: np.ndarray,
    options: BamOptions,
    store: Store,
) -> tuple[np.ndarray, Patches]:
    """Model inputs of scenes, and the patches found in them; kept by content."""
    if not items.size:
        raise AttribevalError("Expected test images with the common feature, for the patches of IIR. Received none.")
    inputs, pasted = (
        np.asarray(scene_only.prepare(test.load(kind, items).astype(np.float32)))
        for kind in ("scene_only", "composite")
    )
    shape = (1, *inputs.shape[1:])
    ends = [np.asarray(scene_only.prepare(np.full(shape, end, np.float32)))[0, 0, 0] for end in (0.0, 255.0)]
    optimiser: Mapping[str, Any] = PAPER_OPTIMISER if options.protocol == "paper" else {}
    about = [model_key(bare), items.tolist(), RADIUS, versions(), content_of(inputs, pasted), *optimiser.items()]
    name = f"patches/{digest_of(about)}"
    parts = ("images", "change", "before", "scale", "size")
    found = store.read_arrays(name)
    if found is None:
        with progress_bars.bar(len(items), "patches", options.progress) as bar:
            made = insignificant_patches(
                bare, inputs, pasted, np.asarray(test.masks[items]), bounds=(np.minimum(*ends), np.maximum(*ends)),
                **optimiser,
            )  # fmt: skip
            bar.update(len(items))
        found = {part: np.asarray(getattr(made, part)) for part in parts}
        store.write_arrays(name, found)
    return inputs, Patches(**{part: found[part] for part in parts})


def _concepts(
    models: Mapping[str, Trained], plan: Plan, test: Any, options: BamOptions, of_series: list[np.ndarray], store: Store
) -> Concepts | None:
    """TCAV of the feature for f_o, f_s and every f_k, each on images with it; None without enough of them."""
    train, feature, seed = plan.data.train, options.feature, options.seed
    if (
        not all(chosen.size for chosen in of_series)
        or (train.objects == feature).sum() < EXAMPLES
        or len(train) < 2 * EXAMPLES
    ):
        return None
    concept, others = concept_examples(train, feature, options.random_sets, seed)
    items = np.flatnonzero(test.objects == feature)[:EXAMPLES]

    vectors: dict[str, list[ConceptVectors]] = {}

    def score(name: str, chosen: np.ndarray, targets: int | np.ndarray) -> Tcav:
        classifier = models[name].classifier
        if name not in vectors:
            layers = plan.net.concept_layers
            vectors[name] = kept_vectors(classifier, concept, others, layers, store, seed)
        return score_concept(classifier, test.load("composite", chosen), targets, vectors[name])

    series = []
    with progress_bars.bar(2 + len(plan.ks), "concepts", options.progress, unit="model") as bar:
        of_objects, of_scenes = score(OBJECT, items, feature), score(SCENE, items, test.scenes[items])
        bar.update(2)
        for k, chosen in zip(plan.ks, of_series, strict=True):
            own, last = (score(k_name(one), chosen, test.scenes[chosen]) for one in (k, plan.ks[-1]))
            series.append((own, last))
            bar.update(1)
    return Concepts(of_objects, of_scenes, series, len(items))
