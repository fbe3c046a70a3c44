"""A model beside the one explained, such as a fine-tuned copy, asked about the same raw images."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.errors import AttribevalError
from attribeval.metrics.subject import Subject


def asked(subject: Subject, model: Any) -> Subject:
    """Who answers for a benchmark's option `model`: the same images, and another model.

    Args:
        subject: The images and the model explained; the other model gets raw images through the same preprocessing.
        model: None (the subject itself), a Keras model, or the path of a file, loaded in safe mode.

    Returns:
        The subject to be asked. Counts as the first subject's passes.

    Raises:
        AttribevalError: If it is no image classifier, cannot be loaded, or has other classes than the subject's model.
    """
    if model is None:
        return subject
    model = str(model) if isinstance(model, PathLike) else model
    return subject.share(("second model", model), lambda: _second(subject, model))


def _second(subject: Subject, model: Any) -> Subject:
    from attribeval.models.classifier import Classifier
    from attribeval.models.reading import Reading
    from attribeval.models.zoo import load_classifier

    make: Any = load_classifier if isinstance(model, str) else Classifier
    task = "auto" if subject.classifier is None else subject.classifier.reading.task
    preprocess = getattr(subject.classifier, "preprocess", None)
    classifier = make(model, preprocess=preprocess, reading=Reading(task=task))
    if classifier.classes != subject.logits.shape[1]:
        raise AttribevalError(
            f"Expected a model with the {subject.logits.shape[1]} classes of the one explained. Received: "
            f"{classifier.classes} classes."
        )
    attributer = Attributer(classifier)

    def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        subject.passes += len(images)
        return attributer.answer(images)

    return Subject(subject.images, subject.targets, answer, subject.seeds)
