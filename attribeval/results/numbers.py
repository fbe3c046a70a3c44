"""How numbers and names are written, everywhere alike: in sentences, tables, pictures, on pages and in terminals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "–"


def number(value: int | float) -> str:
    """Integers in full, other numbers to three decimals below 10 and to one below 1000; 4.2e−5 for very small ones.

    Thousands are set apart by thin spaces, and minus is a minus.
    """
    if missing(value):
        return NONE
    if value == 0:
        return "0"
    if isinstance(value, int):
        return _spaced(f"{value:,}")
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if not 0.001 <= size < 1e6:
        digits, power = f"{value:.1e}".split("e")
        return _spaced(f"{digits}e{int(power)}")
    return _spaced(f"{value:,.{3 if size < 9.9995 else 1 if size < 999.95 else 0}f}")


def share(value: float, decimals: int = 1) -> str:
    """0.3861 as 38.6 %."""
    return NONE if missing(value) else _spaced(f"{100 * value:.{decimals}f} %")


def gain_text(gain: float) -> str:
    """A difference of shares: 0.051 as +5.1 points."""
    text = f"{100 * gain:+.1f}"
    return _spaced(f"{'0.0' if text[1:] == '0.0' else text} points")


def points_text(low: float, high: float) -> str:
    """The interval of a difference of shares, in points: +2.0 to +8.1."""
    return " to ".join(gain_text(end).removesuffix(" points") for end in (low, high))


def rank_text(rank: float, decimals: int = 1) -> str:
    """A mean rank, or another number of always so many decimals."""
    return NONE if missing(rank) else f"{rank:.{decimals}f}"


def p_text(p: float) -> str:
    """A p-value, three decimals: 0.013, < 0.001."""
    return NONE if missing(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_words(p: float) -> str:
    """The same in a sentence: p = 0.013, p < 0.001."""
    return f"p {p_text(p)}" if p < 0.001 else f"p = {p_text(p)}"


def listed(names: Iterable[Any], most: int = 4) -> str:
    """The first names, each once, and how many more there are."""
    unique = [str(name) for name in dict.fromkeys(names)]
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more


def joined(words: Sequence[str]) -> str:
    """All of them: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def cut(text: str, width: int) -> str:
    """A text in one line, its end left out where it is too long."""
    text = str(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def known(value: float) -> float | None:
    """A number as JSON has it: none where there is none."""
    return None if missing(value) else float(value)


def missing(value: Any) -> bool:
    """Whether a value of a table is not there: None, NaN, pandas' NA and NaT."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _spaced(text: str) -> str:
    return re.sub(",", "\u202f", text).replace("-", "−")


@dataclass(frozen=True)
class Unit:
    """How numbers of one kind are written.

    Attributes:
        text: A value → text; of a missing one a dash.
        sign: What stands behind each number, and in an interval behind its last end alone.
    """

    text: Callable[[float], str]
    sign: str = ""

    def ends(self, low: float, high: float) -> str:
        """Both ends of an interval, "0.63 to 0.692" or "63.0 to 69.2 %"; a dash if one is missing."""
        if missing(low) or missing(high):
            return NONE
        return f"{self.text(low).removesuffix(self.sign)} to {self.text(high)}"


NUMBER = Unit(lambda value: number(float(value)))
SHARE = Unit(share, " %")  # said by the study, as a correlation may lie in 0..1 by chance
RANK = Unit(rank_text)
POINTS = Unit(lambda points: NONE if missing(points) else gain_text(points / 100).removesuffix(" points"))
