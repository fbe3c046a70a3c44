"""How WSOL is shown: a row per method, a column per score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.benchmarks.wsol.view.picture import plot_wsol
from attribeval.benchmarks.wsol.view.tables import wsol_text
from attribeval.report.view import Column, View

if TYPE_CHECKING:
    from attribeval.results.result import Result

_MAIN = ("MaxBoxAcc", "BoxAcc", "MaxBoxAccV2", "Top1Loc", "PxAP", "PixelAUC", "EnergyInBox", "PointingGame")


def _columns(result: Result) -> dict[str, Column]:
    scores = {
        name: Column(metric.unit, "low" if metric.lower else "high", name in _MAIN) for name, metric in METRICS.items()
    }
    return scores | {"threshold": Column()}


VIEWS = {
    "wsol": View(
        "Weakly supervised object localisation",
        columns=_columns,
        others_main=False,
        terminal=wsol_text,
        plot=plot_wsol,
        file="wsol",
        page="WSOL",
    )
}
