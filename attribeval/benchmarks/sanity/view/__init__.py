"""How sanity checks are shown: of random weights, and of permuted labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attribeval.benchmarks.sanity.view.cascade import plot_cascade
from attribeval.benchmarks.sanity.view.curves import checked, plot_sanity, title
from attribeval.benchmarks.sanity.view.labels import plot_data_randomisation
from attribeval.benchmarks.sanity.view.tables import sanity_text, wide_table
from attribeval.report.view import Column, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def sanity_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows beside the curves: maps along the cascade, and the other similarities."""
    found = {}
    if "examples/maps" in result.arrays:
        found["Maps along the cascade (figure 2 of the paper)"] = plot_cascade(result)
    metrics = list(dict.fromkeys(checked(result)["metric"]))
    for metric in metrics[1:]:
        found[f"By {title(metric)}".replace("|", "")] = plot_sanity(result, metric)
    return found


_BOTH: dict[str, Any] = {
    "columns": lambda result: dict.fromkeys(("kind", "images", "ms / image"), Column(main=False)),
    "table": wide_table,
    "terminal": sanity_text,
    "file": "sanity",
    "page": "Sanity checks",
}
VIEWS = {
    "sanity": View("Sanity checks: random weights", plot=plot_sanity, pictures=sanity_pictures, **_BOTH),
    "data_randomisation": View("Sanity check: permuted labels", plot=plot_data_randomisation, **_BOTH),
}
