"""`attribeval sanity`: do the maps change when the model's weights, or the labels that it learned from, are random?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.benchmarks.sanity.options import SanityOptions
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.options import add_images, add_model, add_output

    command = commands.add_parser("sanity", help="sanity checks: maps of the model against those of random weights")
    data = command.add_argument_group("data (one of these; none: embedded digits for the embedded nets, else three "
                                      "photographs of scikit-image)")  # fmt: skip
    data.add_argument("--folders", metavar="DIR", help="a folder for each class")
    data.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    add_images(data, help="image files")
    data.add_argument("--limit", type=int, default=32, help="only the first images (default: 32)")
    add_options(command, SanityOptions, without=["batch_size"])
    command.add_argument("--permuted", metavar="MODEL",
                         help="instead: compare with this model, which was trained on permuted labels")  # fmt: skip
    add_output(command)
    add_model(command)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The study's options as they were typed, checked, and what goes with what."""
    from attribeval.benchmarks.sanity.options import SanityOptions
    from attribeval.cli.arguments import read
    from attribeval.errors import AttribevalError

    options = read(args, SanityOptions, without=["batch_size"])
    if args.permuted and (args.run_dir or args.layers or args.statistics or args.modes != list(SanityOptions.modes)):
        raise AttribevalError(
            "--modes, --layers, --statistics and --run-dir belong to random weights. Received them with --permuted."
        )
    data = [name for name in ("imagenet", "folders", "images") if getattr(args, name)]
    if len(data) > 1:
        raise AttribevalError(f"Expected one data set. Received --{' and --'.join(data)}.")
    if args.limit < 1:
        raise AttribevalError(f"Expected --limit of 1 or more. Received: {args.limit}.")
    return options


def run(args: argparse.Namespace) -> int:
    """Measure, print, save; 1 if something failed."""
    from attribeval.cli.options import make_attributer
    from attribeval.cli.outputs import show

    options = check(args)
    attributer = make_attributer(args)  # before anything that imports TensorFlow, to keep it quiet
    images = _images(attributer, args)
    if args.permuted:
        from attribeval.benchmarks.sanity.data_randomisation import run_data_randomisation

        some = {name: options[name] for name in ("methods", "similarities", "strict", "seed")}
        result = run_data_randomisation(attributer, make_attributer(args, args.permuted), images, **some)
    else:
        from attribeval.benchmarks.sanity.procedure import run_sanity

        result = run_sanity(attributer, images, **options)
    return show(result, args.output)


def _images(attributer: Any, args: argparse.Namespace) -> Any:
    from attribeval import datasets

    if args.imagenet:
        return datasets.imagenet(args.imagenet, limit=args.limit)
    if args.folders:
        return datasets.folder(args.folders, limit=args.limit)
    if args.images:
        return args.images[: args.limit]
    if args.model in ("digit_objects", "digit_scenes"):
        return datasets.digit_scenes(n_train=1, n_test=args.limit).test.samples()
    from attribeval.crosscheck import example_images

    return example_images(attributer.classifier.input_shape)[: args.limit]
