"""What a model takes: the shape and the type of its one image input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError


def input_of(model: Any) -> tuple[tuple[int | None, int | None, int], str, str | None]:
    """Shape and dtype of a model's one image input.

    Returns:
        (height, width, channels), None where a side is free; the float type that images are given in; and the integer
        type that the model declares and takes them to, or None.

    Raises:
        AttribevalError: If the model was never built, has several inputs, no image input, or channels first.
    """
    inputs = getattr(model, "inputs", None)
    # A subclassed model has no inputs, but Keras remembers the shape that it was built with.
    shape = model.input_shape if inputs else (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise AttribevalError(
            "Expected a built model. Received one that has never seen an input: call it once on an image, or "
            "model.build((None, height, width, channels))."
        )
    if isinstance(shape, (dict, list)) or isinstance(shape[0], (list, tuple)):
        shapes = list(shape.values()) if isinstance(shape, dict) else list(shape)
        if len(shapes) != 1 or not isinstance(shapes[0], (list, tuple)):
            raise AttribevalError(f"Expected a model with one input. Received inputs of shapes {shape}.")
        shape = shapes[0]
    shape = tuple(shape)
    _refuse_channels_first(model, shape)
    if len(shape) != 4 or shape[-1] is None:
        raise AttribevalError(
            f"Expected an image input (batch, height, width, channels), channels last. Received: {shape}."
        )
    dtype = tf.keras.backend.standardize_dtype(inputs[0].dtype) if inputs else model.variable_dtype
    declared = dtype if inputs and "int" in dtype else None
    return shape[1:], dtype if dtype in ("float32", "float64") else "float32", declared


def _refuse_channels_first(model: Any, shape: tuple[int | None, ...]) -> None:
    """Read as channels last, (batch, 3, 224, 224) would be a picture of 3 rows with 224 channels."""
    if len(shape) != 4 or shape[1] not in (1, 2, 3, 4) or (shape[3] is not None and shape[3] <= 4):
        return
    first = any(getattr(layer, "data_format", None) == "channels_first" for layer in _layers(model))
    if first or (shape[1] in (1, 3) and shape[2] == shape[3]):
        channels, height, width = shape[1:]
        raise AttribevalError(
            f"Expected an image input (batch, height, width, channels), channels last. Received {shape}, channels "
            f"first: keras.Sequential([keras.Input(({height}, {width}, {channels})), keras.layers.Permute((3, 1, 2)), "
            "model]) takes channels last."
        )


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)
