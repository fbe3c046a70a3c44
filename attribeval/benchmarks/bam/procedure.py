"""BAM from data to table: train, verify, explain, patch, test concepts. Everything is kept in the run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import versions
from attribeval.benchmarks.bam.concept_contrast import EXAMPLES, concept_examples, kept_vectors
from attribeval.benchmarks.bam.examples import example_panels, patch_panels, series_panels
from attribeval.benchmarks.bam.insignificant_patch import PAPER_OPTIMISER, RADIUS, Patches, insignificant_patches
from attribeval.benchmarks.bam.models import OBJECT, SCENE, SCENE_ONLY, Trained, k_name, train_models, training_sets
from attribeval.benchmarks.bam.nets import Net
from attribeval.benchmarks.bam.plan import KS, PAPER_METHODS, Plan, make_plan
from attribeval.benchmarks.bam.region import Protocol
from attribeval.benchmarks.bam.relative_importance import feature_items, relative_importance
from attribeval.benchmarks.bam.scoring import Averages, averages
from attribeval.benchmarks.bam.stimuli import SMALLER, Stimulus, moved, of_part, patched
from attribeval.benchmarks.bam.summary import Concepts, Evidence, summarise
from attribeval.common.options import options_of
from attribeval.concepts.tcav import ConceptVectors, Tcav, score_concept
from attribeval.datasets.bam import Bam
from attribeval.errors import AttribevalError
from attribeval.methods.given import Given
from attribeval.models.classifier import Classifier
from attribeval.results.result import Result
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.store import Store


def run_bam(
    data: Bam | str = "digits",
    methods: Given | Sequence[Given] | Mapping[str, Given] = PAPER_METHODS,
    *,
    run_dir: str | PathLike,
    net: str | Net = "small",
    feature: int = 0,
    order: Sequence[int] | None = None,
    ks: Sequence[float] = KS,
    series_scenes: str = "all",
    series_images: int = 50,
    images: int = 200,
    robust_images: int = 100,
    patch_images: int = 150,
    slow_images: int = 10,
    random_sets: int = 20,
    protocol: Protocol = "fixed",
    strategy: Any = "auto",
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Result:
    """Benchmark attribution methods by relative feature importance: MCS, IDR, IIR, and TCAV.

    Args:
        data: `Bam` (of `datasets.bam.digits`, `datasets.bam_layout.read_bam` or `build_bam`), or "digits": the embedded
            data, 20,000 training and 10,000 test images of 48 × 48.
        methods: Names, objects and functions `f(model, images, targets, seed)`, in a list or in a mapping from labels:
            see `methods.given.methods_of`. "random" and "sobel" are added as controls.
        run_dir: Models, averages, patches and concepts are kept there; the same call goes on after an interruption,
            and a call with other methods computes theirs alone. A damaged file is noticed and made again.
        net: "small", "resnet50" (the article's, from ImageNet weights), or a `nets.Net`.
        feature: Object class that is the common feature of the f_k, the concept of TCAV and the patch of IIR.
        order: Scene classes, those that have the feature first. None: by label.
        ks: Commonalities; the last must be 1.
        series_scenes: On which scenes f_k is measured: "all" that have the feature for it, or the "first", see
            `relative_importance.feature_items`.
        series_images: Test images for MCS of each f_k.
        images: Test images for MCS and IDR, the first that there are.
        robust_images: How many of them are measured again with the objects at other places, and at 0.7 of their size;
            0: none.
        patch_images: Test images with the feature, for IIR.
        slow_images: How many of all these the methods get that need hundreds of passes an image (families
            perturbation, model-agnostic and region, Score-CAM and guided IG); they have no robustness rows and no
            series over k.
        random_sets: Sets of 100 random examples for TCAV.
        protocol: "fixed", "paper" or "reference", see `region.heat` and `iir.unchanged`. "paper" also finds patches by
            the article's update (appendix A), plain descent with λ = 500 and η₁ = .01, in place of Adam.
        strategy: For the trainings, as in `training.strategies.make_strategy`.
        seed: Of everything random.
        batch_size: Images that a model explains at a time.
        progress: Show progress bars.

    Returns:
        `table` with one row per method and metric, and columns: method; kind ("method", "control", "concept"); metric
        ("MCS", "MCSMoved", "MCSSmaller", "MCSCorrelation", "IDR", "IDRMoved", "IDRSmaller", "IIR", "IIRChange"); value;
        low, high (95 % interval over images, see `over_images.mean_interval`); deviation (of 10 trials of 100 images;
        empty for fewer than 100); baseline (the same with random regions, for TCAV with random concepts); images;
        seconds_per_image.
        `settings["accuracy"]` is figure 2. `arrays` holds the series over k and the example panels.

    Raises:
        AttribevalError: If an argument is out of range, the data have too few images, or a model fits them not.
    """
    if series_scenes not in ("all", "first"):
        raise AttribevalError(f"Expected series_scenes 'all' or 'first'. Received: {series_scenes!r}.")
    plan = make_plan(data, methods, net, ks, images, patch_images, slow_images, protocol)
    store = Store(run_dir, "bam")
    test = plan.data.test
    content = test.fingerprint()
    options = {"content": content, "protocol": protocol, "seed": seed, "batch_size": batch_size, "progress": progress}
    sets = training_sets(plan.data, plan.ks, feature, order)
    models = train_models(sets, plan.net, store, strategy=strategy, seed=seed, progress=progress)
    importance = relative_importance(models, test, plan.ks, feature, order, series_scenes)

    def score(name: str | Classifier, stimulus: Stimulus, quick_only: bool = False) -> _Scored:
        classifier = models[name].classifier if isinstance(name, str) else name
        return _score(classifier, stimulus, plan, store, quick_only, options)

    items = np.arange(min(images, len(test)))
    evidence = Evidence(importance, list(plan.methods), kinds=plan.kinds)
    evidence.objects = score(OBJECT, of_part(test, "composite", "object", items))
    evidence.scenes = score(SCENE, of_part(test, "composite", "scene", items))
    evidence.alone = score(SCENE, of_part(test, "scene_only", "scene", items))
    again = items[:robust_images]
    for row, scale in (("Moved", 1.0), ("Smaller", SMALLER)) if again.size else ():
        evidence.robust[row] = (
            score(OBJECT, moved(test, "composite", "object", again, seed, scale), True),
            score(SCENE, moved(test, "composite", "scene", again, seed, scale), True),
            score(SCENE, moved(test, "scene_only", "scene", again, seed, scale), True),
        )
    of_series = [feature_items(test, k, feature, order, series_scenes)[:series_images] for k in plan.ks]
    if all(chosen.size for chosen in of_series):
        union = np.unique(np.concatenate(of_series))
        last = score(k_name(plan.ks[-1]), of_part(test, "composite", "scene", union), True)
        for k, chosen in zip(plan.ks, of_series, strict=True):
            beside = last.at(np.searchsorted(union, chosen))
            is_last = k == plan.ks[-1]
            one = beside if is_last else score(k_name(k), of_part(test, "composite", "scene", chosen), True)
            evidence.series.append((one, beside))
    bare = Classifier(models[SCENE_ONLY].classifier.model, class_names=test.scene_names, name="bam_scene_only_inputs")
    having = np.flatnonzero(test.objects == feature)[:patch_images]
    inputs, evidence.patches = _patches(models[SCENE_ONLY].classifier, bare, test, having, protocol, store, progress)
    evidence.without_patch = score(bare, patched(test, having, inputs, None, "inputs"))
    evidence.with_patch = score(bare, patched(test, having, inputs, evidence.patches, "inputs with patches"))
    evidence.concepts = _concepts(models, plan, test, feature, of_series, random_sets, store, seed, progress)
    settings = {
        "data": {"train": len(plan.data.train), "test": len(test), "size": list(test.images.shape[1:])},
        "objects": list(test.object_names),
        "scenes": list(test.scene_names),
        "feature": test.object_names[feature],
        "series_on": "scenes with the feature" if series_scenes == "all" else "the first scene",
        "series_images": series_images,
        "recipe": plan.net.recipe.to_json(),
        "series_recipe": (plan.net.series_recipe or plan.net.recipe).to_json(),
        "preprocess": plan.net.preprocess,
        "methods": list(plan.methods),
        "options": {name: o for name, method in plan.methods.items() if (o := options_of(method))},
        "slow_methods": plan.slow,
        "images": len(items),
        "robust_images": len(again),
        "patch_images": len(having),
        "slow_images": slow_images,
        "protocol": protocol,
        "training_seconds": {name: round(m.record["total_seconds"], 1) for name, m in models.items()},
        "seed": seed,
        "versions": versions(),
    }
    result = summarise(evidence, settings)
    result.arrays |= example_panels(models, plan, test, items, evidence, seed)
    result.arrays |= series_panels(models, plan, test, of_series[0], seed)
    result.arrays |= patch_panels(bare, plan, test, having, inputs, evidence.patches, seed)
    return result


@dataclass(frozen=True, eq=False)
class _Scored:
    """g_c of every method, and which images the model classifies correctly."""

    averages: dict[str, Averages]
    correct: np.ndarray

    def at(self, places: np.ndarray) -> _Scored:
        """Some of the images."""
        some = {
            name: Averages(one.region[places], one.random[places], one.seconds) for name, one in self.averages.items()
        }
        return _Scored(some, self.correct[places])


def _score(
    classifier: Classifier, stimulus: Stimulus, plan: Plan, store: Store, quick_only: bool, options: dict[str, Any]
) -> _Scored:
    quick = {name: method for name, method in plan.methods.items() if name not in plan.slow}
    found = averages(classifier, stimulus, quick, store, **options) if quick else {}
    if plan.slow and not quick_only:
        slow = {name: plan.methods[name] for name in plan.slow}
        found |= averages(classifier, stimulus.first(plan.slow_images), slow, store, **options)
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
    protocol: Protocol,
    store: Store,
    progress: bool | None,
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
    options: Mapping[str, Any] = PAPER_OPTIMISER if protocol == "paper" else {}
    about = [model_key(bare), items.tolist(), RADIUS, versions(), content_of(inputs, pasted), *options.items()]
    name = f"patches/{digest_of(about)}"
    parts = ("images", "change", "before", "scale", "size")
    found = store.read_arrays(name)
    if found is None:
        with progress_bars.bar(len(items), "patches", progress) as bar:
            made = insignificant_patches(
                bare, inputs, pasted, np.asarray(test.masks[items]), bounds=(np.minimum(*ends), np.maximum(*ends)),
                **options,
            )  # fmt: skip
            bar.update(len(items))
        found = {part: np.asarray(getattr(made, part)) for part in parts}
        store.write_arrays(name, found)
    return inputs, Patches(**{part: found[part] for part in parts})


def _concepts(
    models: Mapping[str, Trained],
    plan: Plan,
    test: Any,
    feature: int,
    of_series: list[np.ndarray],
    random_sets: int,
    store: Store,
    seed: int,
    progress: bool | None,
) -> Concepts | None:
    """TCAV of the feature for f_o, f_s and every f_k, each on images with it; None without enough of them."""
    train = plan.data.train
    if (
        not all(chosen.size for chosen in of_series)
        or (train.objects == feature).sum() < EXAMPLES
        or len(train) < 2 * EXAMPLES
    ):
        return None
    concept, others = concept_examples(train, feature, random_sets, seed)
    items = np.flatnonzero(test.objects == feature)[:EXAMPLES]

    vectors: dict[str, list[ConceptVectors]] = {}

    def score(name: str, chosen: np.ndarray, targets: int | np.ndarray) -> Tcav:
        classifier = models[name].classifier
        if name not in vectors:
            layers = plan.net.concept_layers
            vectors[name] = kept_vectors(classifier, concept, others, layers, store, seed)
        return score_concept(classifier, test.load("composite", chosen), targets, vectors[name])

    series = []
    with progress_bars.bar(2 + len(plan.ks), "concepts", progress, unit="model") as bar:
        of_objects, of_scenes = score(OBJECT, items, feature), score(SCENE, items, test.scenes[items])
        bar.update(2)
        for k, chosen in zip(plan.ks, of_series, strict=True):
            own, last = (score(k_name(one), chosen, test.scenes[chosen]) for one in (k, plan.ks[-1]))
            series.append((own, last))
            bar.update(1)
    return Concepts(of_objects, of_scenes, series, len(items))
