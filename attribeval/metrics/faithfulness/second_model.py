"""A model beside the one explained, such as a fine-tuned copy, asked about the same raw images."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.errors import AttribevalError
from attribeval.metrics.subject import Subject

Ask = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def asked(subject: Subject, model: Any) -> Ask:
    """What answers for a benchmark's option `model`.

    Args:
        subject: The images and the model explained; the other model gets raw images through the same preprocessing.
        model: None (the subject's own model), a Keras model, or the path of a file, loaded in safe mode.

    Returns:
        Raw images (B, H, W, C) -> (logits, probabilities), float64 (B, classes) each. Counts as the subject's passes.

    Raises:
        AttribevalError: If it is no image classifier, cannot be loaded, or has other classes than the subject's model.
    """
    if model is None:
        return subject.ask
    attributer = subject.share(("second model", _key(model)), lambda: Attributer(_classifier(subject, model)))

    def ask(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        subject.passes += len(images)
        logits, probabilities = attributer.answer(images)
        return logits.astype(np.float64), probabilities.astype(np.float64)

    return ask


def asked_clean(subject: Subject, model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities of the images themselves by that model, (N, classes) each, asked for once."""
    if model is None:
        return subject.logits, subject.probabilities
    return subject.share(("second model", _key(model), "clean"), lambda: asked(subject, model)(subject.images))


def _key(model: Any) -> Any:
    return str(model) if isinstance(model, (str, PathLike)) else model


def _classifier(subject: Subject, model: Any) -> Any:
    from attribeval.models.classifier import Classifier
    from attribeval.models.zoo import load_classifier

    preprocess = getattr(subject.classifier, "preprocess", None)
    make: Any = load_classifier if isinstance(model, (str, PathLike)) else Classifier
    task = getattr(subject.classifier, "asked_task", "auto")
    classifier = make(model, preprocess=preprocess, task=task)
    if classifier.classes != subject.logits.shape[1]:
        raise AttribevalError(
            f"Expected a model with the {subject.logits.shape[1]} classes of the one explained. Received: "
            f"{classifier.classes} classes."
        )
    return classifier
