"""Whether a library that reads the model's own output can find a class in it."""

from __future__ import annotations

from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier


def check_columns(classifier: Classifier, library: str) -> None:
    """Refuse a model whose output has no column for each score: one unit, one of several outputs, a function."""
    if classifier.task.name in ("binary", "score") or classifier.reading.output is not None:
        what = "one of several outputs" if classifier.reading.output is not None else f"task {classifier.task.name!r}"
        raise AttribevalError(
            f"{library} explains a column of the model's only output. Received {what}: use our own engine "
            "(backend=None)."
        )
