"""What the user asked for, checked and written down as a grid, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from attribeval.benchmarks.roar.estimators import read_estimators
from attribeval.benchmarks.roar.fills import constant_fill
from attribeval.benchmarks.roar.grid import Grid
from attribeval.benchmarks.roar.ranks import check_fractions
from attribeval.benchmarks.roar.source import Source, read_source
from attribeval.errors import AttribevalError
from attribeval.methods.given import Given
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import find_preprocessing
from attribeval.training.builder import describe
from attribeval.training.recipe import Recipe, find_recipe


@dataclass(frozen=True)
class Request:
    """A grid, and what of it cannot be written into JSON.

    Attributes:
        grid: The grid.
        source: The images.
        own: The user's own methods by label that only this process has: objects and functions, or ready maps by split.
        checkpoint: The trained Keras model that is explained, or None for the unmodified model.
    """

    grid: Grid
    source: Source
    own: dict[str, Any]
    checkpoint: Any


def make_request(
    build_model: Callable[[], Any],
    dataset: Any,
    methods: Given | Sequence[Given] | Mapping[str, Given],
    *,
    fractions: Sequence[float],
    modes: Sequence[Any],
    repeats: int,
    controls: Sequence[Any],
    recipe: str | Recipe,
    preprocess: str | None,
    geometry: Any,
    per: Any,
    fill: Any,
    targets: Any,
    checkpoint: Any,
    seed: int,
) -> Request:
    """Check everything that can be checked before the first training; see `procedure.run_roar`."""
    if preprocess is not None and not isinstance(preprocess, str):
        raise AttribevalError(
            "Expected preprocess to be a name, which other processes can have, too. Received: "
            f"{type(preprocess).__name__}: put a function into the model, as a layer."
        )
    fractions = check_fractions(fractions)
    for name, given in [("modes", modes), ("controls", controls)]:
        if isinstance(given, str):
            raise AttribevalError(f"Expected {name} as a list. Received one name: {given!r}: put it in a list.")
    find_preprocessing(preprocess)
    model = describe(build_model)
    source = read_source(dataset, tuple(model["input_shape"]), model["classes"], geometry)
    fill = tuple(np.ravel(fill).tolist()) if isinstance(fill, (list, tuple, np.ndarray)) else fill
    constant_fill(fill, source.shape[2], np.zeros(source.shape[2], np.float32))
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise AttribevalError(f"Expected seed as an int. Received: {seed!r}.")
    explained, checkpoint = _read_checkpoint(checkpoint, source)
    estimators, own = read_estimators(methods, source.splits, source.shape, explained, controls)
    grid = Grid(
        data=source.describe(),
        model=model,
        recipe=find_recipe(recipe).to_json(),
        explained=explained,
        preprocess=preprocess,
        fractions=fractions,
        per=per,
        fill=fill if isinstance(fill, (str, tuple)) else float(fill),
        targets=targets,
        seed=int(seed),
        estimators=tuple(estimators),
        modes=tuple(dict.fromkeys(modes)),
        repeats=int(repeats) if isinstance(repeats, np.integer) else repeats,
        controls=tuple(dict.fromkeys(controls)),
    )
    return Request(grid, source, own, checkpoint)


def _read_checkpoint(checkpoint: Any, source: Source) -> tuple[str, Any]:
    """What is explained, in words, and its model."""
    if checkpoint is None:
        return "unmodified", None
    if isinstance(checkpoint, (str, PathLike)):
        from attribeval.models.zoo import load_classifier

        classifier = load_classifier(checkpoint)
    else:
        classifier = Classifier(checkpoint)
    shape = classifier.input_shape
    if any(side not in (None, wanted) for side, wanted in zip(shape, source.shape, strict=True)):
        raise AttribevalError(f"Expected a checkpoint that takes images of {source.shape}. Received one for {shape}.")
    if classifier.classes != source.classes:
        raise AttribevalError(
            f"Expected a checkpoint with {source.classes} classes, as build_model has. Received: {classifier.classes}."
        )
    return f"checkpoint {classifier.fingerprint()}", classifier.model
