"""What a model takes: the shape and the type of its image input, and the inputs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError


@dataclass(frozen=True)
class OtherInput:
    """An input beside the image: its name, its shape without the batch (None where a side is free), its type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class ImageInput:
    """What is known about a model's inputs.

    Attributes:
        shape: (height, width, channels) of the image input, None where a side is free.
        dtype: The float type that images are given in.
        declared: The integer type that the model declares and takes them to, or None.
        name: Of the image input, where the model has several; else None.
        others: The inputs beside it.
        structure: What the model is called on, names of inputs in their places; None: the image alone.
    """

    shape: tuple[int | None, int | None, int]
    dtype: str
    declared: str | None
    name: str | None = None
    others: tuple[OtherInput, ...] = ()
    structure: Any = None

    def together(self, x: Any, others: Mapping[str, Any]) -> Any:
        """What the model is called on: the image `x` and the other inputs, by name, in their places."""
        if self.structure is None:
            return x
        return tf.nest.map_structure(lambda name: others.get(name, x), self.structure)


def input_of(model: Any, wanted: str | int | None = None) -> ImageInput:
    """The image input of a model, and what stands beside it.

    Args:
        model: The model.
        wanted: Name or number of the image input, where there are several; None where there is one.

    Raises:
        AttribevalError: If the model was never built, has several inputs and none is named, no image input, or
            channels first; the message names the inputs.
    """
    if getattr(model, "inputs", None):
        return _of_functional(model, wanted)
    # A subclassed model has no inputs, but Keras remembers the shape that it was built with.
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise AttribevalError(
            "Expected a built model. Received one that has never seen an input: call it once on an image, or "
            "model.build((None, height, width, channels))."
        )
    structure = None
    if isinstance(shape, dict) or isinstance(shape[0], (list, tuple)):
        shapes = list(shape.values()) if isinstance(shape, dict) else list(shape)
        if len(shapes) != 1 or not isinstance(shapes[0], (list, tuple)):
            raise AttribevalError(
                f"Expected a model with one input, or a functional one, whose inputs have names. Received inputs of "
                f"shapes {shape}: name them, keras.Model(inputs, model(inputs)) with a keras.Input(..., name=...) "
                "for each."
            )
        structure = dict.fromkeys(shape, "image") if isinstance(shape, dict) else ["image"]
        shape = shapes[0]
    if wanted not in (None, 0):
        raise AttribevalError(f"Expected no inputs= for a model with one input without a name. Received: {wanted!r}.")
    dtype = model.variable_dtype
    image = _checked_shape(model, tuple(shape))
    return ImageInput(image, dtype if dtype in ("float32", "float64") else "float32", None, structure=structure)


def _of_functional(model: Any, wanted: str | int | None) -> ImageInput:
    tensors = list(model.inputs)
    taken = tensors[0] if isinstance(model, tf.keras.Sequential) else model.input
    names = _names(taken, tensors)
    chosen = _chosen(names, tensors, wanted)
    shape = _checked_shape(model, tuple(tensors[chosen].shape))
    others = tuple(
        _other(name, tensor) for k, (name, tensor) in enumerate(zip(names, tensors, strict=True)) if k != chosen
    )
    dtype = tf.keras.backend.standardize_dtype(tensors[chosen].dtype)
    return ImageInput(
        shape,
        dtype if dtype in ("float32", "float64") else "float32",
        dtype if "int" in dtype else None,
        names[chosen] if others else None,
        others,
        None if taken is tensors[0] else tf.nest.pack_sequence_as(taken, names),
    )


def _names(taken: Any, tensors: list[Any]) -> list[str]:
    """Keys of a dictionary of inputs, else the inputs' own names; numbers where these are not all different."""
    flat = isinstance(taken, dict) and all(any(value is one for one in tensors) for value in taken.values())
    of = {id(value): str(key) for key, value in taken.items()} if flat else {}
    names = [of.get(id(tensor), tensor.name) for tensor in tensors]
    return names if len(set(names)) == len(names) else [str(k) for k in range(len(names))]


def _chosen(names: list[str], tensors: list[Any], wanted: str | int | None) -> int:
    """Number of the image input."""
    listed = ", ".join(f"{name!r} {tuple(one.shape)}" for name, one in zip(names, tensors, strict=True))
    if wanted is None:
        if len(names) == 1:
            return 0
        likely = next((name for name, one in zip(names, tensors, strict=True) if len(one.shape) == 4), names[0])
        others = ", ".join(f'"{name}": ...' for name in names if name != likely)
        raise AttribevalError(
            f"Expected a model with one input, or inputs= to name the image of several. Received inputs {listed}: "
            f"Attributer(model, inputs={likely!r}), and extra={{{others}}} where images are given."
        )
    if isinstance(wanted, bool) or not isinstance(wanted, (str, int)):
        raise AttribevalError(f"Expected inputs as a name or number out of {listed}. Received: {wanted!r}.")
    if isinstance(wanted, str) and wanted not in names:
        raise AttribevalError(f"Expected inputs to name one of {listed}. Received: {wanted!r}.")
    if isinstance(wanted, int) and not 0 <= wanted < len(names):
        raise AttribevalError(f"Expected inputs from 0 to {len(names) - 1}: {listed}. Received: {wanted}.")
    return names.index(wanted) if isinstance(wanted, str) else wanted


def _other(name: str, tensor: Any) -> OtherInput:
    dtype = tf.keras.backend.standardize_dtype(tensor.dtype)
    if dtype == "string" or getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
        raise AttribevalError(
            f"Expected inputs of numbers, each of one shape. Received {name!r}, {dtype}, sparse or ragged: look its "
            "values up outside the model."
        )
    return OtherInput(name, tuple(tensor.shape[1:]), dtype)


def _checked_shape(model: Any, shape: tuple[int | None, ...]) -> tuple[int | None, int | None, int]:
    """(height, width, channels) of an image input."""
    _refuse_channels_first(model, shape)
    if len(shape) != 4 or (channels := shape[-1]) is None:
        raise AttribevalError(
            f"Expected an image input (batch, height, width, channels), channels last. Received: {shape}."
        )
    return shape[1], shape[2], channels


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
