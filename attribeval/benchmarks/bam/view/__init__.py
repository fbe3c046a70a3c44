"""How BAM is shown: MCS, IDR and IIR side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.bam.sentences import UNITS
from attribeval.benchmarks.bam.summary import LOWER_IS_BETTER
from attribeval.benchmarks.bam.view.bars import plot_bam
from attribeval.benchmarks.bam.view.examples import plot_examples, plot_patches
from attribeval.benchmarks.bam.view.figures import FIGURES
from attribeval.benchmarks.bam.view.models import plot_accuracies, plot_series
from attribeval.benchmarks.bam.view.tables import bam_text
from attribeval.errors import AttribevalError
from attribeval.report.view import Column, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result

_MAIN = ("MCS", "IDR", "IIR", "MCSCorrelation", "IIRChange")
_PICTURES = {
    "Accuracies (figure 2 of the article)": plot_accuracies,
    "Series over k": plot_series,
    "Examples": plot_examples,
    "Patches": plot_patches,
}


def bam_pictures(result: Result) -> dict[str, Figure]:
    """All that is beside the bars, as far as the result holds it: name → figure."""
    found = {}
    for name, draw in _PICTURES.items():
        try:
            found[name] = draw(result)
        except (AttribevalError, KeyError):  # a result without this part
            continue
    return found


def _columns(result: Result) -> dict[str, Column]:
    return {
        name: Column(unit, "low" if name in LOWER_IS_BETTER else "high", name in _MAIN) for name, unit in UNITS.items()
    }


VIEWS = {
    "bam": View(
        "Relative feature importance (BAM)",
        columns=_columns,
        others_main=False,
        terminal=bam_text,
        plot=plot_bam,
        pictures=bam_pictures,
        figures=FIGURES,
        file="bars",
        page="BAM",
    )
}
