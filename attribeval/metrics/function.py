"""A function of the user as a benchmark of the leaderboard, and the decorator that gives it what a card gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attribeval.common.code import code_of
from attribeval.common.user_function import UserFunction, name_of, takes, telling, told
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.subject import Explained, Subject

FORMS = "f(maps, images, targets) or f(maps, images, targets, predict)"


def metric(
    *,
    name: str | None = None,
    better: Literal["high", "low"] = "high",
    family: str = "own",
    summary: str = "",
    paper: str = "",
) -> Callable[[Callable], Callable]:
    """Say of a function of yours what the card of a benchmark says; it stays the function that it was.

    `compare` takes the function, decorated or not, wherever it takes the name of a benchmark. It is called with a few
    images at a time, as `f(maps, images, targets)` or `f(maps, images, targets, predict)`, and returns a number for
    each image, NaN where it has none:

    * maps: what ranks the places, float32 (N, H, W), read as each method's card says: Σ over channels of shares of a
      score, Σ|·| of others;
    * images: raw, float32 (N, H, W, C);
    * targets: the classes explained, ints (N,);
    * predict: raw images (B, H, W, C), any number, to probabilities (B, classes).

    Args:
        name: What tables call it where it stands in a list; None: the function's own name.
        better: Whether a high or a low number speaks for a method.
        family: Kind of question; benchmarks of one family count as one in average ranks.
        summary, paper: For tables.

    Returns:
        A decorator.

    Raises:
        AttribevalError: If `better` is something else, or what it is put on cannot be called so.

    Example:
        >>> @metric(better="low")
        ... def spread(maps, images, targets):
        ...     return (maps > maps.mean((1, 2), keepdims=True)).mean((1, 2))
        >>> spread(np.eye(4)[None], None, None)
        array([0.25])
    """
    if better not in ("high", "low"):
        raise AttribevalError(f"Expected better as 'high' or 'low'. Received: {better!r}.")
    facts = {"name": name, "better": better, "family": family, "summary": summary, "paper": paper}

    return telling("metric", facts, _asks)


@dataclass(frozen=True, eq=False)
class FunctionMetric(UserFunction, OfMaps):
    """A function of the user as a benchmark; `function_metric` makes it.

    Attributes:
        asks: Whether it asks the model.
    """

    asks: bool

    @property
    def card(self) -> Card:
        """What is known about it."""
        passes = "0 + its own" if self.asks else "0 + 0"
        return Card(name=self.name, passes=passes, maths="", misleads="", **self.facts)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        """What the function says, float64 (N,).

        Raises:
            AttribevalError: If that is not one real number for each image.
        """
        more = (subject.probabilities_of,) if self.asks else ()
        found = self.function(explained.heat.copy(), subject.images.copy(), np.array(subject.targets), *more)
        try:
            scores = np.asarray(found)
        except Exception as error:
            raise AttribevalError(f"Expected numbers from the metric {self.name!r}. Received: {error}.") from error
        if scores.shape != (len(subject),) or scores.dtype.kind not in "fiub":
            raise AttribevalError(
                f"Expected {len(subject)} real numbers from the metric {self.name!r}, one for each image. Received: "
                f"{type(found).__name__ if scores.dtype == object else scores.dtype} {scores.shape}."
            )
        return scores.astype(np.float64)


def function_metric(function: Callable, name: str | None = None) -> FunctionMetric:
    """A function as `metric` takes it, decorated or not, as a benchmark; by its own name if none is given."""
    name = name or name_of(function)
    facts = {"better": "high", "family": "own", "summary": "", "paper": ""} | told(function, "metric")
    facts.pop("name", None)
    return FunctionMetric(name, code_of(function), facts, function, _asks(function, name))


def _asks(function: Any, name: str) -> bool:
    """Whether a function takes `predict`, by its parameters."""
    if not callable(function) or isinstance(function, type):
        raise AttribevalError(
            f"Expected {name!r} to be the name of a benchmark, a benchmark object, or a function {FORMS}. Received: "
            f"{function.__name__ if isinstance(function, type) else type(function).__name__}."
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of compiled code nothing is known
        return False
    for count in (3, 4):
        if takes(signature, count):
            return count == 4
    raise AttribevalError(
        f"Expected the metric {name!r} as {FORMS}. Received one with the parameters "
        f"({', '.join(signature.parameters)}): wrap it, lambda maps, images, targets: …"
    )
