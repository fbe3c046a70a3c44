"""How ROAR and KAR are shown: a row per method, the fractions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.roar.view.areas import plot_areas
from attribeval.benchmarks.roar.view.curves import checked, plot_roar, plot_without_retraining
from attribeval.benchmarks.roar.view.figures import FIGURES
from attribeval.benchmarks.roar.view.tables import GAIN, MASKS, WITHOUT, roar_text, wide_table
from attribeval.report.view import Column, View
from attribeval.results.numbers import POINTS, SHARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def roar_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows below the curves: name → areas, and with and without retraining where that is known."""
    table = checked(result)
    pictures = {}
    if table["value"][(table["metric"] == "area vs random") & (table["method"] != "random")].notna().any():
        pictures["Gain over random (area between the curves)"] = plot_areas(result)
    if table["without_retraining"].notna().any():
        pictures["Without and with retraining"] = plot_without_retraining(result)
    return pictures


def _columns(result: Result) -> dict[str, Column]:
    fraction = Column(SHARE, {"remove": "low", "keep": "high"})
    fractions = dict.fromkeys((name for name in wide_table(result).columns if name.endswith("%")), fraction)
    hidden = Column(main=False)
    gains = {GAIN: Column(POINTS, "high"), MASKS: Column(POINTS, "low"), WITHOUT: Column(POINTS, "high")}
    return {**gains, **fractions, "accuracy": Column(SHARE), "repeats": hidden, "kind": hidden}


VIEWS = {
    "roar": View(
        "Remove or keep, and retrain (ROAR, KAR)",
        columns=_columns,
        table=wide_table,
        terminal=roar_text,
        plot=plot_roar,
        pictures=roar_pictures,
        figures=FIGURES,
        notes=(
            "Gain: area between the curves of a method and of random, in points of accuracy; methods that share a "
            "letter (group) cannot be told apart.",
            "Masks tell: accuracy of a model of the masks alone, in points above that of random's masks, over all "
            "fractions; debiased gain: the gain without it.",
        ),
        file="curves",
        page="ROAR and KAR",
    )
}
