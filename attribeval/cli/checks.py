"""What can be wrong with a command, found before anything is computed: the same words mean the same in each."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from attribeval.cli.options import read_class_names, read_score
from attribeval.errors import AttribevalError

_READ = ("imagenet", "folders", "metadata", "coco", "boxes", "masks", "class_index", "maps", "extra", "checkpoint",
         "scenes", "scene_annotations")  # fmt: skip
_WRITTEN = ("output", "run_dir", "cache", "folder", "table")
_COUNTS = ("limit", "batch_size", "train", "test", "size", "per_pair", "smallest", "jobs", "steps", "series_steps")


def check(args: argparse.Namespace) -> None:
    """Check what a command was told: names, ranges, paths; and what only the command knows (its own `check`)."""
    from attribeval.common.options import check_count

    for name in _COUNTS:
        if getattr(args, name, None) is not None:
            check_count(_flag(name), getattr(args, name), 1)
    for name in _READ:
        _check_path(name, getattr(args, name, None))
    for name in _WRITTEN:
        if getattr(args, name, None):
            _check_place(name, getattr(args, name))
    if getattr(args, "images", None) and args.command != "explain":  # whose patterns it reads itself
        for path in args.images:
            _check_path("images", path)
    _check_model(args)
    _check_methods(args)
    own = getattr(args, "check", None)
    if own is not None:
        own(args)


def _check_model(args: argparse.Namespace) -> None:
    from attribeval.models.preprocessing import find_preprocessing
    from attribeval.models.zoo import check_name

    for option in ("model", "permuted"):
        name = getattr(args, option, None)
        if name is not None:
            check_name(name)
            _check_path(option, name if name.endswith((".keras", ".h5", ".hdf5")) else None)
    find_preprocessing(getattr(args, "preprocess", None))
    if getattr(args, "weights", None) not in (None, "imagenet", "none"):
        _check_path("weights", args.weights)
    if getattr(args, "class_names", None):
        read_class_names(args.class_names)
    read_score(getattr(args, "score", "logit"))


def _check_methods(args: argparse.Namespace) -> None:
    from attribeval.methods.given import is_name, labelled, method_of
    from attribeval.methods.short_names import parse

    for name in getattr(args, "methods", None) or ():
        ((label, given),) = labelled(name).items()
        if given in getattr(args, "sets_of_methods", ()):
            continue
        if not (is_name(given) and parse(given).name == "expected_gradients"):  # needs references, too
            method_of(given, label)


def _check_path(option: str, path: Any) -> None:
    if path and not Path(path).exists():
        raise AttribevalError(f"Expected {_flag(option)} to be there. Received a path that is not: {path}.")


def _check_place(option: str, path: Any) -> None:
    """Refuse a place in which nothing can be written: below a file, or in a folder that is somebody else's."""
    place = Path(path).absolute()
    there = next(one for one in (place, *place.parents) if one.exists())
    if there != place and not there.is_dir():
        raise AttribevalError(f"Expected {_flag(option)} in a folder. Received a path below a file: {path}.")
    if not os.access(there, os.W_OK):
        raise AttribevalError(f"Expected {_flag(option)} where files can be written. Received: {path}.")


def _flag(option: str) -> str:
    return "FOLDER" if option == "folder" else f"--{option.replace('_', '-')}"
