"""`attribeval methods`: what there is, what it needs, what it costs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap
from collections.abc import Sequence
from typing import Any

_COLUMNS = {
    "name": "name", "family": "family", "summary": "a value is", "needs": "needs",
    "passes": "passes (forward + backward)", "paper": "paper",
}  # fmt: skip
_FIRST_TO_GO = ("paper", "needs", "family")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("methods", help="list every method: name, family, needs, cost, paper")
    command.add_argument("--json", action="store_true", help="all that is known of each, and its options, as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table, or JSON."""
    from attribeval.methods.registry import cards, known
    from attribeval.report.terminal import terminal_width

    if args.json:
        print(as_json(known()))
    else:
        print(table(cards(), terminal_width()))


def as_json(methods: dict[str, Any]) -> str:
    """The cards of methods by name as a JSON list of objects, and below "options" the default of each option.

    Defaults are as Python writes them; functions of other packages stand as methods, without options.
    """
    known = []
    for cls in methods.values():
        fields = [field for field in dataclasses.fields(cls) if field.init] if isinstance(cls, type) else []
        required = dataclasses.MISSING
        options = {field.name: None if field.default is required else repr(field.default) for field in fields}
        known.append(dataclasses.asdict(cls.card) | {"options": options})
    return json.dumps(known, indent=2, ensure_ascii=False)


def table(cards: Sequence[Any], width: int | None) -> str:
    """A row per method, in a terminal of so many columns (None: no limit).

    Where they are few, words are wrapped, and columns left out are named in the last line.
    """
    from attribeval.report.terminal import text_table

    shown, room = list(_COLUMNS), width or float("inf")
    for name in _FIRST_TO_GO:
        widths = {column: max(len(getattr(card, column)) for card in cards) for column in shown}
        least = sum(widths[column] if column in ("name", "family") else min(widths[column], 22) for column in shown)
        if least + 2 * (len(shown) - 1) <= room:
            break
        shown.remove(name)
    rows = [[getattr(card, column) for column in shown] for card in cards]
    text = text_table([_COLUMNS[column] for column in shown], rows, width=room)
    missing = [column for column in _COLUMNS if column not in shown]
    if missing:
        said = f"(not shown: {', '.join(missing)}; a wider terminal and --json show all)"
        text += "\n" + (said if width is None else textwrap.fill(said, width))
    return text
