"""Whether a model ends as class activation mapping needs it: layer → global average pooling → one linear layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.models.target_layer import find_target_layer

# Their results know the shape of what goes in, not its values.
_SHAPE_ONLY = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}


def check_linear_head(classifier: Classifier, layer: str | None) -> bool:
    """Refuse a model whose scores are not an affine function of a layer's output alone.

    Shown on the graph, not by the names or types of layers: a function is affine where its derivative is the same
    everywhere, so no value of the layer (nor of the image) may go into the derivative of the scores. A ReLU straight
    after the layer is allowed: then the scores are affine in what the ReLU gives.

    Args:
        classifier: The model.
        layer: Name or path of a layer with a spatial output; None takes the classifier's target layer.

    Returns:
        Whether a ReLU stands between the layer and its pooling.

    Raises:
        AttribevalError: If there is no such layer, or the head is another one; the message says why.
    """
    wanted = layer or classifier.target_layer

    answer: list[bool] = []

    def inspect(x: Any) -> Any:
        trace, scores = classifier.trace(x)
        target = find_target_layer(trace, wanted)
        if target.grid is not None and target.grid.extra:
            raise head_error(wanted, "tokens beside its picture (a class token, registers) go into the logits, too")
        features, rectified = _behind_rectifier(target.output, scores)
        derivative = tf.gradients(scores, features)[0]
        if derivative is None:
            raise head_error(wanted, "the logits have no derivative with respect to that layer")
        if _reaches(scores, [x], stop_at=features):
            raise head_error(wanted, "the logits see the image through a second path, around that layer")
        if _reaches(derivative, [x, features]):
            raise head_error(
                wanted, "the logits are not a linear function of it (another activation or maximum stands between)"
            )
        answer.append(rectified)
        return x

    def build() -> Any:
        with tf.init_scope():  # the model is traced to be looked at, and never run
            tf.function(inspect, input_signature=[classifier.input_spec], autograph=False).get_concrete_function()
        return tf.constant(answer[-1])

    return bool(classifier.compiled(("linear_head", wanted), build)())


def head_error(layer: str | None, reason: str) -> AttribevalError:
    """The error for a model that class activation mapping cannot explain."""
    return AttribevalError(
        f"Expected a model in which layer {layer!r} goes through global average pooling and one linear layer to the "
        f"logits, as cam needs it (Zhou et al. 2016). Received one where {reason}. "
        "Use method='gradcam', which needs no such head."
    )


def _behind_rectifier(features: Any, scores: Any) -> tuple[Any, bool]:
    """The tensor behind a ReLU, if one is all that reads the features on the way to the scores; and whether one is."""
    used = {tensor.op for tensor in _above([scores])}
    tensor = features
    while True:
        readers = [op for op in tensor.consumers() if op in used]
        if len(readers) != 1 or readers[0].type not in ("Identity", "Relu"):
            return features, False
        tensor = readers[0].outputs[0]
        if readers[0].type == "Relu":
            return tensor, True


def _reaches(tensor: Any, sources: Iterable[Any], stop_at: Any = None) -> bool:
    """Whether the values of one of the sources go into a tensor, other than through `stop_at`."""
    seen = _above([tensor], stop_at)
    return any(any(one is source for one in seen) for source in sources)


def _above(tensors: list[Any], stop_at: Any = None) -> list[Any]:
    """The tensors themselves and all whose values go into them, not looking behind `stop_at`."""
    seen: dict[int, Any] = {}
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or tensor is stop_at:
            continue
        seen[id(tensor)] = tensor
        if tensor.op.type not in _SHAPE_ONLY:
            waiting.extend(tensor.op.inputs)
    return list(seen.values())
