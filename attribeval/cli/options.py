"""Options that several commands share, and how they become an Attributer."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path
from typing import Any

from attribeval.errors import AttribevalError, unknown
from attribeval.quiet import load_tensorflow


def add_model(command: argparse.ArgumentParser, default: str | None = None, required: bool = True) -> None:
    """Add the options that say which model, how it is fed, and how much at a time."""
    group = command.add_argument_group("model")
    group.add_argument(
        "--model",
        default=default,
        required=required and default is None,
        help="vgg16, inception_v3, resnet50, digit_objects, digit_scenes, digit_segmenter, digit_detector, or a "
        ".keras / .h5 file",
    )
    group.add_argument("--preprocess", help="caffe, tf, torch, unit, mobilenet, … (named models know theirs)")
    group.add_argument("--weights", default="imagenet", help="weights file of a named model (default: ImageNet's)")
    group.add_argument("--target-layer", help="layer for class activation maps (default: the last spatial output)")
    group.add_argument(
        "--task",
        choices=("auto", "multiclass", "multilabel", "binary", "regression"),
        default="auto",
        help="what the model's output means (default: read off the graph)",
    )
    group.add_argument("--model-output", metavar="NAME", help="output to explain, of a model with several")
    group.add_argument("--inputs", metavar="NAME", help="image input to explain, of a model with several")
    group.add_argument(
        "--score",
        default="logit",
        metavar="WHAT",
        help="what is explained: logit, output, or FILE.py:FUNCTION of the model's outputs (default: logit)",
    )
    group.add_argument(
        "--precision",
        choices=("float32", "tf32", "bfloat16", "float16"),
        default="float32",
        help="how exactly convolutions and matrix products are computed (default: float32)",
    )
    group.add_argument(
        "--strategy",
        choices=("auto", "mirrored"),
        help="share the images out over the GPUs: over all if there are several, or over all (default: one device)",
    )
    group.add_argument("--class-names", metavar="FILE", help="a name per line, or Keras' imagenet_class_index.json")
    group.add_argument("--batch-size", type=int, help="images at a time (default: by their size)")


def add_extra(command: argparse.ArgumentParser) -> None:
    """Add --extra, for commands that give the model images of the caller's."""
    command.add_argument(
        "--extra", metavar="FILE.npz", help="the model's other inputs: an array for each, a row an image or one for all"
    )


def read_extra(path: str | None) -> dict[str, Any] | None:
    """Arrays by name from an `.npz` file; None without one."""
    from attribeval.datasets.train_test import read_arrays

    return None if path is None else read_arrays(path, "--extra as a file of numpy.savez, an array for each input")


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add --seed."""
    command.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")


def add_methods(command: argparse._ActionsContainer, **about: Any) -> None:
    """Add --methods, also as --method; a function of a file, or maps of files, stand where a name does."""
    about["help"] += "; a name, or [LABEL=]FILE.py:FUNCTION"
    command.add_argument("--methods", "--method", nargs="+", metavar="NAME", **about)


def add_images(command: argparse._ActionsContainer, **about: Any) -> None:
    """Add --images, also as --image: paths of photographs, never a number of them, which is --limit."""
    command.add_argument("--images", "--image", nargs="+", metavar="PATH", **about)


def add_classes(command: argparse._ActionsContainer) -> None:
    """Add --targets, also as --target, for photographs whose classes are not known."""
    command.add_argument(
        "--targets", "--target", nargs="+", metavar="CLASS", help="classes to explain, index or name: one for all "
        "images, or one for each (default: predicted)",
    )  # fmt: skip


def read_classes(words: list[str] | None) -> int | str | list[int | str] | None:
    """What `add_classes` reads as `Attributer.explain` takes it: numbers are indices, "predicted" is None."""
    if words is None or words == ["predicted"]:
        return None
    if "label" in words or "predicted" in words:
        raise AttribevalError(
            f"Expected --targets predicted, or classes by index or name: photographs have no labels. Received: {words}."
        )
    classes = [int(word) if word.lstrip("-").isdecimal() else word for word in words]
    return classes[0] if len(classes) == 1 else classes


def add_run_dir(command: argparse._ActionsContainer, what: str, required: bool = False) -> None:
    """Add --run-dir. Where the command is about that folder, its path alone says the same."""
    if required:
        command.add_argument("run_dir", nargs="?", default=argparse.SUPPRESS, metavar="RUN_DIR", help=what)
        command.set_defaults(needs_run_dir=True)
        what = "the same"
    command.add_argument("--run-dir", metavar="DIR", help=what)


def add_output(command: argparse._ActionsContainer, where: str = "folder for table, pictures and report") -> None:
    """Add --output, for what `outputs.show` writes."""
    command.add_argument("-o", "--output", metavar="DIR", help=where)


def check_run_dir(args: argparse.Namespace) -> None:
    """Refuse a missing folder of a command that is about one."""
    if getattr(args, "needs_run_dir", False) and args.run_dir is None:
        raise AttribevalError("Expected the folder of the run: --run-dir DIR, or its path alone. Received none.")


def make_attributer(args: argparse.Namespace, model: str | None = None) -> Any:
    """The Attributer that the model options describe; of another model, if one is named."""
    load_tensorflow()
    from attribeval.attributer import Attributer

    return Attributer(
        args.model if model is None else model,
        preprocess=args.preprocess,
        weights=args.weights,
        target_layer=args.target_layer,
        score=read_score(args.score),
        precision=args.precision,
        strategy=args.strategy,
        task=args.task,
        output=read_output(args.model_output),
        inputs=read_output(args.inputs),
        class_names=read_class_names(args.class_names) if args.class_names else None,
        batch_size=args.batch_size,
    )


def read_score(word: str) -> Any:
    """What is explained, by name, or the function that a file has."""
    from attribeval.importable import function_in_file

    if ":" in word:
        return function_in_file(*word.rsplit(":", 1))
    if word not in ("logit", "output"):
        raise unknown("score", word, ("logit", "output", "FILE.py:FUNCTION"))
    return word


def read_output(word: str | None) -> str | int | None:
    """An output or input by name, or by number if the word is one."""
    return int(word) if word is not None and word.isdecimal() else word


def read_class_names(path: str) -> list[str]:
    """Names by class index from a text file (one per line) or Keras' class index (JSON)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        if not path.endswith(".json"):
            return text.splitlines()
        index = json.loads(text)
        return [index[str(i)][1].replace("_", " ") for i in range(len(index))]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise AttribevalError(
            f"Expected {path} to hold a name per line, or to be Keras' imagenet_class_index.json. "
            f"Received: {type(error).__name__}: {error}."
        ) from error


def parse_options(words: list[str]) -> dict[str, Any]:
    """`layer=conv1 samples=5` as a dictionary; values that read as Python literals become them."""
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise AttribevalError(f"Expected options as name=value. Received: {word!r}.")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options
