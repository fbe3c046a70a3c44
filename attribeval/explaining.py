"""The run over micro-batches: a question and methods go in, the maps of each come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.attributions import Attributions
from attribeval.collected import Collected
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.datasets.source import Photographs
from attribeval.methods.abilities import needs_one_device, of_images
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import preprocessing_name
from attribeval.question import Question


def explain_all(
    classifier: Classifier,
    passes: Callable[..., None],
    question: Question,
    methods: Mapping[str, Method],
    batch_size: int | None,
    show: bool | None,
    one_device: bool = False,
) -> tuple[dict[str, Attributions], list[str]]:
    """The maps of every method by label, what they share computed once per batch; and remarks for the caller.

    `passes` are the model's over images, `Predictor._in_batches`; `batch_size` and `show` as in `Attributer.explain`;
    `one_device` leaves the others out.
    """
    methods = of_images(methods, question.images, len(question.source))
    one_device = one_device or any(map(needs_one_device, methods.values()))
    results = Collected(len(question.source), list(methods), classifier)
    what = next(iter(methods)) if len(methods) == 1 else f"{len(methods)} methods"

    def prepare(raw: np.ndarray, start: int) -> tuple[Any, Any]:
        return classifier.prepare(raw), classifier.going_in.asked(question.targets_of(raw, start), len(raw))

    def work(raw: np.ndarray, prepared: tuple[Any, Any], start: int, capacity: int) -> None:
        (x, asked), targets = prepared, question.targets_of(raw, start)
        targets = None if targets is None else tf.constant(targets)
        batch = Batch(classifier, x, raw, targets, question.seeds_of(raw, start), capacity, start, asked)
        _explain_some(batch, methods, results)

    try:
        apart = question.rows.apart(work)
        passes(question.source, batch_size, what, show, apart, results.settle, prepare, one_device)
    finally:
        results.close()
    maps = {label: _told(question, label, method, results) for label, method in methods.items()}
    return maps, list(results.remarks(methods))


def _explain_some(batch: Batch, methods: Mapping[str, Method], results: Collected) -> None:
    """Ask for the maps of a micro-batch by every method, and hand them on, computed or not."""
    for label, method in methods.items():
        begun = time.perf_counter()
        batch.completeness_gap = None
        maps = method.attribute(batch)
        batch.targets  # noqa: B018  the model may have other values beside other images when these maps come back
        results.add(batch, label, method, maps, begun)


def _told(question: Question, label: str, method: Method, results: Collected) -> Attributions:
    """The maps of a method with all that is known of them."""
    (ids, paths), one = question.source.names, results.classifier
    return Attributions(
        values=results.values[label],
        targets=results.targets.copy(),
        method=label,
        options=options_of(method),
        seconds=results.seconds[label],
        model=one.name,
        seed=None if isinstance(question.seeds, np.ndarray) else question.seeds,
        completeness_gap=results.gaps.get(label),
        class_names=one.class_names,
        task=one.task.name,
        image_input=one.image_input,
        versions=versions(),
        photographs=Photographs.of(question.source),
        ids=ids,
        paths=paths,
        probabilities=results.probabilities,
        preprocessing=preprocessing_name(one.preprocess),
        target_layer=one.target_layer,
    )
