"""`attribeval explain`: photographs in, overlay pictures and maps out; what is there already is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attribeval import __version__
from attribeval.cli import options as shared
from attribeval.errors import AttribevalError
from attribeval.quiet import load_tensorflow

Extra = Callable[[Iterable[str]], dict[str, Any] | None]  # of images by id


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("explain", help="explain photographs: overlay pictures and maps")
    command.add_argument("images", nargs="*", action="extend", metavar="IMAGE", help="image files, folders of them, "
                         "patterns such as 'scans/**/*.png'")  # fmt: skip
    shared.add_images(command, action="extend", help="the same")
    shared.add_methods(command, default=["gradcam"], help="methods (default: gradcam)")
    command.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="options of the (one) method")
    shared.add_classes(command)
    command.add_argument("--backend", help="compute the (one) method with a library: tf_keras_vis, …")
    command.add_argument("-o", "--output", default="attribeval-maps", metavar="DIR", help="folder for the results")
    command.add_argument("--no-pictures", action="store_true", help="write maps and the table alone")
    shared.add_seed(command)
    shared.add_model(command)
    shared.add_extra(command)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> None:
    """What can be said before the model is loaded: methods, options, classes, files."""
    from attribeval.datasets.listing import list_images

    _read(args)
    list_images(args.images)
    shared.read_extra(args.extra)


def _read(args: argparse.Namespace) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Options of the one method, classes, and methods by label."""
    if not args.images:
        raise AttribevalError("Expected image files, folders or patterns. Received none.")
    options, targets = shared.parse_options(args.option), shared.read_classes(args.targets)
    if len(args.methods) > 1 and (options or args.backend):
        raise AttribevalError("--option and --backend go with a single --method: call again for each method.")
    return options, targets, _methods(args, options)


def run(args: argparse.Namespace) -> int:
    """Explain, draw, save; 1 if some images could not be explained."""
    from attribeval.datasets.listing import list_images

    load_tensorflow()
    options, targets, built = _read(args)  # what is wrong with methods and classes is said before any work
    attributer = shared.make_attributer(args)
    files = list_images(args.images, leave_out=[args.output, Path(args.output) / "pictures"])
    classes = attributer.classifier.read_targets(targets, len(files))
    rows = attributer.classifier.extra.read(shared.read_extra(args.extra), len(files))
    numbers = {name: k for k, name in enumerate(files)}

    def extra(names: Iterable[str]) -> dict[str, Any] | None:
        return rows.of([numbers[name] for name in names]).values or None

    from attribeval.explain_files import explain_files
    from attribeval.map_folder import MapFolder

    methods = {name: {"options": options, "backend": args.backend} | _identity(one) for name, one in built.items()}
    asked = None if classes is None else dict(zip(files, classes, strict=True))
    explain, answer = _explainer(attributer, args, built, options, asked, extra)
    settings = _settings(attributer, args, {name: extra([name]) for name in files if rows.values})
    with MapFolder(Path(args.output), settings, methods) as folder:
        draw = None if args.no_pictures else _draw
        report = explain_files(attributer, files, explain, answer, folder, draw=draw)
        if not report.done:
            raise AttribevalError(next(iter(report.failed.values())))
        table = folder.write_table(name for name in files if name not in report.failed)
    before = f" ({report.found} of them before)" if report.found else ""
    print(f"{report.done} of {len(files)} images explained{before}")
    places = [*built] if args.no_pictures else [*built, "pictures"]
    for place in [*(folder.root / name for name in places), table]:
        print(place)
    for name, zeros in report.zeros.items():
        if zeros:
            print(f"{zeros} maps of {name} are 0 everywhere, which says nothing of places", file=sys.stderr)
    for name, why in report.failed.items():
        print(f"not explained: {name}: {why}", file=sys.stderr)
    return int(bool(report.failed))


def _methods(args: argparse.Namespace, options: dict[str, Any]) -> dict[str, Any]:
    """Methods by label."""
    from attribeval.methods.abilities import refuse
    from attribeval.methods.given import is_name, labelled, method_of
    from attribeval.methods.registry import build_method

    if args.backend:
        from attribeval.backends.registry import build_backend

        return {name: build_backend(args.backend, name, options) for name in args.methods}
    built = {}
    for label, one in labelled(args.methods).items():
        named = is_name(one) and options
        built[label] = build_method(one, options) if named else method_of(one, label)
    refuse(built, "attribeval explain", images=True)
    return built


def _identity(method: Any) -> dict[str, Any]:
    """What tells a function of a file from the same one edited."""
    from attribeval.methods.function import FunctionMethod

    return {"code": method.code} if isinstance(method, FunctionMethod) else {}


def _explainer(
    attributer: Any,
    args: argparse.Namespace,
    built: dict[str, Any],
    options: dict[str, Any],
    classes: dict[str, int] | None,
    extra: Extra,
) -> tuple[Any, Any]:
    """Functions of raw images and their ids: maps by method, and probabilities."""
    import warnings

    def explain(images: Any, names: list[str]) -> dict[str, Any]:
        targets = None if classes is None else [classes[name] for name in names]
        given = {"extra": extra(names), "seed": args.seed, "progress": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of maps that are 0: they are counted over all images
            if not args.backend:
                return attributer.explain_many(images, built, targets, **given)
            (name,) = args.methods
            return {name: attributer.explain(images, name, targets, backend=args.backend, **given, **options)}

    def answer(images: Any, names: list[str]) -> Any:
        return attributer.answer(images, extra=extra(names))[1]

    return explain, answer


def _settings(attributer: Any, args: argparse.Namespace, extra: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
    """All that changes a map, beside its method's options; `extra` by image, hashed if the model has other inputs."""
    from attribeval.models.preprocessing import preprocessing_name
    from attribeval.runs.keys import digest_of

    one = attributer.classifier
    values = {name: {i: row.tolist() for i, row in (rows or {}).items()} for name, rows in extra.items()}
    beside = {"image input": one.image_input, "extra": digest_of(values)} if values else {}
    return {
        "model": one.name,
        "weights": one.fingerprint(),
        "task": str(one.task),
        "model output": args.model_output,
        "preprocessing": preprocessing_name(one.preprocess),
        "target layer": one.target_layer,
        "score": one.score_key(),
        "precision": args.precision,
        "class names": one.class_names and digest_of(one.class_names),
        "targets": args.targets,
        "seed": args.seed,
        **beside,
        "attribeval": __version__,
    }


def _draw(image: Any, maps: Any, name: str) -> Any:
    from attribeval.plots import overlays
    from attribeval.plots.style import class_name

    first = next(iter(maps.values()))
    shown = name if len(name) <= 23 else f"…{name[-22:]}"  # files of a folder differ at the end
    titles = [f"{shown}\nexplained: {class_name(first, k)}" for k in range(len(first))]
    return overlays(image.repeat(len(first), 0), maps, titles=titles)
