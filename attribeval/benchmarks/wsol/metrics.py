"""The scores by name: what each needs, and what every image contributes to it.

A score is the mean of its images' contributions, NaN where an image has none: that is all that the table, its intervals
and comparisons need. Of a score with a threshold they are the hits at the threshold chosen; of one that is no mean over
images (PxAP, the mean of classes) the score plus N times its derivative by the image's weight, which is how the score
varies with the images (Hampel 1974).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.localisation.heuristics import ENERGIES, MEANS, VALUES
from attribeval.metrics.localisation.pixels import mask_ious, pxap_by_image
from attribeval.metrics.localisation.pointing_game import hits_by_class
from attribeval.results.numbers import NUMBER, SHARE, Unit

IOUS = (0.3, 0.5, 0.7)  # of MaxBoxAccV2
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes:
        name: As it stands in the table.
        needs: Arrays per image that it is made of; "labels", "top1" and "top5" come with the images.
        truth: "boxes", "masks" or "either".
        about: One line for people.
        images: (arrays) -> contributions (N,), whose mean is the score.
        chosen: (arrays) -> the threshold that it chose, as a number, or None.
        lower: Whether lower is better.
        asked: Whether it is scored only when it is named.
        unit: How it is written.
    """

    name: str
    needs: tuple[str, ...]
    truth: str
    about: str
    images: Callable[[Arrays], np.ndarray]
    chosen: Callable[[Arrays], float] | None = None
    lower: bool = False
    asked: bool = False
    unit: Unit = SHARE


def _mean(name: str) -> Callable:
    return lambda arrays: np.asarray(arrays[name], np.float64)


def _best(name: str, given: str | None = None, groups: int = 1, read: Callable = lambda arrays, name: arrays[name]):
    """At the best threshold (of each of several groups of them, averaged), hits that are also `given`."""

    def images(arrays: Arrays) -> np.ndarray:
        values = read(arrays, name)
        values = values.reshape(len(values), -1)
        values = values & arrays[given][:, None] if given else values
        by_group = values.reshape(len(values), groups, -1)
        best = by_group.mean(0).argmax(1)
        return by_group[:, np.arange(groups), best].mean(1)

    return images


def _held_out(name: str, groups: int = 1, read: Callable = lambda arrays, name: arrays[name]) -> Callable:
    """At thresholds that were chosen on other images: each fold is scored at the best threshold of the rest.

    `arrays["folds"]` numbers the folds; images of fold −1 serve for choosing only.
    """

    def images(arrays: Arrays) -> np.ndarray:
        folds = arrays["folds"]
        values = read(arrays, name)
        by_group = values.reshape(len(values), groups, -1)
        total = by_group.sum(0)
        scores = np.full(len(values), np.nan)
        for fold in np.unique(folds[folds >= 0]):
            mine = folds == fold
            best = (total - by_group[mine].sum(0)).argmax(1)
            scores[mine] = by_group[mine][:, np.arange(groups), best].mean(1)
        return scores

    return images


def _best_level(name: str, scale: np.ndarray | None = None, read: Callable = lambda arrays, name: arrays[name]):
    def chosen(arrays: Arrays) -> float:
        level = int(read(arrays, name).mean(0).argmax())
        return float(level if scale is None else scale[level])

    return chosen


def _overlaps(arrays: Arrays, name: str) -> np.ndarray:
    return mask_ious(arrays[name])


def _pxap(arrays: Arrays) -> np.ndarray:
    return pxap_by_image(arrays["histograms"])


def _pointing(arrays: Arrays) -> np.ndarray:
    return hits_by_class(arrays["pointing"], arrays["labels"])


_LIST = [
    Metric("MaxBoxAcc", ("hits",), "boxes", "box of the largest component, best threshold (V1, GT-known)",
           _best("hits"), _best_level("hits")),
    Metric("BoxAcc", ("hits", "folds"), "boxes", "the same at thresholds chosen on other images",
           _held_out("hits"), _best_level("hits")),
    Metric("MaxBoxAccV2", ("hits_v2",), "boxes", "best of all components, IoU .3, .5, .7, best thresholds",
           _best("hits_v2", groups=3)),
    Metric("BoxAccV2", ("hits_v2", "folds"), "boxes", "the same at thresholds chosen on other images",
           _held_out("hits_v2", groups=3)),
    Metric("MaxBoxAccLargest", ("hits_largest",), "boxes", "MaxBoxAcc against the largest true box only",
           _best("hits_largest"), _best_level("hits_largest")),
    Metric("Top1Loc", ("hits", "top1"), "boxes", "class right and box right, best threshold",
           _best("hits", "top1")),
    Metric("Top5Loc", ("hits", "top5"), "boxes", "class among the first five and box right, best threshold",
           _best("hits", "top5")),
    Metric("SalientRegion", ("region", "folds"), "boxes", "box of all pixels above a threshold chosen on other images",
           _held_out("region"), _best_level("region")),
    Metric("CAM20max", ("cam_maximum",), "boxes", "largest component above 20 % of the maximum", _mean("cam_maximum")),
    Metric("CAM20abs", ("cam_absolute",), "boxes", "largest component above 20 of 255", _mean("cam_absolute")),
    Metric("CAM20quantile", ("cam_quantile",), "boxes", "largest component above the 20 % quantile",
           _mean("cam_quantile")),
    Metric("FongMean", ("fong_mean", "folds"), "boxes", "box of all pixels above α · mean, α chosen on other images",
           _held_out("fong_mean"), _best_level("fong_mean", MEANS)),
    Metric("FongEnergy", ("fong_energy", "folds"), "boxes",
           "box of the pixels that hold a share α of the sum, α chosen on other images",
           _held_out("fong_energy"), _best_level("fong_energy", ENERGIES)),
    Metric("FongValue", ("fong_value", "folds"), "boxes", "box of all pixels above α · range, α chosen on other images",
           _held_out("fong_value"), _best_level("fong_value", VALUES)),
    Metric("EnergyInBox", ("energy",), "boxes", "share of the map's sum inside the true boxes", _mean("energy")),
    Metric("PxAP", ("histograms",), "masks", "area under the pixels' precision-recall curve", _pxap),
    Metric("MaxMaskIoU", ("levels",), "masks", "IoU with the mask, best threshold",
           _best("levels", read=_overlaps),
           _best_level("levels", read=_overlaps)),
    Metric("MaskIoU", ("levels", "folds"), "masks", "the same at thresholds chosen on other images",
           _held_out("levels", read=_overlaps), _best_level("levels", read=_overlaps)),
    Metric("PixelAUC", ("auc",), "masks", "area under the ROC curve of each image's pixels", _mean("auc")),
    Metric("RelevanceMass", ("mass",), "masks", "share of the map's sum inside the mask", _mean("mass")),
    Metric("RelevanceRank", ("rank",), "either", "share of the strongest pixels that lie on the object",
           _mean("rank")),
    Metric("PointingGame", ("pointing", "labels"), "either", "strongest pixel on the object, mean of classes",
           _pointing),
    Metric("ColourModel", ("colour_model",), "boxes", "box of a colour segmentation seeded by the map (OpenCV)",
           _mean("colour_model"), asked=True),
    Metric("SaliencyMetric", ("saliency_metric",), "either",
           "log(area of the map's box) − log(probability of the crop); lower is better",
           _mean("saliency_metric"), lower=True, asked=True, unit=NUMBER),
]  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _LIST}
PER_IMAGE = frozenset({"labels", "top1", "top5", "folds"})  # come with the images, not with a map


def choose_metrics(names: Sequence[str] | None, have: set[str], truth: set[str]) -> list[Metric]:
    """The metrics to score.

    Args:
        names: Names, or None for all that can be scored, but those that must be named.
        have: Which of `PER_IMAGE` is known.
        truth: Which of "boxes" and "masks" is known.

    Raises:
        AttribevalError: If a name is unknown, or a named metric needs what is not known.
    """
    check_names(names or ())
    chosen = []
    for metric in _LIST if names is None else [METRICS[name] for name in dict.fromkeys(names)]:
        lacking = sorted(need for need in metric.needs if need in PER_IMAGE and need not in have)
        if metric.truth == "either":
            lacking += [] if truth else ["boxes or masks"]
        elif metric.truth not in truth:
            lacking.append(metric.truth)
        if not lacking and (names is not None or not metric.asked):
            chosen.append(metric)
        elif names is not None:
            raise AttribevalError(f"{metric.name} needs {' and '.join(lacking)}. Received none: leave it out or give "
                                  "them.")  # fmt: skip
    if not chosen:
        raise AttribevalError("Expected ground truth to score against: boxes or masks. Received neither.")
    return chosen


def check_names(names: Sequence[str]) -> None:
    """Raise `AttribevalError` if one is no metric's."""
    for name in names:
        if name not in METRICS:
            raise unknown("metric of wsol", str(name), METRICS)


def wanted_arrays(metrics: Sequence[Metric]) -> set[str]:
    """Names of the arrays that some metrics need of each map."""
    return {need for metric in metrics for need in metric.needs} - PER_IMAGE
