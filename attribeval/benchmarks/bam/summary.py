"""From averages of regions to the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from attribeval.benchmarks.bam.concept_contrast import score_or_chance
from attribeval.benchmarks.bam.idr import depends
from attribeval.benchmarks.bam.iir import changes, unchanged
from attribeval.benchmarks.bam.insignificant_patch import Patches
from attribeval.benchmarks.bam.mcs import contrast, correlation
from attribeval.benchmarks.bam.region import Protocol
from attribeval.benchmarks.bam.relative_importance import RelativeImportance
from attribeval.benchmarks.bam.sentences import UNITS, sentences
from attribeval.benchmarks.bam.spread import deviation_of_trials
from attribeval.concepts.tcav import Tcav
from attribeval.results.over_images import mean_interval
from attribeval.results.result import Result
from attribeval.runs.failures import COLUMN, reason_of, row_text

LOWER_IS_BETTER = ("IIRChange",)
COLUMNS = ["method", "kind", "metric", "value", "low", "high", "deviation", "baseline", "images", "seconds_per_image",
           COLUMN]  # fmt: skip
TCAV = "tcav"
_TCAV = {"method": TCAV, "kind": "concept", COLUMN: ""}  # what its rows have in common


@dataclass(frozen=True, eq=False)
class Concepts:
    """TCAV of the common feature.

    Attributes:
        objects, scenes: Of f_o and f_s.
        series: Of each f_k; that of the last model on the same images beside each.
        images: How many inputs f_o and f_s had.
    """

    objects: Tcav
    scenes: Tcav
    series: list[tuple[Tcav, Tcav]]
    images: int


@dataclass(eq=False)
class Evidence:
    """What was measured; filled in by the procedure. Each "scored" has `.averages` by method and `.correct`.

    Attributes:
        importance: Figure 2.
        kinds: By label of the method, in the order given.
        objects, scenes, alone: f_o and f_s on composites, f_s on scenes alone.
        robust: By row, f_o and f_s on composites and f_s on scenes, with the objects placed anew.
        series: f_k and f_1 on the same composites with the feature, by k.
        without_patch, with_patch: f_∅s on inputs.
        patches: What was put into them; None if there are none, of which the averages say why.
        concepts: TCAV, or None.
        concepts_error: Why TCAV failed.
    """

    importance: RelativeImportance
    kinds: dict[str, str]
    objects: Any = None
    scenes: Any = None
    alone: Any = None
    robust: dict[str, tuple[Any, Any, Any]] = field(default_factory=dict)
    series: list[tuple[Any, Any]] = field(default_factory=list)
    without_patch: Any = None
    with_patch: Any = None
    patches: Patches | None = None
    concepts: Concepts | None = None
    concepts_error: str = ""


def summarise(evidence: Evidence, settings: dict[str, Any], strict: bool = False) -> Result:
    """Make the table (methods by MCS, best first; metrics in the order of `UNITS`), arrays and sentences.

    `strict`: a metric that fails is an error, not a row that says why.
    """
    import pandas as pd

    protocol, arrays = settings["protocol"], {}
    importance = evidence.importance
    rows = []
    for method, kind in evidence.kinds.items():
        about = {"method": method, "kind": kind}
        seconds = evidence.scenes.averages[method].seconds
        for metric, values, baseline, error in _measured(evidence, method, protocol, strict):
            if values.size:
                arrays[f"{method}/{metric}"] = np.asarray(values, np.float64)
            rows.append(about | _row(metric, values, baseline) | {"seconds_per_image": seconds, COLUMN: error})
        if evidence.series and method in evidence.series[0][0].averages:
            series = _series(evidence.series, method)
            errors = [part.averages[method].error for pair in evidence.series for part in pair]
            arrays[f"series/{method}"] = series
            correlated = _correlation(series, importance.drops)
            rows.append(about | correlated | {"seconds_per_image": seconds, COLUMN: next(filter(None, errors), "")})
    if evidence.concepts_error:
        error = row_text([evidence.concepts_error], 1, kept=True)
        rows.append(_TCAV | {"metric": "MCS", "images": 0, COLUMN: error})
    if evidence.concepts is not None:
        found, series = _concept_rows(evidence.concepts, importance)
        rows += found
        arrays[f"series/{TCAV}"] = series
    table = pd.DataFrame(rows, columns=COLUMNS)  # NaN where there is none
    rank = table[table["metric"] == "MCS"].set_index("method")["value"]
    table = table.assign(_metric=table["metric"].map(list(UNITS).index), _rank=-table["method"].map(rank))
    table = table.sort_values(["_metric", "_rank"], kind="stable").drop(columns=["_metric", "_rank"])
    arrays |= {
        "series/k": np.array(importance.ks),
        "series/drop": importance.drops,
        "series/with": importance.with_feature,
        "series/without": importance.without_feature,
    }
    if evidence.patches is not None:
        arrays |= {f"patches/{part}": getattr(evidence.patches, part) for part in ("change", "before", "scale")}
    settings = settings | {
        "accuracy": importance.table.round(4).to_dict("records"),
        "confidence_rises": round(importance.rises, 4),
        "checks": [[sentence, bool(holds)] for sentence, holds in importance.checks],
        "patches": None if evidence.patches is None else _patch_sizes(evidence.patches),
    }
    if evidence.concepts is not None:
        of = {"f_o": evidence.concepts.objects, "f_s": evidence.concepts.scenes}
        settings["tcav"] = {name: one.table.round(4).to_dict("records") for name, one in of.items()}
    said = sentences(evidence, table, arrays, settings)
    return Result("bam", table.reset_index(drop=True), settings=settings, summary=said, arrays=arrays)


def _measured(
    evidence: Evidence, method: str, protocol: Protocol, strict: bool
) -> list[tuple[str, np.ndarray, float, str]]:
    """(metric, one value per image that counts, the same with random regions, why some or all are missing) for each
    that has images, or would have them if nothing had failed."""
    found = []

    def add(metric: str, measure: Any, one: Any, other: Any, among: np.ndarray | bool = True) -> None:
        if method not in one.averages:
            return
        a, b = one.averages[method], other.averages[method]
        counts = (one.correct & other.correct & among)[: len(a.region)]
        known = counts & np.isfinite(a.region) & np.isfinite(b.region)
        error = a.error or b.error if (counts & ~known).any() else ""
        values, baseline = np.empty(0), np.nan
        if known.any():
            try:
                values = measure(a.region, b.region, known)
                baseline = float(measure(a.random, b.random, known).mean())
            except Exception as wrong:
                error = row_text([reason_of(wrong, strict)], 1, kept=True)
        if values.size or error:
            found.append((metric, values, baseline, error))

    as_it_is = {"": (evidence.objects, evidence.scenes, evidence.alone)}
    for row, (objects, scenes, alone) in (as_it_is | evidence.robust).items():
        add(f"MCS{row}", contrast, objects, scenes)
        add(f"IDR{row}", depends, scenes, alone)
    calm = True if evidence.patches is None else evidence.patches.insignificant
    stays = partial(unchanged, protocol=protocol)
    add("IIR", stays, evidence.with_patch, evidence.without_patch, calm)
    add("IIRChange", changes, evidence.with_patch, evidence.without_patch, calm)
    return found


def _row(metric: str, values: np.ndarray, baseline: float) -> dict[str, Any]:
    """The mean over the images that have a number; where one is infinite, it has no interval."""
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    finite = len(known) > 0 and np.isfinite(known).all()
    low, high = mean_interval(known) if finite else (np.nan, np.nan)
    return {
        "metric": metric,
        "value": float(known.mean()) if len(known) else np.nan,
        "low": low,
        "high": high,
        "deviation": deviation_of_trials(known) if finite else np.nan,
        "baseline": baseline,
        "images": len(known),
    }


def _series(scored: Sequence[tuple[Any, Any]], method: str) -> np.ndarray:
    """MCS between each f_k and f_1, on images that both classify correctly; NaN without such images."""
    found = []
    for one, last in scored:
        g, g_last = one.averages[method].region, last.averages[method].region
        known = one.correct & last.correct & np.isfinite(g) & np.isfinite(g_last)
        found.append(contrast(g, g_last, known).mean() if known.any() else np.nan)
    return np.array(found)


def _correlation(series: np.ndarray, drops: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(series) & np.isfinite(drops)
    rho = correlation(series[known], drops[known]) if known.sum() >= 3 else np.nan
    return {"metric": "MCSCorrelation", "value": rho, "images": int(known.sum())}


def _concept_rows(concepts: Concepts, importance: RelativeImportance) -> tuple[list[dict[str, Any]], np.ndarray]:
    objects, scenes = concepts.objects, concepts.scenes
    mcs = {
        "metric": "MCS",
        "value": score_or_chance(objects) - score_or_chance(scenes),
        "baseline": objects.chance - scenes.chance,
        "images": concepts.images,
    }
    series = np.array([score_or_chance(one) - score_or_chance(last) for one, last in concepts.series])
    return [_TCAV | mcs, _TCAV | _correlation(series, importance.drops)], series


def _patch_sizes(patches: Patches) -> dict[str, float]:
    """Medians over images."""
    return {
        "change": round(float(np.median(patches.change)), 4),
        "change_before": round(float(np.median(patches.before)), 4),
        "logits": round(float(np.median(patches.scale)), 4),
        "largest_share": round(float((patches.change / patches.scale).max()), 4),
        "size": round(float(np.median(patches.size)), 1),
        "images": len(patches.change),
        "insignificant": int(patches.insignificant.sum()),
    }
