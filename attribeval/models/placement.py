"""Where the cells of a class activation map lie on the image, computed from strides and paddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.models.layout import grid_of
from attribeval.models.layout_ops import layouts
from attribeval.models.propagation.graph import Path
from attribeval.models.target_layer import find_target_layer


def enlarge(classifier: Classifier, maps: Any, size: tuple[int, int], layer: str | None = None) -> Any:
    """Maps of a layer, bilinear between the pixels on which its cells are centred.

    A cell's centre is the middle of all pixels that it can see (its receptive field) if it could see beyond the edges.
    This is geometry: a trained net may weigh its receptive field unevenly, and look elsewhere than at its middle.
    Plain enlargement takes cells to lie evenly over the image instead, which strided layers that pad on one side only,
    padding and cropping prevent. Beyond the outermost centres a map goes on with its outermost values.

    Args:
        classifier: The model.
        maps: (B, h, w, c), one value per cell of the layer.
        size: Height and width of the images.
        layer: Name or path of the layer; None takes the classifier's target layer.

    Returns:
        float32 tensor (B, H, W, c).

    Raises:
        AttribevalError: If there is no such layer, or an operation before it hides where its cells lie.
    """
    down, across = interpolation(classifier, size, tuple(maps.shape[1:3]), layer)
    return tf.einsum("ph,bhwc,qw->bpqc", down, tf.cast(maps, tf.float32), across)


def interpolation(
    classifier: Classifier, size: tuple[int, int], cells: tuple[int, int], layer: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The weights by which `enlarge` interpolates `cells` (h, w): float32 (H, h) down the image and (W, w) across."""
    places = centres(classifier, size, layer)
    down, across = (_between(*one) for one in zip(size, places, cells, strict=True))
    return down, across


def centres(
    classifier: Classifier, size: tuple[int, int], layer: str | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centre of a layer's first cell and distance of its cells, in pixels (0: the middle of the first pixel).

    Args:
        classifier, size, layer: As in `enlarge`.

    Returns:
        (start, step) down and across. Where branches of different shifts meet, the start is their mean.
    """
    wanted = layer or classifier.target_layer

    def build() -> Any:
        found: list[float] = []

        def inspect(x: Any) -> Any:
            trace, _ = classifier.trace(x)
            tensor = find_target_layer(trace, wanted).output
            grid = grid_of(layouts(Path(trace.input, tensor))[tensor.name])
            if grid is None or grid.rows.start is None or grid.columns.start is None:
                raise AttribevalError(
                    f"Expected a layer whose cells' places follow from strides and paddings, as align=True needs. "
                    f"Received {wanted!r}, behind an operation that hides them: use align=False."
                )
            found.extend([grid.rows.start, grid.rows.step, grid.columns.start, grid.columns.step])
            return x

        with tf.init_scope():  # the model is traced to be looked at, and never run
            spec = tf.TensorSpec([None, *size, classifier.input_shape[-1]], classifier.dtype)
            tf.function(inspect, input_signature=[spec], autograph=False).get_concrete_function()
        return tf.constant(found[-4:], tf.float64)

    start, step, first, stride = classifier.compiled(("centres", wanted, tuple(size)), build)().numpy().tolist()
    return (start, step), (first, stride)


def _between(pixels: int, cells: tuple[float, float], n: int) -> np.ndarray:
    """Weights of linear interpolation, float32 (pixels, n)."""
    start, step = cells
    place = np.clip((np.arange(pixels) - start) / step, 0, n - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n))).astype(np.float32)
