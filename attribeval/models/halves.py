"""A model cut in two at a layer, f = h ∘ g: images give activations, and any activations give scores."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.models.propagation.graph import Path
from attribeval.models.recording import copied
from attribeval.models.target_layer import find_target_layer
from attribeval.models.trace import Trace, needed


def activations(classifier: Classifier, x: Any, layer: str) -> Any:
    """g(x): a layer's output.

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        layer: Name or path of a layer whose output is (batch, height, width, channels).

    Returns:
        Tensor (B, h, w, channels).

    Raises:
        AttribevalError: If there is no such layer, or its output is of another shape; or if the model has inputs
            beside the image.
    """
    _check_inputs(classifier)

    def build(x: Any) -> Any:
        trace, _ = classifier.trace(x)
        return tf.cast(_tensor(trace, layer), classifier.dtype)

    return classifier.compiled(("activations", layer), build, classifier.input_spec)(x)


def scores_of(classifier: Classifier, given: Any, layer: str, size: tuple[int, int]) -> Any:
    """h(a): what the layers behind make of activations.

    Args:
        classifier: The model.
        given: Activations (B, h, w, channels).
        layer: As in `activations`.
        size: Height and width of the images that such activations come from.

    Returns:
        Scores to be explained, (B, classes).

    Raises:
        AttribevalError: As `activations`; or if the score also depends on the image by a way around the layer.
    """
    _check_inputs(classifier)

    def build(a: Any) -> Any:
        # An image only for its size, where the layers behind ask for the number of images: nothing is computed of it.
        x = tf.zeros([tf.shape(a)[0], *size, classifier.input_shape[2]], classifier.dtype)
        trace, scores = classifier.trace(x)
        tensor = _tensor(trace, layer)
        if not Path(x, scores).all_through(tensor):
            raise AttribevalError(
                f"Expected a layer through which all of the score passes, such as {classifier.target_layer!r}. "
                f"Received {layer!r}, which the score can go around."
            )
        return _continued(scores, tensor, tf.cast(a, tensor.dtype))

    spec = tf.TensorSpec([None, *given.shape[1:]], classifier.dtype)
    return classifier.compiled(("scores_of", layer, size, tuple(given.shape[1:])), build, spec)(
        tf.cast(given, classifier.dtype)
    )


def _check_inputs(classifier: Classifier) -> None:
    if classifier.extra:
        raise AttribevalError(
            f"Expected a model with one input. Received {classifier.name!r} with others: {classifier.extra.names}."
        )


def _tensor(trace: Trace, layer: str) -> Any:
    tensor = find_target_layer(trace, layer).output
    if tensor.shape.rank != 4:
        raise AttribevalError(
            f"Expected a layer whose output is (batch, height, width, channels). Received {layer!r}: {tensor.shape}."
        )
    return tensor


def _continued(scores: Any, tensor: Any, value: Any) -> Any:
    """The scores if the tensor had this value: a copy of all operations behind it."""
    graph = tf.compat.v1.get_default_graph()
    known = {tensor.name: value}
    for op in needed([scores]):
        if op is not tensor.op and any(one.name in known for one in op.inputs):
            _, outputs = copied(graph, op, [known.get(one.name, one) for one in op.inputs], None)
            known.update(zip((one.name for one in op.outputs), outputs, strict=True))
    return known[scores.name]
