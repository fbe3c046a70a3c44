"""What is known about metrics before they run, for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attribeval.metrics.card import Card


def cards_text(cards: list[Card], width: int = 120) -> str:
    """What is known about benchmarks before they run, family by family."""
    lines = []
    for family in dict.fromkeys(card.family for card in cards):
        lines.append(f"{family}")
        for card in (card for card in cards if card.family == family):
            needs = f", needs {card.needed}" if card.needs else ""
            lines.append(f"  {card.name} ({card.better} is better, {card.passes} passes{needs}; {card.paper})")
            lines += textwrap.wrap(card.summary, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
            misleads = f"Misleads: {card.misleads}"
            lines += textwrap.wrap(misleads, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append("")
    return "\n".join(lines).rstrip()
