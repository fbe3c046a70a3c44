"""Compiled derivatives of a classifier's score. The batch size is free: nothing is traced twice."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models import relu_rules
from attribeval.models.classifier import Classifier
from attribeval.models.target_layer import find_target_layer


def _target_spec() -> Any:
    return tf.TensorSpec([None], tf.int64)


def gradient(classifier: Classifier, x: Any, targets: Any, rule: str = "plain") -> Any:
    """d score[target] / d x, for each image by itself; no derivative of any parameter is computed.

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        targets: Class indices, int32 or int64 (B,); see `going_in.GoingIn.asked`.
        rule: How rectifiers pass the gradient on: "plain" (the derivative), "guided" or "deconv"; see `relu_rules`.

    Returns:
        Tensor (B, H, W, C), in score units per unit of the model's input.

    Raises:
        AttribevalError: If the model breaks the path, or has no rectifier, or one that the rule cannot reach.
    """

    return gradient_and_scores(classifier, x, targets, rule)[0]


def gradient_and_scores(classifier: Classifier, x: Any, targets: Any, rule: str = "plain") -> tuple[Any, Any]:
    """As `gradient`, from the same passes also the scores, (B, classes); a target of −1 is the predicted class."""

    def build(x, targets):
        with relu_rules.applied(rule):
            _, scores = classifier.trace(x)
        relu_rules.check(rule, x, scores)
        (derivative,) = tf.gradients(scores, x, _explained(scores, targets))
        return _checked(derivative, "its input"), scores

    return classifier.compiled(("gradient", rule), build, classifier.input_spec, _target_spec())(x, _wide(targets))


def activations_and_gradient(classifier: Classifier, x: Any, targets: Any, layer: str | None = None) -> tuple[Any, Any]:
    """A layer's output A and d score[target] / d A, from one forward and one backward pass.

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        targets: Class indices, int32 or int64 (B,).
        layer: Name or path of a layer with a spatial output; None takes the classifier's target layer.

    Returns:
        Two tensors (B, h, w, channels of the layer).

    Raises:
        AttribevalError: If there is no such layer.
    """
    return activations_gradient_and_scores(classifier, x, targets, layer)[:2]


def activations_gradient_and_scores(
    classifier: Classifier, x: Any, targets: Any, layer: str | None = None
) -> tuple[Any, Any, Any]:
    """As `activations_and_gradient`, also the scores, (B, classes); a target of −1 is the predicted class."""
    wanted = layer or classifier.target_layer

    def build(x, targets):
        trace, scores = classifier.trace(x)
        target = find_target_layer(trace, wanted)
        (derivative,) = tf.gradients(scores, target.output, _explained(scores, targets))
        derivative = target.picture(_checked(derivative, f"layer {wanted!r}"))
        activations = target.picture(target.output)
        return tf.cast(activations, classifier.dtype), tf.cast(derivative, classifier.dtype), scores

    key = ("activations_and_gradient", wanted)
    return classifier.compiled(key, build, classifier.input_spec, _target_spec())(x, _wide(targets))


def _wide(targets: Any) -> Any:
    return tf.cast(targets, tf.int64)


def _explained(scores: Any, targets: Any) -> Any:
    """1 at the target of each image, 0 elsewhere, (B, classes): which scores are derived; −1 stands for the highest.

    Integers of 32 bits are TensorFlow's for the host, and so are those with which a gather is derived: on a GPU the
    backward pass would wait for the forward pass to end.
    """
    targets = tf.where(targets < 0, tf.argmax(scores, 1), targets)
    return tf.one_hot(targets, scores.shape[1], dtype=scores.dtype)


def _checked(derivative: Any, of: str) -> Any:
    if derivative is None:
        raise AttribevalError(
            f"The score of this model has no derivative with respect to {of}: the model breaks the path "
            "(e.g. argmax, stop_gradient, an integer cast). Use a method that needs the model's answers only, such as "
            "'rise', 'lime' or 'occlusion'."
        )
    return derivative
