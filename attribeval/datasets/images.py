"""One image file, read the same way everywhere: its content decides the format, and what is wrong with it is said."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from attribeval.errors import AttribevalError

_ORIENTATION_TAG = 0x0112
# EXIF orientation (Exif 2.32, section 4.6.4.A) -> what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What it is instead, and what to do.
_NO_IMAGE: dict[type[BaseException], str] = {
    FileNotFoundError: "no such file. Check the path",
    IsADirectoryError: "a directory. Name a file in it, or read the folder with one of attribeval.datasets",
    UnidentifiedImageError: "its content is no image format that PIL knows. Remove it from the set or save it as PNG "
    "or JPEG",
}


def read_image(
    path: str | PathLike, size: tuple[int, int] | None = None, channels: int = 3, exif: bool = True
) -> np.ndarray:
    """Read an image file.

    The content decides the format, not the file name (one "JPEG" of ImageNet's training set is a PNG). Grey images are
    repeated over the channels, palettes are looked up, CMYK is converted (inverted first in JPEG, as Adobe writes it),
    16-bit values are scaled from 0–65535 to 0–255. An alpha channel is dropped, not painted on a background, which is
    what `keras.utils.load_img` does. Of an animation the first frame is read.

    Args:
        path: The file.
        size: (height, width) to resize the whole image to: bilinear, by PIL, on the 8-bit image (so with PIL's
            anti-aliasing when it shrinks). None: as it is.
        channels: 3 (RGB) or 1 (grey, ITU-R 601-2 luma).
        exif: Whether to turn the image upright by its EXIF orientation tag.

    Returns:
        float32 (H, W, channels), 0 to 255.

    Raises:
        AttribevalError: If there is no such file, it is a directory or no image, it is truncated or damaged, or it
            has more pixels than PIL's guard against decompression bombs allows.
    """
    if channels not in (1, 3):
        raise AttribevalError(f"Expected channels=3 (RGB) or channels=1 (grey). Received: channels={channels!r}.")
    with _opened(path) as image:
        image.load()
        return _to_array(image, repr(str(Path(path).absolute())), size, channels, exif)


def from_pil(
    image: Image.Image, size: tuple[int, int] | None = None, channels: int = 3, exif: bool = True
) -> np.ndarray:
    """Convert a PIL image as `read_image` converts a file; the image is not changed."""
    return _to_array(image, "a PIL image", size, channels, exif)


def _to_array(image: Image.Image, what: str, size: tuple[int, int] | None, channels: int, exif: bool) -> np.ndarray:
    orientation = image.getexif().get(_ORIENTATION_TAG, 1) if exif else 1
    image = _to_8_bit(image, what).convert("RGB" if channels == 3 else "L")
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if size is not None:
        height, width = _checked_size(size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32).reshape(image.height, image.width, channels)


def image_size(path: str | PathLike) -> tuple[int, int]:
    """(height, width) of an image file as stored, without decoding it and without regard to EXIF."""
    with _opened(path) as image:
        return image.height, image.width


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a float image bilinearly, each channel by itself, with the geometry of `read_image(size=)`.

    PIL's bilinear filter: pixel centres at half-integers, and the triangle widens when the image shrinks. Values of
    (H, W, C), of any range, become float32 (height, width, C), and are not rounded or clipped.
    """
    height, width = _checked_size(size)
    array = np.asarray(array)
    if array.ndim != 3 or array.size == 0:
        raise AttribevalError(f"Expected an image of shape (H, W, C) with values in it. Received: {array.shape}.")
    planes = [np.ascontiguousarray(array[..., c], dtype=np.float32) for c in range(array.shape[2])]
    resized = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in planes]
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in resized], axis=-1)


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(n) for n in size)
        ok = (height, width) == tuple(size) and height > 0 and width > 0
    except (TypeError, ValueError):
        ok = False
    if not ok:
        raise AttribevalError(f"Expected size=(height, width), two positive ints. Received: size={size!r}.")
    return height, width


@contextmanager
def _opened(path: str | PathLike) -> Iterator[Image.Image]:
    """Open an image; whatever PIL raises while it is open becomes an `AttribevalError` that names the file."""
    where = repr(str(Path(path).absolute()))
    try:
        with Image.open(path) as image:
            yield image
    except AttribevalError:
        raise
    except tuple(_NO_IMAGE) as error:
        raise AttribevalError(f"Expected an image file. Received {where}: {_NO_IMAGE[type(error)]}.") from error
    except Image.DecompressionBombError as error:
        raise AttribevalError(
            f"Refused {where}: {error} If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS; otherwise remove it "
            "from the set."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # what PIL's decoders raise
        raise AttribevalError(
            f"Could not read the image {where}, it is truncated, damaged or not readable ({error}). Fetch it again "
            "or remove it from the set."
        ) from error


def _to_8_bit(image: Image.Image, what: str) -> Image.Image:
    """The image in a mode that PIL converts to RGB or grey without losing the scale of its values."""
    # A 16-bit PGM, and in older Pillow a 16-bit grey PNG, comes as mode "I".
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        # PIL's own conversion clips at 255. 65535 / 255 = 257.
        return Image.fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise AttribevalError(
            f"Expected 8- or 16-bit values. Received {what} with 32-bit values (PIL mode "
            f"{image.mode!r}), whose range is not known. Pass an array, or save the image with 8 bits."
        )
    # By way of RGBA a palette with transparency is converted without PIL's warning; the colours are the same.
    return image.convert("RGBA") if "transparency" in image.info else image
