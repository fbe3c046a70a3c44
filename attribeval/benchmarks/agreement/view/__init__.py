"""How agreement is shown: a row per score, a column per judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.agreement.view.picture import labels_of, plot_agreement
from attribeval.report.view import View

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result


def _table(result: Result) -> pd.DataFrame:
    """A row per score, a column per judge; the correlations within families, tests and counts are in the tidy table."""
    told = result.table.assign(method=labels_of(result.table), metric=result.table["judge"])
    return told[["method", "metric", "value", "low", "high", "units", "error"]]


VIEWS = {
    "agreement": View(
        "Agreement with retraining and known answers",
        rows="score",
        scores="judge",
        table=_table,
        plot=plot_agreement,
        notes=("Spearman's ρ over methods, with its interval over methods, images and repeats.",),
        file="agreement",
        page="Agreement",
        unshown=("methods",),
    )
}
