"""attribeval: which attribution method can I trust on my Keras model?

Nothing heavy is imported here: TensorFlow loads when the first `Attributer` is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from attribeval import concepts, datasets, metrics, scores
    from attribeval.attributer import Attributer
    from attribeval.attributions import Attributions
    from attribeval.errors import AttribevalError
    from attribeval.evaluator import Evaluator
    from attribeval.methods.function import method
    from attribeval.metrics.function import metric
    from attribeval.results.result import Result
    from attribeval.training.recipe import Recipe

_HOMES = {
    "Attributer": "attribeval.attributer",
    "Attributions": "attribeval.attributions",
    "AttribevalError": "attribeval.errors",
    "Evaluator": "attribeval.evaluator",
    "Recipe": "attribeval.training.recipe",
    "Result": "attribeval.results.result",
    "method": "attribeval.methods.function",
    "metric": "attribeval.metrics.function",
}
_ROOMS = ("concepts", "datasets", "metrics", "scores")
__all__ = [
    "AttribevalError",
    "Attributer",
    "Attributions",
    "Evaluator",
    "Recipe",
    "Result",
    "concepts",
    "datasets",
    "method",
    "metric",
    "metrics",
    "scores",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"attribeval.{name}")
    raise AttributeError(f"module 'attribeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
