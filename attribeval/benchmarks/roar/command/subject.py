"""What `attribeval roar` trains on and what it trains: images of --data, a model of --builder."""

from __future__ import annotations

import argparse
from typing import Any


def check_data(args: argparse.Namespace) -> None:
    """Refuse data that are not there, and numbers of them below 1."""
    from pathlib import Path

    from attribeval.common.options import check_count
    from attribeval.datasets.official import official_name
    from attribeval.errors import AttribevalError

    for name in ("train", "test"):
        if getattr(args, name) is not None:
            check_count(f"--{name}", getattr(args, name), 1)
    place = args.data if official_name(args.data) is None else args.data.partition(":")[2]
    if args.data != "digits" and not Path(place).exists():
        raise AttribevalError(f"Expected --data digits, or a .npz file or folder that is there. Received: {place!r}.")


def usual(data: str) -> Any:
    """What is done with the data where nothing else is asked for."""
    from attribeval.benchmarks.roar.paper import TREATMENTS, Treatment
    from attribeval.datasets.official import official_name

    name = official_name(data)
    return Treatment() if name is None else TREATMENTS[name]


def read_dataset(args: argparse.Namespace) -> Any:
    """The training and test images."""
    from pathlib import Path

    from attribeval.datasets import TrainTest, digit_scenes, folders, npz
    from attribeval.datasets.official import official, official_name

    if args.data == "digits":
        train, test = (default if n is None else n for n, default in ((args.train, 5000), (args.test, 1000)))
        made = digit_scenes(size=args.size, n_train=train, n_test=test)
        return TrainTest(made.train.samples(), made.test.samples())
    if official_name(args.data) is not None:
        parts = official(args.data)
    else:
        parts = folders(args.data) if Path(args.data).is_dir() else npz(args.data)
    return TrainTest(spread(parts.train, args.train), spread(parts.test, args.test))


def spread(samples: Any, n: int | None) -> Any:
    """So many of the images, evenly spread: folders list one class after another."""
    return samples if n is None or n >= len(samples) else samples[[len(samples) * i // n for i in range(n)]]


def read_builder(args: argparse.Namespace, dataset: Any) -> tuple[Any, str | None]:
    """A function that returns the untrained model, and the preprocessing that goes with it."""
    import numpy as np

    train, treatment = dataset.train, usual(args.data)
    word = args.builder or treatment.builder
    classes = len(train.class_names) if train.class_names is not None else int(train.labels.max()) + 1
    if word == "small":
        from attribeval.models.small_net import small_net

        in_memory = isinstance(train.images, np.ndarray)
        shape = train.images.shape[1:] if in_memory else (args.size, args.size, 3)
        return lambda: small_net(shape, classes), args.preprocess
    found = find_builder(word)
    if callable(found):
        return found, args.preprocess
    from attribeval.models.zoo import untrained

    return lambda: untrained(word, classes), args.preprocess or treatment.preprocess or found.preprocess


def find_builder(word: str) -> Any:
    """A function of a file, what is known of a network, or None for the small net."""
    from attribeval.errors import AttribevalError
    from attribeval.importable import function_in_file
    from attribeval.models.zoo import NETWORKS

    if ":" in word:
        return function_in_file(*word.rsplit(":", 1))
    if word not in ("small", *NETWORKS):
        raise AttribevalError(
            f"Expected --builder small, {', '.join(NETWORKS)} or FILE.py:FUNCTION. Received: {word!r}."
        )
    return NETWORKS.get(word)
