"""`attribeval bench`: which method can be trusted, by which question, how surely, and at what cost?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attribeval.metrics.card import Card


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.benchmarks.leaderboard.options import CompareOptions
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.data import add_data
    from attribeval.cli.options import add_model, add_output

    command = commands.add_parser("bench", help="the leaderboard: methods against benchmarks")
    command.add_argument("--list", action="store_true", help="print what is known about each benchmark, and end")
    add_data(command, plain=True)
    add_options(command, CompareOptions, without=["batch_size"])
    command.add_argument("--no-cache", action="store_true", help="keep no maps on disk")
    add_output(command)
    add_model(command, required=False)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The study's options as they were typed, checked, and what goes with what."""
    from attribeval.benchmarks.leaderboard.options import CompareOptions
    from attribeval.benchmarks.leaderboard.plan import benchmark_of
    from attribeval.cli.arguments import read
    from attribeval.cli.data import check_data
    from attribeval.errors import AttribevalError
    from attribeval.methods.given import labelled

    for name in args.benchmarks or ():
        for label, given in labelled(name, "benchmark").items():
            benchmark_of(given, label)
    if args.list:
        return {}
    if args.model is None:
        raise AttribevalError("Expected --model, whose maps are compared (or --list). Received none.")
    if args.cache and args.no_cache:
        raise AttribevalError("Expected --cache DIR or --no-cache. Received both.")
    check_data(args, plain=True)
    return read(args, CompareOptions, without=["batch_size"]) | ({"cache": False} if args.no_cache else {})


def run(args: argparse.Namespace) -> int:
    """Score, print, save; 1 if some cells failed."""
    import shutil

    if args.list:
        from attribeval.metrics.registry import cards

        print(cards_text(cards(), shutil.get_terminal_size((120, 24)).columns))
        return 0
    from attribeval.cli.data import read_data
    from attribeval.cli.options import make_attributer
    from attribeval.cli.outputs import show

    options = check(args)
    attributer = make_attributer(args)
    dataset = read_data(args, plain=True, classifier=attributer.classifier)
    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

    return show(run_leaderboard(attributer, dataset, **options), args.output)


def cards_text(cards: list[Card], width: int) -> str:
    """What is known about benchmarks before they run, family by family."""
    import textwrap

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
