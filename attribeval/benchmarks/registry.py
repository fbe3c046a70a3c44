"""Names to benchmarks of the leaderboard. To add one: write its file, add its class to `_CLASSES`."""

from __future__ import annotations

from typing import Any

from attribeval.benchmarks.card import Benchmark, Card
from attribeval.benchmarks.sanity.randomisation import Randomisation
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.grammar import parse
from attribeval.methods.registry import make

_CLASSES: tuple[type, ...] = (Randomisation,)
BENCHMARKS: dict[str, type] = {cls.card.name: cls for cls in _CLASSES}


def cards() -> list[Card]:
    """The cards of all benchmarks, in the order of the families."""
    return [cls.card for cls in _CLASSES]


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
    if expression.name not in BENCHMARKS:
        raise unknown("benchmark", expression.name, BENCHMARKS)
    if expression.base is not None:
        raise AttribevalError(
            f"Expected a benchmark with options alone, such as deletion(steps=10). Received: {text!r}."
        )
    return make(BENCHMARKS[expression.name], expression.name, expression.options | (options or {}))
