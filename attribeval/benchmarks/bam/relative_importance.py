"""The article's figure 2: is the relative importance that the metrics rely on really there?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.bam.models import OBJECT, SCENE, SCENE_ONLY, Trained, k_name, symbol
from attribeval.datasets.bam import BamPart, BamView
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.results.numbers import share
from attribeval.results.over_images import mean_interval

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"composite": "object in scene", "object_only": "object on grey", "scene_only": "scene alone"}
_BATCH = 256
_SMALL = 0.05  # points of accuracy, /100, that a model may lose when something unimportant is removed


@dataclass(frozen=True, eq=False)
class RelativeImportance:
    """Figure 2.

    Attributes:
        table: Columns model, tested_on, accuracy, low, high (95 %, Wilson), images.
        rises: Share of the images that f_s classifies correctly with the object whose confidence is higher without it.
        ks: The commonalities.
        with_feature, without_feature: Accuracy of each f_k on images with the feature, and on the same without it.
        checks: What must hold for the metrics to mean something: (sentence, whether it does).
    """

    table: pd.DataFrame
    rises: float
    ks: tuple[float, ...]
    with_feature: np.ndarray
    without_feature: np.ndarray
    checks: list[tuple[str, bool]]

    @property
    def drops(self) -> np.ndarray:
        """Accuracy lost when the feature is removed, by k."""
        return self.with_feature - self.without_feature


def feature_items(
    test: BamPart, k: float, feature: int, order: Sequence[int] | None = None, scenes: str = "all"
) -> np.ndarray:
    """The images on which f_k is measured: those with the feature, of scene classes that have it when f_k is trained.

    `scenes`: "all" of these classes, or only the "first" of `order`, which has the feature for every k: the article's
    choice. One class may be so easy that it needs no feature, or so hard that it always does; all of them tell more.
    Item numbers, one of each class in turn.
    """
    order = list(order or range(len(test.scene_names)))
    chosen = order[:1] if scenes == "first" else order[: round(k * len(order))]
    of_class = [np.flatnonzero((test.objects == feature) & (test.scenes == scene)) for scene in chosen]
    rank = np.concatenate([np.arange(len(items)) for items in of_class])
    return np.concatenate(of_class)[np.argsort(rank, kind="stable")]


def relative_importance(
    models: Mapping[str, Trained],
    test: BamPart,
    ks: Sequence[float],
    feature: int,
    order: Sequence[int] | None,
    scenes: str = "all",
) -> RelativeImportance:
    """Measure accuracies on the test images with and without object, scene and common feature.

    Of a model that is not there nothing is known, and nothing checked. f_k is tested on `feature_items`.
    """
    import pandas as pd

    rows = []

    def add(name: str, kind: str, label: str) -> tuple[np.ndarray, np.ndarray]:
        right, confidence = _answers(models.get(name), test.view(kind, label))
        rows.append(_row(symbol(name), _NAMES[kind], right))
        return right, confidence

    with_objects, _ = add(OBJECT, "composite", "object")
    add(OBJECT, "object_only", "object")
    no_object, _ = add(OBJECT, "scene_only", "object")
    with_scene, confident = add(SCENE, "composite", "scene")
    without, more_confident = add(SCENE, "scene_only", "scene")
    no_scene, _ = add(SCENE, "object_only", "scene")
    add(SCENE_ONLY, "scene_only", "scene")
    rises = float((more_confident > confident)[with_scene].mean()) if with_scene.any() else float("nan")
    accuracies = np.full((2, len(ks)), np.nan)
    for i, k in enumerate(ks):
        items = feature_items(test, k, feature, order, scenes)
        named = [test.scene_names[s] for s in np.unique(test.scenes[items])]
        where = named[0] if len(named) == 1 else f"{len(named)} scenes"
        for j, kind in enumerate(("composite", "scene_only")):
            right, _ = _answers(models.get(k_name(k)), test.view(kind, "scene", items))
            rows.append(_row(symbol(k_name(k)), f"{where} {'without' if j else 'with'} the feature", right))
            accuracies[j, i] = rows[-1]["accuracy"]
    checks = _checks(test, with_objects, no_object, with_scene, without, no_scene)
    drops = accuracies[0] - accuracies[1]
    if len(ks) > 1 and np.isfinite(drops).all():
        low, high = drops[: len(ks) // 2].mean(), drops[len(ks) - len(ks) // 2 :].mean()
        checks.append(
            (
                f"the rarer the feature, the more its removal costs: {100 * low:.1f} points for the smaller half of k, "
                f"{100 * high:.1f} for the larger",
                bool(low > high),
            )
        )
    having, lacking = accuracies
    return RelativeImportance(pd.DataFrame(rows), rises, tuple(ks), having, lacking, checks)


def _checks(
    test: BamPart,
    with_objects: np.ndarray,
    no_object: np.ndarray,
    with_scene: np.ndarray,
    without: np.ndarray,
    no_scene: np.ndarray,
) -> list[tuple[str, bool]]:
    """What must hold of f_o and f_s, as far as they could be trained, from whether each image is right."""
    chance_o, chance_s = 1 / len(test.object_names), 1 / len(test.scene_names)
    checks = []
    if with_objects.size:
        checks.append(
            (
                f"f_o needs the object: {share(with_objects.mean())} with it, {share(no_object.mean())} without "
                f"(chance {share(chance_o)})",
                _near_chance(no_object, chance_o) and _knows(with_objects, chance_o),
            )
        )
    if with_scene.size:
        checks += [
            (
                f"f_s does not need the object: {share(with_scene.mean())} with it, {share(without.mean())} without",
                bool(without.mean() > with_scene.mean() - _SMALL),
            ),
            (
                f"f_s needs the scene: {share(with_scene.mean())} with it, {share(no_scene.mean())} without "
                f"(chance {share(chance_s)})",
                _near_chance(no_scene, chance_s) and _knows(with_scene, chance_s),
            ),
        ]
    return checks


def answers(classifier: Classifier, view: BamView) -> tuple[np.ndarray, np.ndarray]:
    """The model's scores and probabilities on every image, float32 (N, classes) each, a batch at a time.

    Raises:
        AttribevalError: If labels are not the model's classes.
    """
    if classifier.classes != len(view.class_names):
        raise AttribevalError(
            f"Expected a model of the data's {len(view.class_names)} classes. Received {classifier.name!r} with "
            f"{classifier.classes}."
        )
    scores, probabilities = [], []
    for start in range(0, len(view), _BATCH):
        images = view.load(slice(start, start + _BATCH)).astype(np.float32)
        score, answer = classifier.forward(classifier.prepare(images))
        scores.append(score.numpy())
        probabilities.append(classifier.task.probabilities(score, answer).numpy())
    return np.concatenate(scores), np.concatenate(probabilities)


def _answers(model: Trained | None, view: BamView) -> tuple[np.ndarray, np.ndarray]:
    """Whether each image is right, and the probability of its label; nothing without a model or images."""
    if model is None or not len(view):
        return np.zeros(0, bool), np.zeros(0)
    scores, probabilities = answers(model.classifier, view)
    return scores.argmax(1) == view.labels, probabilities[np.arange(len(view)), view.labels]


def _row(model: str, tested_on: str, right: np.ndarray) -> dict[str, Any]:
    accuracy, (low, high) = float(right.mean()) if right.size else np.nan, mean_interval(right)
    about: dict[str, Any] = {"model": model, "tested_on": tested_on}
    return about | {"accuracy": accuracy, "low": low, "high": high, "images": len(right)}


def _near_chance(right: np.ndarray, chance: float) -> bool:
    """Whether an accuracy is within a tenth of the way from chance to perfect."""
    return bool(right.mean() < chance + 0.1 * (1 - chance))


def _knows(right: np.ndarray, chance: float) -> bool:
    """Whether an accuracy is more than half of the way from chance to perfect."""
    return bool(right.mean() > chance + 0.5 * (1 - chance))
