"""`attribeval selftest`: known answers, on this machine and the user's own model."""

from __future__ import annotations

import argparse
import time
from typing import Any

from attribeval.cli.options import add_images, add_model, add_seed, make_attributer

_MARKS = {True: "pass", False: "FAIL", None: "–"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("selftest", help="known answers on this machine, and on your model")
    add_images(
        command, help="two or three image files (default: digit scenes for the embedded models, photographs of "
        "scikit-image for others)",
    )  # fmt: skip
    add_seed(command)
    add_model(command, default="digit_objects")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """One line per check as it is made; 1 if one failed."""
    begun = time.perf_counter()
    attributer = make_attributer(args)  # before anything that imports TensorFlow, to keep it quiet
    from attribeval.selftest import selftest

    failed = count = 0
    for check in selftest(attributer, _images(args, attributer), seed=args.seed):
        failed, count = failed + (check.passed is False), count + (check.passed is not None)
        print(
            f"{_MARKS[check.passed]:4}  {check.name}: expected {check.expected}, received {check.received}", flush=True
        )
    seconds = time.perf_counter() - begun
    print(f"\n{count - failed} of {count} checks passed on {attributer.classifier.name} in {seconds:.0f} s.")
    return int(failed > 0)


def _images(args: argparse.Namespace, attributer: Any) -> Any:
    from attribeval.models.zoo import EMBEDDED

    if args.images:
        return args.images
    if args.model in EMBEDDED:
        from attribeval.datasets import digit_scenes

        return digit_scenes(n_train=1, n_test=3).test.samples(label="object")
    from attribeval.crosscheck import example_images

    return example_images(attributer.classifier.input_shape)
