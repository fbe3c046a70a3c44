"""Random numbers drawn on the device, for all images and samples of a micro-batch at once: one seed, one row.

A row's numbers depend on its seed and their places alone, so that no neighbour, batch or device changes them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from attribeval import _tf as tf

_GOLDEN = 0x9E3779B9


def bits(seeds: Any, count: int) -> Any:
    """Random 32-bit words, one row per seed, uint32 (R, count) from int32 (R, 2); within a row no word comes twice.

    A counter and the seed's two halves are mixed by a bijection of 32-bit words (a cascade of xor-shifts and
    multiplications, as the finalisers of hash functions are), put together (exclusive or, then an odd factor), and
    mixed again.
    """
    halves = tf.bitcast(tf.convert_to_tensor(seeds), tf.uint32)
    counter = _mixed(tf.constant(np.arange(count, dtype=np.uint32)) * _word(_GOLDEN))
    first = _mixed(halves[:, :1])
    odd = tf.bitwise.bitwise_or(_mixed(tf.bitwise.bitwise_xor(halves[:, 1:], first)), _word(1))
    return _mixed(tf.bitwise.bitwise_xor(counter[None], first) * odd)


def uniform(seeds: Any, shape: tuple[int, ...]) -> Any:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴: float32 tensor (R, *shape), one seed (int32 (R, 2)) per row."""
    words = tf.bitwise.right_shift(bits(seeds, math.prod(shape)), _word(8))
    return tf.reshape(_number(words) * 2.0**-24, [-1, *shape])


def normal(seeds: Any, shape: tuple[int, ...]) -> Any:
    """Standard normal numbers, float32 (R, *shape), two from each word: radius from one half, angle from the other.

    Box & Muller 1958. Radii and angles have 2¹⁶ values each, so that no number is beyond 4.86.
    """
    count = math.prod(shape)
    words = bits(seeds, -(-count // 2))
    radii = tf.sqrt(-2.0 * tf.math.log((_number(tf.bitwise.right_shift(words, _word(16))) + 0.5) * 2.0**-16))
    angles = _number(tf.bitwise.bitwise_and(words, _word(0xFFFF))) * (2 * math.pi * 2.0**-16)
    numbers = tf.concat([radii * tf.cos(angles), radii * tf.sin(angles)], axis=1)
    return tf.reshape(numbers[:, :count] if count % 2 else numbers, [-1, *shape])


def _mixed(words: Any) -> Any:
    """A bijection of 32-bit words in which every bit of a word changes about half of all bits."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, _word(shift))) * _word(factor)
    return tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, _word(16)))


def _word(value: int) -> Any:
    return tf.constant(value, tf.uint32)


def _number(words: Any) -> Any:
    """Words below 2³¹ as float32."""
    return tf.cast(tf.bitcast(words, tf.int32), tf.float32)
