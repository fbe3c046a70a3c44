"""A small convolutional classifier, untrained: for data sets of small images, and for trying things out."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError


def small_net(input_shape: tuple[int, int, int], classes: int, widths: tuple[int, ...] = (16, 32, 48, 64)) -> Any:
    """Raw pixels 0 to 255 → probabilities: a 3 × 3 convolution, BatchNorm, ReLU and 2 × 2 maximum per width.

    Args:
        input_shape: (H, W, C).
        classes: Number of classes.
        widths: Channels of each stage; the last one is not halved, but averaged over all places.

    Returns:
        An untrained, uncompiled Keras model.

    Raises:
        AttribevalError: If a side is too short to be halved between the stages.
    """
    least = 2 ** (len(widths) - 1)
    if any(side is not None and side < least for side in input_shape[:2]):
        raise AttribevalError(
            f"Expected images of {least} pixels a side or more for {len(widths)} stages. Received: {input_shape}."
        )
    layers = tf.keras.layers
    inputs = tf.keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    for stage, width in enumerate(widths, start=1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(x)
        if stage < len(widths):
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    outputs = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return tf.keras.Model(inputs, outputs, name="small_net")
