"""Which layer a class activation map looks at: the last one whose output still is a picture."""

from __future__ import annotations

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.trace import LayerCall, Trace


def _is_spatial(call: LayerCall) -> bool:
    """Whether the output is a map (batch, height, width, channels) of more than one place."""
    shape = call.output.shape
    return shape.rank == 4 and (shape[1] is None or shape[1] > 1) and (shape[2] is None or shape[2] > 1)


def _only_passes_on(layer) -> bool:
    """Pooling loses resolution and the others change nothing: the layer before them is the better choice."""
    layers = tf.keras.layers
    passive = (
        layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout,
        layers.GaussianNoise, layers.ZeroPadding2D, layers.Cropping2D, layers.Identity, layers.Reshape,
        layers.UpSampling2D, layers.Rescaling,
    )  # fmt: skip
    return isinstance(layer, (*passive, tf.keras.Model))


def spatial_calls(trace: Trace) -> list[LayerCall]:
    """The layer calls of a trace whose outputs are maps, in order, containers (sub-models) left out."""
    return [c for c in trace.calls if _is_spatial(c) and not isinstance(c.layer, tf.keras.Model)]


def last_spatial_call(trace: Trace) -> LayerCall | None:
    """The last layer with a spatial output before the head, through nested models, or None.

    Layers that only pool, pad or pass on are left out: `block5_conv3` in VGG16, `mixed10` in InceptionV3,
    `conv5_block3_out` in ResNet50.
    """
    candidates = [c for c in spatial_calls(trace) if not _only_passes_on(c.layer)]
    return candidates[-1] if candidates else None


def find_target_layer(trace: Trace, wanted: str | None = None) -> LayerCall:
    """Find the layer for Grad-CAM and its family, by name or by `last_spatial_call`.

    Args:
        trace: A run of the model.
        wanted: A layer's name ("conv5_block3_out") or, where names repeat in nested models, its path
            ("backbone/conv5_block3_out").

    Returns:
        The call; the last one if the layer is called several times.

    Raises:
        AttribevalError: If no layer has a spatial output, or `wanted` is not one of those that do.
    """
    spatial = spatial_calls(trace)
    if wanted is None:
        last = last_spatial_call(trace)
        if last is None:
            raise AttribevalError(
                "This model has no layer with a spatial output (batch, height > 1, width > 1, channels), which class "
                "activation maps need. Use a method that works on the input, such as 'gradient'."
            )
        return last
    matches = [c for c in trace.calls if wanted in (c.path, c.name) and tf.is_tensor(c.output)]
    if not matches:
        raise unknown("target layer", wanted, {c.name for c in spatial} | {c.path for c in spatial})
    if not _is_spatial(matches[-1]):
        raise AttribevalError(
            f"Expected a target layer with a spatial output (batch, height > 1, width > 1, channels). "
            f"Received {wanted!r}, whose output is {tuple(matches[-1].output.shape)}. "
            f"Layers with one: {', '.join(dict.fromkeys(c.name for c in spatial))}."
        )
    if len({c.path for c in matches}) > 1:
        raise AttribevalError(
            f"Several layers are called {wanted!r}: give its path, one of {sorted({c.path for c in matches})}."
        )
    return matches[-1]
