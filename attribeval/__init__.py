"""attribeval: which attribution method can I trust on my Keras model?

Nothing heavy is imported here: TensorFlow loads when the first `Attributer` is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from attribeval import datasets
    from attribeval.attributer import Attributer
    from attribeval.attributions import Attributions
    from attribeval.benchmarks.function import metric
    from attribeval.errors import AttribevalError
    from attribeval.evaluator import Evaluator
    from attribeval.methods.function import method
    from attribeval.results.result import Result

_HOMES = {
    "Attributer": "attribeval.attributer",
    "Attributions": "attribeval.attributions",
    "AttribevalError": "attribeval.errors",
    "Evaluator": "attribeval.evaluator",
    "Result": "attribeval.results.result",
    "method": "attribeval.methods.function",
    "metric": "attribeval.benchmarks.function",
}
__all__ = ["AttribevalError", "Attributer", "Attributions", "Evaluator", "Result", "datasets", "method", "metric"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "datasets":
        return importlib.import_module("attribeval.datasets")
    raise AttributeError(f"module 'attribeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
