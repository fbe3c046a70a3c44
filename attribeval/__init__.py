"""attribeval: which attribution method can I trust on my Keras model?

Nothing heavy is imported here: TensorFlow loads when the first `Attributer` is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval._lazy import lazily

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
    "Attributer": "attributer",
    "Attributions": "attributions",
    "AttribevalError": "errors",
    "Evaluator": "evaluator",
    "Recipe": "training.recipe",
    "Result": "results.result",
    "method": "methods.function",
    "metric": "metrics.function",
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
__getattr__, __dir__ = lazily(__name__, _HOMES, _ROOMS)
