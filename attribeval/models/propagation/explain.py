"""Compiled relevance of a classifier's score: at the pixels, or at a layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from attribeval import _tf as tf
from attribeval.models.classifier import Classifier
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.inline import inlined
from attribeval.models.propagation.places import Place
from attribeval.models.propagation.refusal import refusing
from attribeval.models.propagation.relevance import Relevance
from attribeval.models.propagation.rules import Rule
from attribeval.models.propagation.shared import Shared
from attribeval.models.target_layer import find_target_layer, spatial_calls
from attribeval.models.trace import Trace


def pixel_relevance(
    classifier: Classifier,
    x: Any,
    targets: Any,
    method: str,
    key: Hashable,
    choose: Callable[[Place], Rule],
    bounds: tuple[Any, Any] | None = None,
    shared: Shared | None = None,
) -> tuple[Any, Any]:
    """Relevance of every input value for score[target].

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        targets: Class indices, int32 (B,).
        method: Name of the method, for messages.
        key: What `choose` depends on; the same key is compiled once.
        choose: From the place of a layer to its rule.
        bounds: Smallest and largest model inputs, (B or 1, H, W, C): the first layers obey z^B. None: they do not.
        shared: See `Relevance`.

    Returns:
        Relevance (B, H, W, C) and the scores (B,), both in score units.
    """

    def build(x, targets, *bounds):
        trace, scores = inlined(*classifier.trace(x))
        start = scores * tf.one_hot(targets, classifier.classes, dtype=scores.dtype)
        with refusing(method, trace):
            relevance = Relevance(method, Path(x, scores), choose, bounds or None, shared).run(start)
        return tf.cast(relevance, x.dtype), tf.reduce_sum(start, axis=1)

    specs = [classifier.input_spec, tf.TensorSpec([None], tf.int32)] + [classifier.input_spec] * len(bounds or ())
    return classifier.compiled((method, key, bounds is None, shared), build, *specs)(x, targets, *(bounds or ()))


def layer_relevance(
    classifier: Classifier,
    x: Any,
    targets: Any,
    method: str,
    key: Hashable,
    choose: Callable[[Place], Rule],
    layer: str | None,
) -> Any:
    """How a relevance of 1 of the target is shared by the values of a layer.

    Args:
        classifier, x, targets, method, key, choose: As in `pixel_relevance`.
        layer: Name or path of a layer with a spatial output; None takes the output of the last pooling or stride before
            the target layer: the first of its size that all of the score goes through.

    Returns:
        Relevance (B, h, w, channels of the layer).
    """

    def build(x, targets):
        trace, scores = inlined(*classifier.trace(x))
        target = find_target_layer(trace, layer or classifier.target_layer)
        source = _behind_last_pooling(trace, x, scores, target.output) if layer is None else target.output
        start = tf.one_hot(targets, classifier.classes, dtype=scores.dtype)
        with refusing(method, trace):
            relevance = Relevance(method, Path(source, scores), choose).run(start)
        relevance = target.picture(relevance) if source is target.output else relevance
        return tf.cast(relevance, classifier.dtype)

    specs = classifier.input_spec, tf.TensorSpec([None], tf.int32)
    return classifier.compiled((method, key, layer), build, *specs)(x, targets)


def _behind_last_pooling(trace: Trace, x: Any, scores: Any, target: Any) -> Any:
    """The first of the smallest outputs up to the target that all of the score goes through; else the target."""
    if target.shape.rank != 4:  # tokens: no layer gives a picture of their grid
        return target
    until = Path(x, target)
    outputs = [call.output for call in spatial_calls(trace)]
    outputs = [output for output in outputs if output.name == target.name or until.consumers(output)] or [target]
    if any(None in output.shape[1:3].as_list() for output in outputs):
        return target
    path = Path(x, scores)
    smallest = min(output.shape[1:3].num_elements() for output in outputs)
    outputs = [output for output in outputs if output.shape[1:3].num_elements() == smallest]
    return next((output for output in outputs if path.all_through(output)), target)
