"""`attribeval bench`: which method can be trusted, by which question, how surely, and at what cost?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.cli.data import add_data
    from attribeval.cli.options import add_methods, add_model, add_run_dir, add_seed, add_targets

    command = commands.add_parser("bench", help="the leaderboard: methods against benchmarks")
    command.add_argument("--list", action="store_true", help="print what is known about each benchmark, and end")
    add_data(command, plain=True)
    add_methods(command, help="methods (default: quick ones of all families)")
    command.add_argument("--benchmarks", nargs="+", metavar="NAME", help="benchmarks, name or name(option=value) "
                         "(default: all that the data allow)")  # fmt: skip
    add_targets(command, "predicted")
    command.add_argument("--chunk", type=int, default=25, metavar="N", help="images at work together (default: 25)")
    add_run_dir(command, "keep finished cells here; call again to continue, also with more methods or benchmarks, or "
                "from several processes")  # fmt: skip
    command.add_argument("--cache", metavar="DIR", help="keep maps here (default: in the run directory)")
    command.add_argument("--no-cache", action="store_true", help="keep no maps on disk")
    command.add_argument("-o", "--output", metavar="DIR", help="folder for table, pictures and report")
    add_seed(command)
    add_model(command, required=False)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score, print, save; 1 if some cells failed."""
    import shutil
    from pathlib import Path

    from attribeval.cli.report import write_pictures_and_page
    from attribeval.errors import AttribevalError
    from attribeval.report.leaderboard_terminal import cards_text, leaderboard_text

    width = shutil.get_terminal_size((120, 24)).columns
    if args.list:
        from attribeval.metrics.registry import cards

        print(cards_text(cards(), width))
        return 0
    if args.model is None:
        raise AttribevalError("Expected --model, whose maps are compared (or --list). Received none.")
    if args.cache and args.no_cache:
        raise AttribevalError("Expected --cache DIR or --no-cache. Received both.")
    result = _compare(args)
    print(leaderboard_text(result, width))
    print("\n" + "\n".join(result.summary))
    if args.output:
        folder = result.save(Path(args.output))
        print(f"\n{write_pictures_and_page(result, folder, 'leaderboard', 'Leaderboard')}")
    return int((result.table["error"] != "").any())


def _compare(args: argparse.Namespace) -> Any:
    from attribeval.benchmarks.leaderboard.plan import choose_benchmarks, choose_methods
    from attribeval.cli.data import read_data
    from attribeval.cli.options import make_attributer

    attributer = make_attributer(args)
    dataset = read_data(args, plain=True, classifier=attributer.classifier)
    samples = None if isinstance(dataset, list) else dataset
    methods, benchmarks = choose_methods(args.methods), choose_benchmarks(args.benchmarks, samples)
    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard

    return run_leaderboard(
        attributer,
        dataset,
        methods,
        benchmarks,
        targets=args.targets,
        seed=args.seed,
        batch_size=args.batch_size,
        chunk=args.chunk,
        run_dir=args.run_dir,
        cache=False if args.no_cache else args.cache,
    )
