"""`attribeval concepts`: what a class is made of in a layer, as a table and a picture."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attribeval.cli.options import add_images, add_model, add_seed, make_attributer, parse_options, read_classes
from attribeval.errors import AttribevalError, unknown
from attribeval.files import write_bytes, write_picture

_ELSEWHERE = {"layer": "--target-layer", "seed": "--seed", "progress": "--quiet"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("concepts", help="find what a class is made of: concepts by CRAFT or ACE")
    command.add_argument("images", nargs="*", action="extend", metavar="IMAGE", help="images of the class: files, "
                         "folders of them, patterns such as 'zebras/*.jpg'")  # fmt: skip
    add_images(command, action="extend", help="the same")
    command.add_argument("--targets", "--target", required=True, metavar="CLASS", help="the class, index or name")
    command.add_argument("--by", choices=("craft", "ace"), default="craft", help="how they are found (default: craft)")
    command.add_argument("--others", nargs="+", default=[], metavar="PATH", help="images of other classes, for ace")
    command.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="options of craft or ace")
    command.add_argument("-o", "--output", default="attribeval-concepts", metavar="DIR", help="folder for the results")
    add_seed(command)
    add_model(command)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> None:
    """What can be said before the model is loaded: the class, files, options."""
    _read(args)


def run(args: argparse.Namespace) -> int:
    """Find, print, save."""
    attributer = make_attributer(args)  # before anything that imports TensorFlow, to keep it quiet
    find, images, target, others, options = _read(args)
    found = find(attributer, images, target, *others, layer=args.target_layer, seed=args.seed, **options)
    table = found.table()
    print(", ".join(f"{name} {value}" for name, value in found.facts().items()) + "\n")
    print(table.to_string(index=False, float_format="{:.3g}".format) if len(found) else "no concept was found")
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "concepts.csv", table.to_csv(index=False).encode())
    print(f"\n{folder / 'concepts.csv'}")
    if len(found):
        write_picture(found.plot(rows=len(found)), folder / "concepts.png")
        print(folder / "concepts.png")
    return 0


def _read(args: argparse.Namespace) -> tuple[Callable, list[str], int | str, list[list[str]], dict[str, Any]]:
    """The search, its images, its class, the images of other classes if it takes them, and its options."""
    from attribeval import concepts
    from attribeval.datasets.listing import list_images

    if not args.images:
        raise AttribevalError("Expected image files, folders or patterns. Received none.")
    target = read_classes([args.targets])
    if not isinstance(target, (int, str)):
        raise AttribevalError(f"Expected --target as one class, by index or name. Received: {args.targets!r}.")
    if bool(args.others) != (args.by == "ace"):
        raise AttribevalError(
            "Expected --others, images of other classes, with --by ace and with nothing else. Received: "
            f"--by {args.by} with {'some' if args.others else 'none'}."
        )
    images, *others = (list(map(str, list_images(one).values())) for one in (args.images, args.others) if one)
    find, options = getattr(concepts, args.by), parse_options(args.option)
    known = [p.name for p in inspect.signature(find).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name in _ELSEWHERE:
            raise AttribevalError(f"Expected {_ELSEWHERE[name]} for {name}. Received: --option {name}.")
        if name not in known:
            raise unknown(f"option of {args.by}", name, [one for one in known if one not in _ELSEWHERE])
    return find, images, target, others, options
