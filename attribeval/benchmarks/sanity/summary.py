"""Curves of similarity over layers, as a table with intervals and as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.results.numbers import NUMBER, number
from attribeval.results.result import Result
from attribeval.results.statistics import bootstrap_estimates

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["method", "kind", "mode", "step", "layer", "metric", "value", "low", "high", "images", "seconds_per_image",
           "note"]  # fmt: skip


@dataclass
class Curve:
    """One method in one mode.

    Attributes:
        label: The method.
        kind: "method" or "control".
        mode: "cascading", "independent" or "labels".
        steps: Place of each layer from the output, 1 first, (S,).
        layers: Their paths, (S,).
        values: Similarity → float64 (S, N); NaN where it is undefined.
        seconds: Per image, (S,).
        note: Why there are no values.
    """

    label: str
    kind: str
    mode: str
    steps: list[int]
    layers: list[str]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: np.ndarray | None = None
    note: str = ""


def summarise(curves: Sequence[Curve], settings: dict[str, Any], seed: int, benchmark: str = "sanity") -> Result:
    """The table, methods that changed most first, the sentences, and the curves of every image."""
    import pandas as pd

    table = pd.DataFrame([row for curve in curves for row in _rows(curve, settings["similarities"], seed)])[COLUMNS]
    order = _order(table, settings["modes"][0], settings["similarities"][0])
    table["rank"] = table["method"].map(order)
    table = table.sort_values("rank", kind="stable").drop(columns="rank").reset_index(drop=True)
    arrays = {
        f"{curve.label}|{curve.mode}|{name}": values.astype(np.float32)
        for curve in curves
        for name, values in curve.values.items()
    }
    return Result(benchmark, table, settings, sentences(table, settings), arrays)


def interval(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and 95 % bootstrap interval over images of each row, those that are NaN left out.

    Args:
        values: float64 (S, N).
        seed: Of the draws; all rows have the same.

    Returns:
        value, low, high, each (S,); NaN where no image has a number.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def means(weights: np.ndarray) -> np.ndarray:
        counts = weights @ known.T
        return np.divide(weights @ filled.T, counts, out=np.full(counts.shape, np.nan), where=counts > 0)

    drawn = bootstrap_estimates(means, values.shape[1], seed=seed)
    some = known.any(1)
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    low[some], high[some] = np.nanquantile(drawn[:, some], [0.025, 0.975], axis=0)
    return means(np.ones((1, values.shape[1])))[0], low, high


def _rows(curve: Curve, similarities: Sequence[str], seed: int) -> list[dict[str, Any]]:
    rows = []
    for name in similarities:
        about = {"method": curve.label, "kind": curve.kind, "mode": curve.mode, "metric": name, "note": curve.note}
        if not curve.values or curve.seconds is None:
            empty = dict.fromkeys(("value", "low", "high", "seconds_per_image"), np.nan)
            rows += [about | empty | {"step": s, "layer": p, "images": 0}
                     for s, p in zip(curve.steps, curve.layers, strict=True)]  # fmt: skip
            continue
        value, low, high = interval(curve.values[name], seed)
        images = np.isfinite(curve.values[name]).sum(1)
        for i, (step, path) in enumerate(zip(curve.steps, curve.layers, strict=True)):
            rows.append(
                about
                | {"step": step, "layer": path, "value": value[i], "low": low[i], "high": high[i]}
                | {"images": int(images[i]), "seconds_per_image": curve.seconds[i]}
            )
    return rows


def _order(table: pd.DataFrame, mode: str, metric: str) -> dict[str, int]:
    """Methods by their mean similarity over the steps, lowest first; those without one last."""
    rows = table[(table["mode"] == mode) & (table["metric"] == metric)]
    means = rows.groupby("method", sort=False)["value"].mean().sort_values(kind="stable", na_position="last")
    return {method: place for place, method in enumerate(means.index)}


# -- sentences ---------------------------------------------------------------------------------------------------------


def halfway(table: pd.DataFrame, mode: str, metric: str) -> float:
    """Half of the way between the controls at the last step: noise drawn anew, and edges, which never change."""
    last = _last(table, mode, metric).set_index("method")["value"]
    return float((last["random"] + last["sobel"]) / 2)


def holds_until(rows: pd.DataFrame, half: float) -> int:
    """How many steps in a row, from the first, a method's similarity stays above `half` with its whole interval."""
    above = (rows.sort_values("step")["low"] > half).to_numpy()
    return int(above.argmin()) if not above.all() else len(above)


def _last(table: pd.DataFrame, mode: str, metric: str) -> pd.DataFrame:
    rows = table[(table["mode"] == mode) & (table["metric"] == metric)]
    return rows[rows["step"] == rows["step"].max()]


def sentences(table: pd.DataFrame, settings: dict[str, Any]) -> list[str]:
    """Which methods do not notice that the model is random, which do, and which could not be asked."""
    metric = settings["similarities"][0]
    title = SIMILARITIES[metric].title
    found = []
    if "cascading" in settings["modes"]:
        found += _of_cascade(table, metric, title, settings["images"])
        for name in settings["similarities"]:
            if SIMILARITIES[name].zero:  # half of the way to noise means little where flat maps are alike anyway
                found += _of_stubborn_methods(table, name, settings["images"])
    if "independent" in settings["modes"]:
        found += _of_single_layers(table, metric, title)
    found += _of_constant_maps(table, metric, settings["images"])
    for method, note in (
        table[table["note"] != ""].drop_duplicates("method")[["method", "note"]].itertuples(index=False)
    ):
        found.append(f"{method} has no numbers ({note})")
    if settings["left_out"]:
        names = ", ".join(SIMILARITIES[name].title for name in settings["left_out"])
        found.append(f"Not measured, as the maps are too small: {names}.")
    if settings["unchanged_layers"]:
        found.append(
            f"{len(settings['unchanged_layers'])} layers have weights but no initialiser and nothing to train, and "
            f"stayed as they are: {', '.join(settings['unchanged_layers'])}."
        )
    if settings["images"] < 20:
        found.append(f"{settings['images']} images are few: intervals are narrower than the truth.")
    return found


def _of_cascade(table: pd.DataFrame, metric: str, title: str, images: int) -> list[str]:
    """What is left at the end, against noise that is drawn anew."""
    last = _last(table, "cascading", metric)
    chance = float(last["high"][last["method"] == "random"].iloc[0])
    known = last[(last["kind"] == "method") & (2 * last["images"] > images)]
    found = []
    for alike, text in ((True, "still more alike than noise"), (False, "as unlike as noise")):
        some = known[(known["low"] > chance) == alike]
        if len(some):
            found.append(f"With all {last['step'].iloc[0]} layers random {text} ({title}): {_with_numbers(some)}.")
    return found


def _of_stubborn_methods(table: pd.DataFrame, metric: str, images: int) -> list[str]:
    """Methods that stay nearer to Sobel than to noise for half of the layers, or to the end."""
    rows = table[(table["mode"] == "cascading") & (table["metric"] == metric) & (table["kind"] == "method")]
    half, total = halfway(table, "cascading", metric), rows["step"].max()
    late = []
    for method, own in rows.groupby("method", sort=False):
        own = own.sort_values("step")
        steps = holds_until(own, half)
        if steps and 2 * own["step"].iloc[steps - 1] >= total and (2 * own["images"] > images).all():
            last = own.iloc[steps - 1]
            until = "to the end" if steps == len(own) else f"until {last['layer']}, {last['step']} of {total}"
            late.append((steps, f"{method} ({until})"))
    if not late:
        return []
    names = _listed([text for _, text in sorted(late, key=lambda one: -one[0])])
    return [
        f"Nearer to Sobel, which looks at no model, than to noise, though most layers are random "
        f"({SIMILARITIES[metric].title}): {names}."
    ]


def _of_single_layers(table: pd.DataFrame, metric: str, title: str) -> list[str]:
    rows = table[(table["mode"] == "independent") & (table["metric"] == metric)]
    means = rows[rows["kind"] == "method"].groupby("method", sort=False)["value"].mean().dropna().sort_values()
    if means.empty or rows["step"].nunique() < 2:
        return []
    ends = f"{means.index[0]} reacts most ({number(means.iloc[0])} on average)"
    if len(means) > 1:
        ends += f", {means.index[-1]} least ({number(means.iloc[-1])})"
    return [f"To one random layer at a time, {ends} ({title})."]


def _of_constant_maps(table: pd.DataFrame, metric: str, images: int) -> list[str]:
    rows = table[(table["metric"] == metric) & (table["note"] == "")]
    least = rows.groupby("method", sort=False)["images"].min()
    least = least[least < images].sort_values(kind="stable")
    if least.empty:
        return []
    names = ", ".join(f"{method} {number}" for method, number in least.items())
    return [
        f"A constant map (of the trained or of a random model) can be compared with none, and is left out. Of {images} "
        f"images there remained, at the layer with the fewest: {names}."
    ]


def _with_numbers(rows: pd.DataFrame) -> str:
    rows = rows.sort_values("value", ascending=False)
    return _listed([f"{r.method} {number(r.value)} ({NUMBER.ends(r.low, r.high)})" for r in rows.itertuples()])


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
