"""A BAM result in words: a verdict is claimed only where its p-value, corrected over the methods, is below .05."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.bam.concept_contrast import score_or_chance
from attribeval.benchmarks.bam.idr import ties
from attribeval.results.comparisons import holm
from attribeval.results.numbers import NUMBER, SHARE, listed, number, share
from attribeval.results.over_images import FEW, gains, not_told_from, sign_flip_test
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.benchmarks.bam.summary import Evidence

UNITS = {
    "MCS": NUMBER, "IDR": SHARE, "IIR": SHARE, "MCSCorrelation": NUMBER, "IIRChange": NUMBER, "MCSMoved": NUMBER,
    "MCSSmaller": NUMBER, "IDRMoved": SHARE, "IDRSmaller": SHARE,
}  # fmt: skip
_ALPHA = 0.05
_NAMED = 5  # names in a row before "and n more"


def sentences(
    evidence: Evidence, table: pd.DataFrame, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
) -> list[str]:
    """The outcome, most important first; `arrays` "<method>/<metric>" have one value per image."""
    importance, sentences = evidence.importance, []
    broken = [sentence for sentence, holds in importance.checks if not holds]
    if broken:
        sentences.append(
            "The relative importance that the metrics rely on does NOT hold for these models, so that the metrics that "
            f"need it say little: {'; '.join(broken)}."
        )
    sentences += failures.sentences(table)
    methods = table[(table["kind"] != "control") & ~table["method"].isin(settings["slow_methods"])]
    methods = methods[methods["value"].notna() | (methods[failures.COLUMN] == "")]
    for metric, what in (("MCS", "contrast between f_o and f_s"), ("IDR", "attributing the object less than what it "
                         "covers"), ("IIR", "leaving maps alone where a patch changes nothing")):  # fmt: skip
        of_metric = methods[methods["metric"] == metric].sort_values("value", ascending=False, kind="stable")
        if len(of_metric):
            sentences.append(f"{metric}, {what}: {_best(of_metric, arrays, metric)}.")
    sentences += _verdicts(methods, arrays)
    sentences += _against_edges(methods, arrays)
    sentences += _counted(table, arrays)
    random = table[(table["method"] == "random") & (table["metric"] == "IDR") & table["value"].notna()]
    if len(random):
        row = random.iloc[0]
        sentences.append(
            f"Chance: IDR of random maps is {SHARE.text(row['value'])} "
            f"({SHARE.ends(row['low'], row['high'])}; 50 % is expected)."
        )
    same = [
        name
        for name in evidence.kinds
        if ties(evidence.scenes.averages[name].region, evidence.alone.averages[name].region) > 0.5
    ]
    if same:
        sentences.append(f"Maps that are the same with and without the object in most images: {', '.join(same)}.")
    return sentences + _circumstances(evidence, settings)


def _best(rows: pd.DataFrame, arrays: Mapping[str, np.ndarray], metric: str) -> str:
    """The best method or, of equal ones, all; and those that are not told from it, corrected for all pairs."""
    if rows["images"].max() < 2 and len(rows) > 1:
        return "not tested, and none is called best, with fewer than 2 images"
    value = rows["value"].iloc[0]
    first = list(rows["method"][np.isclose(rows["value"], value, rtol=1e-9, atol=1e-12)])
    said = f"best {listed(first, _NAMED)} ({UNITS[metric].text(value)})"
    scores = {name: arrays[key] for name in rows["method"] if (key := f"{name}/{metric}") in arrays}
    if first[0] not in scores or len(scores) < 2:
        return said
    lengths = {len(of_images) for of_images in scores.values()}
    if len(lengths) > 1:
        return f"{said}, not tested, as the methods were scored on different images"
    alike = [name for name in not_told_from(first[0], scores) if name not in first]
    if not alike:
        return f"{said}, told from every other method" if len(first) < len(rows) else said
    return f"{said}; not told from it by these images: {listed(alike, _NAMED)}"


def _against_edges(methods: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Who is not shown to be better than edges, which know no model; corrected over the methods (Holm)."""
    said = []
    for metric in ("IDR", "IIR"):  # by MCS edges are 0, against which all are tested
        names = [name for name in methods["method"][methods["metric"] == metric] if f"{name}/{metric}" in arrays]
        edges = arrays.get(f"sobel/{metric}")
        names = [name for name in names if edges is not None and len(arrays[f"{name}/{metric}"]) == len(edges)]
        if not names or edges is None:
            continue
        found = gains({name: arrays[f"{name}/{metric}"] for name in names}, edges)
        no_better = [name for name, (gain, p) in found.items() if not (p < _ALPHA and gain > 0)]
        if no_better:
            said.append(f"{metric}: {listed(no_better, _NAMED)}")
    return [f"Not shown to be better than Sobel edges, which know no model: {'; '.join(said)}."] if said else []


def _counted(table: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """How few images there are, and which rows lack some."""
    rows = table[table["metric"].isin(("MCS", "IDR", "IIR")) & (table["kind"] != "concept")]
    said = []
    whole = rows.groupby("metric")["images"].transform("max")
    if len(rows) and (fewest := int(whole.min())) < FEW:
        few = "1 image counts" if fewest == 1 else f"{fewest} images count"
        said.append(f"Only {few}: intervals may be too narrow, and only large differences can show.")
    lacking = {key: int(np.isnan(one).sum()) for key, one in arrays.items() if key.endswith(("/MCS", "/IDR", "/IIR"))}
    cells = [f"{' ('.join(key.rsplit('/', 1))}, {count})" for key, count in lacking.items() if count]
    if cells:
        said.append(f"Images without a score are left out of means and tests: {listed(cells, _NAMED)}.")
    return said


def _verdicts(methods: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Who does not tell the models apart, and who is wrong in most images; corrected over the methods (Holm)."""
    said = []
    mcs, idr = (_tested(methods, arrays, metric, null) for metric, null in (("MCS", 0.0), ("IDR", 0.5)))
    alike = [name for name, (mean, p) in mcs.items() if np.isfinite(p) and (p > _ALPHA or mean == 0)]
    backwards = [name for name, (mean, p) in mcs.items() if p <= _ALPHA and mean < 0]
    wrong = [name for name, (mean, p) in idr.items() if p <= _ALPHA and mean < 0]
    for what, names, tests in (
        ("Are not shown to tell f_o from f_s by the object (MCS against 0", alike, mcs),
        ("Attribute the object more for f_s, to which it matters less (MCS against 0", backwards, mcs),
        ("Call the object more important than what it covers, in most images, although it is not (IDR against 50 %",
         wrong, idr),
    ):  # fmt: skip
        if names:
            said.append(
                f"{what}, p corrected for {len(tests)} method{'' if len(tests) == 1 else 's'}): {', '.join(names)}."
            )
    untested = [name for name, (_, p) in mcs.items() if np.isnan(p)]
    if untested:
        said.append(f"Not tested, with fewer than 2 images: {', '.join(untested)}.")
    return said


def _tested(
    methods: pd.DataFrame, arrays: Mapping[str, np.ndarray], metric: str, null: float
) -> dict[str, tuple[float, float]]:
    """Method → how far its mean is from what knows nothing, and p, corrected over the methods."""
    rows = methods[(methods["metric"] == metric) & methods["method"].map(lambda name: f"{name}/{metric}" in arrays)]
    values = {name: np.asarray(arrays[f"{name}/{metric}"], np.float64) for name in rows["method"]}
    values = {name: of_images for name, of_images in values.items() if np.isfinite(of_images).any()}
    p_values = holm(np.array([sign_flip_test(one, np.full(len(one), null)) for one in values.values()]))
    return {name: (float(np.nanmean(one)) - null, p) for (name, one), p in zip(values.items(), p_values, strict=True)}


def _circumstances(evidence: Evidence, settings: Mapping[str, Any]) -> list[str]:
    """What the models and patches were like, TCAV, and which methods saw fewer images."""
    importance, sentences = evidence.importance, []
    for sentence, holds in importance.checks:
        sentences.append(f"{'Holds' if holds else 'Does NOT hold'}: {sentence}.")
    if np.isfinite(importance.rises):
        sentences.append(
            f"Of the images that f_s classifies correctly, {share(importance.rises)} are classified with more "
            "confidence when the object is removed."
        )
    if (p := settings["patches"]) is not None:
        change, before, logits, size = (number(p[name]) for name in ("change", "change_before", "logits", "size"))
        sentences.append(
            f"Patches: ‖f(x+δ)−f(x)‖ is {change} in the median of {p['images']} images ({before} before the "
            f"optimisation), beside ‖f(x)‖ = {logits}; ‖δ‖ is {size}. In {p['insignificant']} images it is below a "
            "tenth of ‖f(x)‖; IIR counts these."
        )
    if evidence.concepts is not None:
        told = []
        for name, one in (("f_o", evidence.concepts.objects), ("f_s", evidence.concepts.scenes)):
            passed = f"{sum(layer.significant for layer in one.layers)} of {len(one.layers)} layers significant"
            told.append(f"{name} {number(score_or_chance(one))} (chance {number(one.chance)}, {passed})")
        sentences.append(
            f"TCAV of {settings['feature']!r}: {', '.join(told)}. Significant is little evidence: all vectors share "
            "the concept's examples, so that a concept that is none passes far more often than p says."
        )
    slow = settings["slow_methods"]
    if slow:
        sentences.append(f"On the first {settings['slow_images']} images alone: {', '.join(slow)}.")
    return sentences
