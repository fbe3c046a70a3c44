"""What is known about a method before it runs: the row that `attribeval methods` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from attribeval.common.cards import facts_of
from attribeval.common.options import check_choice


@dataclass(frozen=True)
class Card:
    """Facts about a method.

    Attributes:
        name: The name that users type.
        family: "gradient", "cam", "propagation", "attention", "perturbation", "model-agnostic", "region", "control" or
            "wrapper".
        summary: One line: what a value of the map means.
        needs: What the model must offer ("gradients", "a spatial layer", "a transformer's
            attention", "nothing").
        passes: Model evaluations per image at the default options, as "forward + backward" ("1 + 1").
        paper: Author, year, section or equation.
        maths: What the map M is, in LaTeX, a line or two; symbols as in the paper, or as the page of methods has them.
        misleads: One sentence: when the map says something else than people read in it.
        signed: Whether values can be negative with a meaning.
        shares: Whether values are shares of a score, which can be summed: negative ones speak against the class. Of
            other methods (sensitivities) the size alone says how much a place matters.
        raw: Whether the map's channels are those of the raw image instead of those of the network's input, which may be
            blue, green, red.
    """

    name: str
    family: str
    summary: str = ""
    needs: str = "nothing"
    passes: str = "0 + 0"
    paper: str = ""
    maths: str = ""
    misleads: str = ""
    signed: bool = True
    raw: bool = False
    shares: bool = False

    @classmethod
    def of(cls, text: str) -> Card:
        """A card from its text, as every method's file has it.

        Args:
            text: "name (family): summary", then a line "fact: words" for `needs`, `passes`, `paper`, `maths`,
                `misleads` and `values`: "signed" or "unsigned", and after a comma "shares" or "raw" where they are.
                A line that is indented deeper goes on with the one before.

        Raises:
            AttribevalError: If a fact is missing, empty, unknown or stated twice, or `values` are described otherwise.
        """
        facts = facts_of(text, ("needs", "passes", "paper", "maths", "misleads", "values"))
        sign, *more = facts.pop("values").split(", ")
        for word, words in [(sign, ("signed", "unsigned")), *((word, ("shares", "raw")) for word in more)]:
            check_choice(f"values of the card of {facts['name']!r}", word, words)
        return cls(**facts, signed=sign == "signed", raw="raw" in more, shares="shares" in more)


class Method(Protocol):
    """An attribution method: a frozen dataclass whose fields are its options."""

    @property
    def card(self) -> Card:
        """What is known about it; a class has it as a constant."""
        ...

    def attribute(self, batch: Any) -> Any:
        """Return the maps of a `Batch`, (B, H, W, C) or (B, H, W, 1), raw and signed, in score units."""
        ...


@dataclass(frozen=True)
class Wrapper:
    """A method that goes around another.

    Attributes:
        base: The method to wrap.
    """

    base: Method
