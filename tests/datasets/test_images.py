"""Reading one image: pixel values known by construction, TensorFlow's decoders as the second opinion, bad files."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets.images import image_size, read_image, resize
from attribeval.errors import AttribevalError


@pytest.fixture
def rgb() -> np.ndarray:
    """5 × 7, every pixel different, so that any flip or swap shows."""
    return np.random.default_rng(0).permutation(5 * 7 * 3).reshape(5, 7, 3).astype(np.uint8)


def png(bits: int, colour_type: int, rows: list[bytes], width: int) -> bytes:
    """A PNG written by hand from the specification (ISO 15948), for modes PIL cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def smooth(height: int = 32, width: int = 48) -> np.ndarray:
    """A picture that JPEG keeps within a few levels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 + 3 * x, 30 + 5 * y, 200 - 2 * x - y], axis=-1).astype(np.uint8)


# ---------------------------------------------------------------------------------------------- what is read


def test_rgb_png_is_read_exactly(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, rgb)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), rgb)
    assert image_size(tmp_path / "a.png") == (5, 7)


def test_jpeg_within_tolerance_and_as_tensorflow_reads_it(tmp_path):
    import tensorflow as tf

    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).save(path, quality=95, subsampling=0)
    read = read_image(path)
    assert np.abs(read - smooth()).max() <= 6
    theirs = tf.io.decode_jpeg(path.read_bytes(), channels=3, dct_method="INTEGER_ACCURATE").numpy()
    assert np.abs(read - theirs).max() <= 2


def test_content_decides_not_the_name(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "n02105855_2933.JPEG", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "n02105855_2933.JPEG"), rgb)


def test_grey_is_repeated_and_colour_becomes_luma(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(rgb[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png", channels=1), rgb[..., :1])
    Image.fromarray(rgb).save(tmp_path / "colour.png")
    luma = rgb @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    read = read_image(tmp_path / "colour.png", channels=1)
    assert read.shape == (5, 7, 1)
    assert np.abs(read[..., 0] - luma).max() <= 0.51


def test_one_bit(tmp_path):
    bits = np.array([[True, False, True], [False, False, True]])
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png", channels=1)[..., 0], bits * 255.0)


@pytest.mark.filterwarnings("error")
def test_palette_with_and_without_transparency(tmp_path):
    index = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    colours = np.array([[255, 0, 10], [1, 200, 30], [7, 8, 9]], np.uint8)
    image = Image.fromarray(index, mode="L").convert("P")
    image.putdata(index.ravel().tolist())
    image.putpalette(colours.ravel().tolist())
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "alpha.png", transparency=bytes([0, 128, 255]))
    image.save(tmp_path / "anim.gif")
    for name in ("plain.png", "alpha.png", "anim.gif"):
        with Image.open(tmp_path / name) as stored:
            assert stored.mode == "P"
        np.testing.assert_array_equal(read_image(tmp_path / name), colours[index], err_msg=name)


def test_alpha_is_dropped_as_keras_does(tmp_path, rgb):
    import keras

    alpha = np.arange(35, dtype=np.uint8).reshape(5, 7, 1) * 7
    Image.fromarray(np.concatenate([rgb, alpha], axis=-1)).save(tmp_path / "rgba.png")
    Image.fromarray(np.concatenate([rgb[..., :1], alpha], axis=-1)).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), rgb)
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), np.repeat(rgb[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(
        read_image(tmp_path / "rgba.png"), keras.utils.img_to_array(keras.utils.load_img(tmp_path / "rgba.png"))
    )


def test_16_bit_png_is_scaled(tmp_path):
    values = np.array([[0, 1, 128, 129], [257, 32768, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "pil.png")
    (tmp_path / "hand.png").write_bytes(png(16, 0, [row.astype(">u2").tobytes() for row in values], width=4))
    # 65535 → 255, so v / 257, rounded: 128 / 257 = 0.498 → 0; 129 / 257 = 0.502 → 1; 32768 / 257 = 127.502 → 128.
    expected = np.array([[0, 0, 0, 1], [1, 128, 255, 255]], np.float32)
    for name in ("pil.png", "hand.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name, channels=1)[..., 0], expected)
        np.testing.assert_array_equal(read_image(tmp_path / name)[..., 2], expected)


def test_16_bit_pgm_is_scaled(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n" + np.array([0, 257 * 100, 65535], ">u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm", channels=1)[0, :, 0], [0, 100, 255])


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)])
def test_16_bit_rgb_png_within_one_level(tmp_path, colour_type, channels):
    values = np.random.default_rng(1).integers(0, 65536, (3, 4, channels)).astype(np.uint16)
    rows = [row.astype(">u2").tobytes() for row in values]
    (tmp_path / "a.png").write_bytes(png(16, colour_type, rows, width=4))
    assert np.abs(read_image(tmp_path / "a.png") - values[..., :3] / 257).max() <= 1


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path):
    import tensorflow as tf

    path = tmp_path / "a.jpg"
    cmyk = np.concatenate([smooth(), np.full((32, 48, 1), 60, np.uint8)], axis=-1)
    Image.fromarray(cmyk, mode="CMYK").save(path, quality=98)
    assert b"Adobe" in path.read_bytes()[:200]
    read = read_image(path)
    by_hand = (255 - cmyk[..., :3].astype(float)) * (255 - cmyk[..., 3:].astype(float)) / 255  # R = (1 - C)(1 - K)
    assert np.abs(read - by_hand).max() <= 6
    assert np.abs(read - tf.io.decode_jpeg(path.read_bytes(), channels=3).numpy()).max() <= 4
    grey = read_image(path, channels=1)[..., 0]
    assert np.abs(grey - read @ np.array([0.299, 0.587, 0.114])).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    # Exif 2.32, 4.6.4.A: where the stored 0th row and 0th column lie in the upright picture.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],  # 0th row top, 0th column right
        3: lambda a: a[::-1, ::-1],  # bottom, right
        4: lambda a: a[::-1],  # bottom, left
        5: lambda a: a.swapaxes(0, 1),  # left, top
        6: lambda a: a[:, ::-1].swapaxes(0, 1),  # 0th row on the right side, 0th column at the top
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
        8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
    }[orientation]
    upright = smooth(16, 24)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, tolerance in [("a.png", 0), ("a.jpg", 6)]:
        image = Image.fromarray(np.ascontiguousarray(stored(upright)))
        image.save(tmp_path / name, exif=exif, **({"quality": 95, "subsampling": 0} if tolerance else {}))
        assert np.abs(read_image(tmp_path / name) - upright).max() <= tolerance
        assert np.abs(read_image(tmp_path / name, exif=False) - stored(upright)).max() <= tolerance
        assert image_size(tmp_path / name) == stored(upright).shape[:2]
        halved = read_image(tmp_path / name, size=(8, 12))  # size is that of the upright picture
        assert np.abs(halved - resize(upright, (8, 12))).max() <= tolerance + 1.01  # rounded after each axis


# ---------------------------------------------------------------------------------------------- resizing


def slow_bilinear(values: np.ndarray, n: int) -> np.ndarray:
    """Bilinear resampling of one axis (the first), written from its definition: a triangle, widened to shrink."""
    scale = len(values) / n
    width = max(scale, 1.0)
    out = np.zeros((n, *values.shape[1:]))
    for i in range(n):
        centre = (i + 0.5) * scale
        weights = np.array([max(0.0, 1 - abs(j + 0.5 - centre) / width) for j in range(len(values))])
        out[i] = np.tensordot(weights / weights.sum(), values, axes=1)
    return out


@pytest.mark.parametrize("size", [(5, 7), (11, 3), (2, 20), (1, 1), (9, 9)])
def test_resize_is_bilinear_with_pils_geometry(size):
    image = np.random.default_rng(2).normal(size=(5, 7, 4)) * 1000
    before = image.copy()
    expected = slow_bilinear(image, size[0]).swapaxes(0, 1)
    expected = slow_bilinear(expected, size[1]).swapaxes(0, 1)
    resized = resize(image, size)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [(11, 3), (3, 4), (20, 30)])
def test_read_image_resizes_the_whole_8_bit_image(tmp_path, rgb, size):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", size=size)
    assert read.shape == (*size, 3)
    np.testing.assert_array_equal(read, np.rint(read))
    # PIL rounds to 8 bits after each axis.
    assert np.abs(read - resize(rgb, size)).max() <= 1.01


# ---------------------------------------------------------------------------------------------- what is refused


def message(path, **options) -> str:
    with pytest.raises(AttribevalError) as caught:
        read_image(path, **options)
    assert re.search(re.escape(str(path)), str(caught.value))
    return str(caught.value)


def test_missing_directory_and_no_image(tmp_path):
    assert "no such file" in message(tmp_path / "nothing.png")
    assert "a directory" in message(tmp_path)
    (tmp_path / "text.png").write_text("I am no image")
    (tmp_path / "empty.png").write_bytes(b"")
    assert "no image format" in message(tmp_path / "text.png")
    assert "no image format" in message(tmp_path / "empty.png")
    with pytest.raises(AttribevalError, match="no such file"):
        image_size(tmp_path / "nothing.png")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated(tmp_path, format, part):
    buffer = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, format)
    path = tmp_path / "part.img"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * part)])
    said = message(path)
    assert "truncated" in said or (format == "TIFF" and "no image format" in said)  # a TIFF's directory is at its end


def test_damaged_png(tmp_path, rgb):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"IDAT")
    data[at + 6 : at + 16] = b"\0" * 10
    (tmp_path / "a.png").write_bytes(bytes(data))
    assert "damaged" in message(tmp_path / "a.png")


def test_decompression_bomb(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(8, 0, [b""] * 20_000, width=20_000))
    said = message(tmp_path / "bomb.png")
    assert "400000000 pixels" in said and "MAX_IMAGE_PIXELS" in said


def test_32_bit_values(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tiff")
    assert "32-bit" in message(tmp_path / "a.tiff")


@pytest.mark.parametrize("size", [(0, 3), (3,), 5, (2.5, 3), (3, -1), ("a", 2)])
def test_bad_size(tmp_path, rgb, size):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    for call in (lambda: read_image(tmp_path / "a.png", size=size), lambda: resize(rgb, size)):
        with pytest.raises(AttribevalError, match=r"size=\(height, width\)"):
            call()


def test_bad_channels_and_arrays(rgb):
    with pytest.raises(AttribevalError, match=r"channels=3 \(RGB\).*Received: channels=4"):
        read_image("a.png", channels=4)
    with pytest.raises(AttribevalError, match=r"\(H, W, C\).*\(5, 7\)"):
        resize(rgb[..., 0], (2, 2))
