"""`attribeval explain`: photographs in, overlay pictures and maps out."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.cli.options import add_classes, add_images, add_methods, add_model, add_seed

    command = commands.add_parser("explain", help="explain photographs: overlay pictures and maps")
    command.add_argument("images", nargs="*", action="extend", metavar="IMAGE", help="image files")
    add_images(command, action="extend", help="the same")
    add_methods(command, default=["gradcam"], help="methods (default: gradcam)")
    command.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="options of the (one) method")
    add_classes(command)
    command.add_argument("--backend", help="compute the (one) method with a library: tf_keras_vis, …")
    command.add_argument("-o", "--output", default="attribeval-maps", metavar="DIR", help="folder for the results")
    add_seed(command)
    add_model(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Explain, draw, save."""
    from pathlib import Path

    from attribeval.cli.options import make_attributer, parse_options, read_classes
    from attribeval.errors import AttribevalError
    from attribeval.plots import overlays
    from attribeval.plots.style import class_name

    if not args.images:
        raise AttribevalError("Expected image files. Received none.")
    methods, targets = args.methods, read_classes(args.targets)
    if len(methods) > 1 and (args.option or args.backend):
        raise AttribevalError("--option and --backend go with a single --method: call again for each method.")
    attributer = make_attributer(args)
    output = Path(args.output)
    if len(methods) == 1:
        maps = attributer.explain(
            args.images, methods[0], targets, seed=args.seed, backend=args.backend, **parse_options(args.option)
        )
        by_method = {methods[0]: maps}
    else:
        by_method = attributer.explain_many(args.images, methods, targets, seed=args.seed)
    images = attributer.read(args.images)
    output.mkdir(parents=True, exist_ok=True)
    for name, maps in by_method.items():
        print(maps.save(output / f"{name}.npz"))
    stems = unique_stems(args.images)
    for i, stem in enumerate(stems):
        label = f"{stem}\nexplained: {class_name(next(iter(by_method.values())), i)}"
        figure = overlays(images[i : i + 1], {name: maps[i] for name, maps in by_method.items()}, titles=[label])
        figure.savefig(output / f"{stem}.png", dpi=150)
        print(output / f"{stem}.png")


def unique_stems(paths: list[str]) -> list[str]:
    """File names without folder and ending; a number is added where two would be the same."""
    from pathlib import Path

    stems: list[str] = []
    for path in paths:
        stem = name = Path(path).stem
        count = 1
        while name in stems:
            count += 1
            name = f"{stem}-{count}"
        stems.append(name)
    return stems
