"""`attribeval demo`: everything once, on the embedded data, offline, in a few minutes."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.cli.options import add_seed

    command = commands.add_parser("demo", help="explain and score the embedded digit scenes; start here")
    command.add_argument("-o", "--output", default="attribeval-demo", metavar="DIR", help="where its files go")
    command.add_argument("--images", type=int, default=200, help="test images to score (default: 200)")
    add_seed(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Explain a few digit scenes with every method, score all methods on many, write pictures and one page."""
    import sys
    import time
    from pathlib import Path

    print("Loading TensorFlow and the embedded digit scenes …", file=sys.stderr)
    from attribeval.cli.options import load_tensorflow

    load_tensorflow()
    from attribeval.attributer import Attributer
    from attribeval.datasets import digit_scenes
    from attribeval.errors import AttribevalError
    from attribeval.evaluator import Evaluator
    from attribeval.methods.registry import METHODS
    from attribeval.plots import overlays
    from attribeval.report.page import write_report
    from attribeval.report.terminal import wsol_table

    if args.images < 1:
        raise AttribevalError(f"Expected --images of 1 or more. Received: {args.images}.")
    begun = time.perf_counter()
    names = list(METHODS)
    dataset = digit_scenes(n_test=args.images, n_train=1).test.samples(label="object")
    attributer = Attributer("digit_objects")
    shown = dataset[: min(8, len(dataset))]
    images = shown.load()
    maps = attributer.explain_many(images, names, shown.labels, seed=args.seed)
    result = Evaluator(attributer, dataset).wsol(names, seed=args.seed)

    output = Path(args.output)
    result.save(output)
    picture = overlays(images, maps, boxes=shown.boxes_at(images.shape[1:3]))
    picture.savefig(output / "overlays.png", dpi=150)
    result.plot().savefig(output / "wsol.png", dpi=150)
    page = write_report(
        output / "report.html",
        [result],
        pictures={"Maps of every method, with the true box of each digit": picture},
        title="attribeval demo: digits on photographs",
        command=f"attribeval demo --images {args.images} --seed {args.seed}",
    )
    print(wsol_table(result.table))
    print("\n" + "\n".join(result.summary))
    print(f"\nDone in {time.perf_counter() - begun:.0f} s. Open {page} to look at the pictures.")
