"""`attribeval bench`: which method can be trusted, by which question, how surely, and at what cost?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.benchmarks.leaderboard.options import CompareOptions
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.data import add_data
    from attribeval.cli.options import add_model

    command = commands.add_parser("bench", help="the leaderboard: methods against benchmarks")
    command.add_argument("--list", action="store_true", help="print what is known about each benchmark, and end")
    add_data(command, plain=True)
    add_options(command, CompareOptions, without=["batch_size"])
    command.add_argument("--no-cache", action="store_true", help="keep no maps on disk")
    command.add_argument("-o", "--output", metavar="DIR", help="folder for table, pictures and report")
    add_model(command, required=False)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The study's options as they were typed, checked, and what goes with what."""
    from attribeval.benchmarks.leaderboard.options import CompareOptions
    from attribeval.cli.arguments import read
    from attribeval.cli.data import check_data
    from attribeval.errors import AttribevalError

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
    from pathlib import Path

    from attribeval.cli.report import write_pictures_and_page
    from attribeval.report.cards import cards_text
    from attribeval.report.views import terminal_text
    from attribeval.runs.failures import exit_code

    width = shutil.get_terminal_size((120, 24)).columns
    if args.list:
        from attribeval.metrics.registry import cards

        print(cards_text(cards(), width))
        return 0
    options = check(args)
    result = _compare(args, options)
    print(terminal_text(result, width))
    print("\n" + "\n".join(result.summary))
    if args.output:
        folder = result.save(Path(args.output))
        print(f"\n{write_pictures_and_page(result, folder)}")
    return exit_code(result)


def _compare(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    from attribeval.cli.data import read_data
    from attribeval.cli.options import make_attributer

    attributer = make_attributer(args)
    dataset = read_data(args, plain=True, classifier=attributer.classifier)
    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

    return run_leaderboard(attributer, dataset, **options)
