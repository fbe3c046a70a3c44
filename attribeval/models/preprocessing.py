"""From raw pixels (RGB, 0 to 255) to a network's own input, by the name of the convention or of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribeval.errors import AttribevalError, unknown


@dataclass(frozen=True)
class Preprocessing:
    """`(pixels[..., order] / scale - mean) / std`: what all conventions of the field are.

    A pure function of its argument; `keras.applications` has the same formulas but writes into float arrays in place.

    Attributes:
        name: What it is called.
        scale: Divisor of the raw pixels.
        mean: Subtracted after scaling, one number or one per channel (in the network's channel order).
        std: Divisor after that, one number or one per channel.
        bgr: Whether the network takes its channels as blue, green, red.
    """

    name: str
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def __call__(self, images):
        """Apply to raw images (..., channels), NumPy or tensor; float32 in, float32 out, the argument unchanged."""
        if self.bgr:
            images = images[..., ::-1]
        return (images / np.float32(self.scale) - np.float32(self.mean)) / np.float32(self.std)

    def undo(self, inputs):
        """Raw images (..., channels) of network inputs: the inverse of a call."""
        pixels = (inputs * np.float32(self.std) + np.float32(self.mean)) * np.float32(self.scale)
        return pixels[..., ::-1] if self.bgr else pixels

    def restore_channels(self, maps):
        """Put maps (..., channels) of the network's input back into the channel order of the raw images."""
        return maps[..., ::-1] if self.bgr and maps.shape[-1] == 3 else maps


_CONVENTIONS = {
    "none": Preprocessing("none"),
    "unit": Preprocessing("unit", scale=255.0),
    "tf": Preprocessing("tf", scale=127.5, mean=(1.0,)),
    "torch": Preprocessing("torch", scale=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": Preprocessing("caffe", mean=(103.939, 116.779, 123.68), bgr=True),
    "squeezenet": Preprocessing("squeezenet", mean=(104.0, 117.0, 123.0), bgr=True),
}
# Which convention the networks of keras.applications were trained with.
_NETWORKS = {
    "caffe": ("vgg16", "vgg19", "resnet", "resnet50", "resnet101", "resnet152"),
    "tf": ("inception_v3", "xception", "inception_resnet_v2", "mobilenet", "mobilenet_v2", "nasnet", "resnet_v2"),
    "torch": ("densenet",),
    "none": ("efficientnet", "efficientnet_v2", "convnext", "mobilenet_v3"),
}
NAMES: dict[str, Preprocessing] = _CONVENTIONS | {
    network: _CONVENTIONS[convention] for convention, networks in _NETWORKS.items() for network in networks
}


def preprocessing_name(preprocess: Callable | None) -> str:
    """What to call a preprocessing: the convention, the function, or that there is none."""
    if preprocess is None:
        return "none"
    return str(getattr(preprocess, "name", None) or getattr(preprocess, "__name__", None) or type(preprocess).__name__)


def find_preprocessing(preprocess: str | Callable | None) -> Callable | None:
    """Turn what a user passes as `preprocess=` into a function of raw images.

    Args:
        preprocess: A name of `NAMES`, any function of a float32 array (N, H, W, C) that returns the network's
            input of the same shape, or None when the images already are the network's own input.

    Returns:
        A `Preprocessing`, the function itself, or None.

    Raises:
        AttribevalError: If the name is unknown (the nearest are listed).

    Example:
        >>> black = np.zeros((1, 1, 1, 3), np.float32)
        >>> find_preprocessing("caffe")(black).round(1).tolist()  # blue, green, red: black is far from 0
        [[[[-103.9000015258789, -116.80000305175781, -123.69999694824219]]]]
    """
    if preprocess is None or isinstance(preprocess, Preprocessing):
        return preprocess
    if isinstance(preprocess, str):
        if preprocess not in NAMES:
            raise unknown("preprocessing", preprocess, NAMES)
        return NAMES[preprocess]
    if not callable(preprocess):
        raise AttribevalError(
            f"Expected preprocess to be a name, a function or None. Received: {type(preprocess).__name__}."
        )
    return preprocess


def check_channels(preprocess: Callable | None, channels: int) -> None:
    """Raise `AttribevalError` if a convention of colour images, a number for each channel, meets a grey model."""
    if not isinstance(preprocess, Preprocessing):
        return
    wanted = max(len(preprocess.mean), len(preprocess.std))
    if wanted not in (1, channels):
        alike = [name for name, one in _CONVENTIONS.items() if len(one.mean) == len(one.std) == 1]
        raise AttribevalError(
            f"Expected a model with {wanted} channels for preprocess={preprocess.name!r}, which has a number for each. "
            f"Received a model with {channels}: give the function that it was trained with, or {', '.join(alike)}, "
            "which treat all channels alike."
        )
