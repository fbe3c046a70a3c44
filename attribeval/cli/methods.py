"""`attribeval methods`: what there is, what it needs, what it costs."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("methods", help="list every method: name, family, needs, cost, paper")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    from attribeval.methods.registry import cards
    from attribeval.report.terminal import text_table

    header = ["name", "family", "a value is", "needs", "passes (forward + backward)", "paper"]
    print(text_table(header, [[c.name, c.family, c.summary, c.needs, c.passes, c.paper] for c in cards()]))
