"""Names to benchmarks of the leaderboard: the classes with a card in the files that `attribeval.metrics` lists."""

from __future__ import annotations

from typing import Any

from attribeval import plugins
from attribeval.common.cards import classes_in
from attribeval.common.grammar import parse
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.registry import make
from attribeval.metrics import HOMES
from attribeval.metrics.card import Benchmark, Card
from attribeval.metrics.function import function_metric

_CLASSES = classes_in("metrics", dict.fromkeys(HOMES.values()), Card)
BENCHMARKS: dict[str, type[Any]] = {cls.card.name: cls for cls in _CLASSES}


def cards() -> list[Card]:
    """The cards of all benchmarks, in the order of the families; then those of other packages."""
    theirs = (_plugin(name) for name in plugins.names(plugins.METRICS, BENCHMARKS))
    return [cls.card for cls in _CLASSES] + [one.card for one in theirs if one is not None]


def _plugin(name: str) -> Any | None:
    """The class that another package registers under a name, or its function as a benchmark; None if there is none."""
    asked = ["prepare", "score"]
    called = f"the methods {' and '.join(asked)}"
    return plugins.load_class_or_function(plugins.METRICS, name, Card, asked, called, function_metric)


def build_benchmark(text: str, options: dict[str, Any] | None = None) -> Benchmark:
    """Make a benchmark from what the user typed: `name` or `name(option=value)`.

    Args:
        text: As above.
        options: Values for the fields of the benchmark's dataclass, beside those in the text.

    Returns:
        The benchmark.

    Raises:
        AttribevalError: If the text cannot be read, or a name or an option is unknown (valid ones listed).
    """
    expression = parse(text)
    name = expression.name
    cls = BENCHMARKS.get(name) or _plugin(name)
    if cls is None:
        known = [*BENCHMARKS, *plugins.names(plugins.METRICS, BENCHMARKS)]
        raise AttribevalError(f"{unknown('benchmark', name, known)}{plugins.fault(plugins.METRICS, name)}")
    if expression.base is not None:
        raise AttribevalError(
            f"Expected a benchmark with options alone, such as deletion(steps=10). Received: {text!r}."
        )
    given = expression.options | (options or {})
    if isinstance(cls, type):
        return make(cls, name, given)
    if given:
        raise AttribevalError(f"Expected {name!r} alone: it is a function of another package, without options.")
    return cls
