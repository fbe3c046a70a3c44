"""What the study of agreement concludes, in words, and what it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.agreement.correlation import LEAST
from attribeval.results.numbers import listed
from attribeval.runs.failures import COLUMN

if TYPE_CHECKING:
    import pandas as pd

TRAINED = "trained by the study"  # what a run's model is called that has no name


def sentences(table: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """Most important first: what could be told at all, what agrees with each judge, and of what the runs were."""
    found, alpha = [], 1 - settings["level"]
    for judge, rows in table.groupby("judge", sort=False):
        rows = rows[rows["value"].notna()]
        if rows.empty:
            found.append(f"{judge}: no score has {LEAST} methods in common with it, so nothing can be said.")
            continue
        found.append(_of_judge(str(judge), rows, alpha))
    found.append(_few(table, alpha))
    if (failed := int((table[COLUMN] != "").sum())) and failed < len(table):
        found.append(f"Not judged, for want of {LEAST} methods in both runs: {failed} of {len(table)} pairs.")
    found += _of_runs(settings["runs"])
    found.append(
        "A correlation over these methods says nothing of methods that are not among them; that a score agrees with a "
        "judge on this model and data does not show that it does on others."
    )
    return [one for one in found if one]


def _of_judge(judge: str, rows: pd.DataFrame, alpha: float) -> str:
    told = rows[rows["p_holm"] <= alpha]
    agree, against = told[told["value"] > 0], told[told["value"] < 0]
    rest = len(rows) - len(told)
    parts = []
    if len(agree):
        parts.append(f"methods are ranked as by it by {_scores(agree)}")
    if len(against):
        parts.append(f"the other way round by {_scores(against)}")
    if rest:
        others = f"{rest} other score{'s' * (rest > 1)}" if len(told) else f"any of the {rest} scores"
        parts.append(f"no relation can be told for {others}")
    return f"{judge}: {'; '.join(parts)}."


def _scores(rows: pd.DataFrame) -> str:
    """Up to five with ρ, in the table's order, then how many more."""
    return listed([f"{row.score} (ρ {row.value:.2f})" for row in rows.itertuples()], 5)


def _of_runs(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the runs record of their models and images, where it differs; a trained model's weights are not recorded."""
    models = {run: one for run, one in runs.items() if one["model"] != TRAINED}
    images = {run: one["data"].rpartition("/")[2] for run, one in runs.items() if one["data"]}  # of "training/test"
    said = []
    if len({one["weights"] or one["model"] for one in models.values()}) > 1:
        what = "; ".join(f"{run}: {one['model']}, weights {one['weights'] or 'unknown'}" for run, one in models.items())
        said.append(f"The runs are of different models ({what}): what disagrees may be these.")
    if len(set(images.values())) > 1:
        what = "; ".join(f"{run}: {data}" for run, data in images.items())
        said.append(f"The runs are of different images ({what}): what disagrees may be these.")
    trained = [run for run in runs if run not in models]
    if trained and len(runs) > 1:
        said.append(
            f"Whether models trained by the study ({listed(trained)}) are those of the other runs is not recorded: "
            "what disagrees may be these."
        )
    return said


def _few(table: pd.DataFrame, alpha: float) -> str:
    """How large a correlation this many methods could have shown (Student's t of ρ, Kendall & Stuart 1973, 31.19)."""
    from scipy.stats import t

    known = table[table["value"].notna()]
    if known.empty:
        return ""
    n, scores = int(known["methods"].max()), int(known.groupby("judge").size().max())
    limit = t.ppf(1 - alpha / scores / 2, n - 2)
    least = limit / np.sqrt(n - 2 + limit**2)
    return (
        f"With {n} methods and {scores} score{'s' * (scores > 1)} a judge, a correlation must be beyond ±{least:.2f} "
        "to be told from none."
    )
