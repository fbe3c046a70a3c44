"""What methods that go around another one have in common."""

from __future__ import annotations

from dataclasses import dataclass

from attribeval.methods.card import Method


@dataclass(frozen=True)
class Wrapper:
    """A method that goes around another.

    Attributes:
        base: The method to wrap.
    """

    base: Method
