"""One known answer: what must come out, and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """One known answer.

    Attributes:
        name: What is checked.
        expected, received: In words and numbers.
        passed: None where the model cannot be asked (then `received` says why).
    """

    name: str
    expected: str
    received: str
    passed: bool | None


def at_most(name: str, error: float, tolerance: float) -> Check:
    return Check(name, f"error ≤ {tolerance:g}", f"{error:.2g}", bool(error <= tolerance))


def equal(name: str, received: Any, expected: Any) -> Check:
    received, expected = np.atleast_1d(received), np.atleast_1d(expected)
    close = received.shape == expected.shape and bool(np.allclose(received, expected, atol=1e-4, rtol=0))
    words = [", ".join(f"{value:.4g}" for value in values) for values in (expected, received)]
    return Check(name, words[0], words[1], close)
