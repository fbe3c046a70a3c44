"""`attribeval wsol`: how well do maps localise objects?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.cli.options import add_model, add_seed

    command = commands.add_parser("wsol", help="localisation: MaxBoxAcc on ImageNet boxes or the embedded digit scenes")
    command.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    command.add_argument("--limit", type=int, help="only the first images")
    methods = ["gradcam", "gradient", "random", "sobel"]
    command.add_argument("--methods", nargs="+", default=methods, metavar="NAME", help="methods to score")
    command.add_argument("--iou", type=float, default=0.5, help="overlap at which a box is right (default: 0.5)")
    command.add_argument(
        "--targets", choices=["label", "predicted"], default="label", help="class to explain (default: label)"
    )
    command.add_argument("--run-dir", metavar="DIR", help="keep finished chunks here; call again to continue")
    command.add_argument("-o", "--output", metavar="DIR", help="folder for table, plot and report")
    add_seed(command)
    add_model(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score, print, save."""
    import shlex
    import sys
    from pathlib import Path

    from attribeval.cli.options import make_attributer
    from attribeval.datasets import imagenet
    from attribeval.errors import AttribevalError
    from attribeval.evaluator import Evaluator
    from attribeval.report.page import write_report
    from attribeval.report.terminal import wsol_table

    if args.imagenet is None and args.model not in ("digit_objects",):
        raise AttribevalError("Expected --imagenet DIR (or --model digit_objects for the embedded data).")
    if args.imagenet is not None:
        dataset = imagenet(args.imagenet, limit=args.limit)
    else:
        from attribeval.datasets import digit_scenes

        dataset = digit_scenes().test.samples(label="object")[: args.limit]
    attributer = make_attributer(args)
    result = Evaluator(attributer, dataset).wsol(
        args.methods, iou=args.iou, targets=args.targets, seed=args.seed, run_dir=args.run_dir
    )
    print(f"top-1 accuracy {result.settings['top1_accuracy']:.1%}, top-5 {result.settings['top5_accuracy']:.1%}\n")
    print(wsol_table(result.table))
    print("\n" + "\n".join(result.summary))
    if args.output:
        folder = result.save(Path(args.output))
        result.plot().savefig(folder / "wsol.png", dpi=150)
        command = shlex.join(["attribeval", *sys.argv[1:]])
        print("\n" + str(write_report(folder / "report.html", [result], title="WSOL", command=command)))
