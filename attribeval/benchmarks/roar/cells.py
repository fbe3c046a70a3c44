"""The records that trainings leave behind, checked, as a table of cells: one row per training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.roar.ranks import MODES
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("unmodified", "method", "control", "leakage", "max_filter", "recursive")
_KEY = ["kind", "estimator", "mode", "fraction", "repeat"]
_CELL = ["name", "status", *_KEY, "seed", "accuracy", "loss", "without_retraining", "seconds", "images", "error"]
_MEASURED = ["seed", "accuracy", "loss", "per_class_accuracy", "without_retraining", "seconds", "images"]


def cells_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per cell (one training), in a fixed order whatever the order of the records.

    Columns: name; status ("done", "failed"); kind; estimator; mode ("remove", "keep", "none"); fraction; repeat; seed;
    accuracy, loss, without_retraining (NaN where there is none); seconds; images (of the test set); error; classes.

    A record needs all fields in range, one that failed its error but not its measurements. Two of a cell are an error.
    """
    import pandas as pd

    rows = []
    for record in records:
        _check(record)
        rows.append([record.get(name) for name in _CELL] + [len(record.get("per_class_accuracy") or ())])
    table = pd.DataFrame(rows, columns=[*_CELL, "classes"])
    numbers = ["fraction", "accuracy", "loss", "without_retraining", "seconds", "images"]
    table = table.astype(dict.fromkeys(numbers, np.float64))
    twice = table[table.duplicated(_KEY)]
    if len(twice):
        raise AttribevalError(f"Expected one record per cell. Received two of {twice['name'].iloc[0]!r}.")
    return table.sort_values(_KEY, ignore_index=True)


def _check(record: Mapping[str, Any]) -> None:
    needed = ["name", "status", *_KEY] + (["error"] if record.get("status") == "failed" else _MEASURED)
    missing = [field for field in needed if field not in record]
    name = record.get("name", record)
    if missing:
        raise AttribevalError(f"Expected the record of a cell. Received one without {', '.join(missing)}: {name!r}.")
    for field, known in (("kind", _KINDS), ("mode", (*MODES, "none")), ("status", ("done", "failed"))):
        if record[field] not in known:
            raise AttribevalError(f"Expected {field} {', '.join(known)}. Received {record[field]!r} in cell {name!r}.")
    shares = ["fraction", *(["accuracy"] if record["status"] == "done" else [])]
    shares += ["without_retraining"] if record.get("without_retraining") is not None else []
    for field in shares:
        if record[field] is None or not 0 <= record[field] <= 1:
            raise AttribevalError(f"Expected {field} from 0 to 1. Received {record[field]!r} in cell {name!r}.")
