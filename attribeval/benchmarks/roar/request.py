"""What the user asked for, checked and written down as a grid, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from attribeval.benchmarks.roar.estimators import read_estimators
from attribeval.benchmarks.roar.fills import constant_fill
from attribeval.benchmarks.roar.grid import PAPER_CONTROLS, PAPER_ESTIMATORS, Grid
from attribeval.benchmarks.roar.options import GridOptions
from attribeval.benchmarks.roar.source import Source, read_source
from attribeval.common.arguments import takes
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.training.builder import describe
from attribeval.training.recipe import find_recipe


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


@takes(GridOptions)
def make_request(build_model: Callable[[], Any], dataset: Any, options: GridOptions) -> Request:
    """Check everything that can be checked before the first training; see `procedure.run_roar`."""
    model = describe(build_model)
    source = read_source(dataset, tuple(model["input_shape"]), model["classes"], options.geometry)
    fill = options.fill if isinstance(options.fill, str | Real) else tuple(np.ravel(options.fill).tolist())
    constant_fill(fill, source.shape[2], np.zeros(source.shape[2], np.float32))
    explained, checkpoint = _read_checkpoint(options.checkpoint, source)
    methods = (*PAPER_ESTIMATORS, *PAPER_CONTROLS) if options.methods is None else options.methods
    estimators, own = read_estimators(methods, source.splits, source.shape, explained, options.controls)
    grid = Grid(
        data=source.describe(),
        model=model,
        recipe=find_recipe(options.recipe).to_json(),
        explained=explained,
        preprocess=options.preprocess,
        fractions=tuple(float(fraction) for fraction in options.fractions),
        per=options.per,
        fill=fill if isinstance(fill, str | tuple) else float(fill),
        targets=options.targets,
        seed=int(options.seed),
        estimators=tuple(estimators),
        modes=tuple(dict.fromkeys(options.modes)),
        repeats=int(options.repeats),
        controls=tuple(dict.fromkeys(options.controls)),
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
