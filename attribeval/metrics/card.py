"""What is known about a benchmark of the leaderboard before it runs, and what it can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np

from attribeval.common.cards import facts_of
from attribeval.common.options import check_choice
from attribeval.metrics.subject import Explained, Subject

Better = Literal["high", "low"]
NEEDS = ("boxes", "masks", "explain", "classifier", "fine-tuned")


@dataclass(frozen=True)
class Card:
    """Facts about a benchmark.

    Attributes:
        name: The name that users type.
        family: What kind of question it asks: "faithfulness", "robustness", "complexity", "axiom", "class sensitivity",
            "sanity", "localisation"; or one of the user's own.
        summary: One line: what one number per image means, with its range and unit.
        better: Whether a high or a low number speaks for a method.
        passes: Model evaluations per image at the default options, as "shared + per method": those of the first kind do
            not depend on the map and are made once for all methods.
        paper: Author, year, section or equation.
        maths: The number of one image at the default options, in LaTeX, a line or two; symbols as in the docstring, or
            as the page of benchmarks has them.
        misleads: One sentence: when the number says something else than its name.
        needs: Beyond images and a model: "boxes", "masks" (of both either will do), "explain" (maps of other images),
            "classifier" (the weights themselves), "fine-tuned" (a second model).
    """

    name: str
    family: str
    summary: str
    better: Better
    passes: str
    paper: str
    maths: str
    misleads: str
    needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Card:
        """A card from its text, as every metric's file has it.

        Args:
            text: "name (family): summary", then a line "fact: words" for `better`, `passes`, `paper`, `maths`,
                `misleads` and, if there are any, `needs`, with commas between. A line that is indented deeper goes on
                with the one before.

        Raises:
            AttribevalError: If a fact is missing, empty, unknown or stated twice, or has words that it cannot have.
        """
        facts = facts_of(text, ("better", "passes", "paper", "maths", "misleads"), ("needs",))
        better = facts.pop("better")
        needs = tuple(facts.pop("needs").split(", ")) if "needs" in facts else ()
        check_choice(f"better on the card of {facts['name']!r}", better, get_args(Better))
        for need in needs:
            check_choice(f"needs on the card of {facts['name']!r}", need, NEEDS)
        return cls(**facts, better=cast(Better, better), needs=needs)

    @property
    def needed(self) -> str:
        """`needs` in words; "" if there are none."""
        return ", ".join(self.needs).replace("boxes, masks", "boxes or masks")


class Benchmark(Protocol):
    """A benchmark of the leaderboard: a frozen dataclass whose fields are its options.

    In the same file the metric is a function on arrays; one of the two calls the other. A field `images` means that
    only the first so many images are judged: the leaderboard lowers it chunk by chunk, so that it counts the run's.
    """

    @property
    def card(self) -> Card:
        """What is known about it; a class has it as a constant."""
        ...

    def prepare(self, subject: Subject) -> Any:
        """What does not depend on the map: computed once for all methods. None if there is nothing."""
        ...

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """One number per image, float64 (N,); NaN where the definition has none (the file says when)."""
        ...


class OfMaps:
    """A benchmark all of whose work depends on the maps."""

    def prepare(self, subject: Subject) -> None:
        """Nothing."""
