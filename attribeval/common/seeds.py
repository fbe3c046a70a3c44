"""Random numbers that belong to an image and a sample, not to a place in a batch."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np

from attribeval.errors import AttribevalError

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def image_seeds(raw: np.ndarray, seed: int) -> np.ndarray:
    """One seed per image, from its pixels and the user's seed: the same in any batch, order or part of a data set.

    Args:
        raw: Images, float32 (B, H, W, C).
        seed: The user's seed, any int.

    Returns:
        int32 (B, 2), as TensorFlow's stateless random functions take them.
    """
    key = int(seed).to_bytes(16, "little", signed=True)
    digests = [hashlib.blake2b(np.ascontiguousarray(image), digest_size=8, key=key).digest() for image in raw]
    return np.frombuffer(b"".join(digests), dtype="<i4").reshape(-1, 2).astype(np.int32)


def read_seeds(seed: int | np.ndarray, n: int) -> int | np.ndarray:
    """The user's seed as an int, or one seed per image as int32 (n, 2)."""
    if np.ndim(seed) == 0:
        return int(seed)
    array = np.asarray(seed)
    if array.shape != (n, 2) or array.dtype != np.int32:
        raise AttribevalError(
            f"Expected seed as one int, or int32 ({n}, 2), a seed per image. Received: {array.dtype} {array.shape}."
        )
    return array


def fold(seeds: np.ndarray, index: int | np.ndarray) -> np.ndarray:
    """Derive one new seed per seed, int32 (B, 2) (splitmix64 of seed + (index + 1) · golden ratio; Steele et al. 2014).

    Different indices, 0 or more, one for all or one per seed, give independent seeds.
    """
    state = np.ascontiguousarray(seeds, dtype=np.int32).view(np.uint64)[:, 0]
    with np.errstate(over="ignore"):
        state = state + np.uint64(index + 1) * _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state[:, None].view(np.int32)


def normal(seeds: np.ndarray, centres: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Normal numbers around values, one seed per row, from pairs of uniform numbers (Box & Muller 1958).

    NumPy computes its functions on many numbers at a time; its own normal numbers come one by one and take three times
    as long, as much as 5 % of a small network's gradient.

    Means and standard deviations, float (B, ...) and (B,), are taken in turn: row r of (R, ...) is around r mod B.
    """

    def fill(generator: np.random.Generator, row: np.ndarray, centre: np.ndarray, spread: float) -> None:
        chances, turns = generator.random((2, -(-row.size // 2)), dtype=np.float32)
        radii, angles = spread * np.sqrt(-2 * np.log(1 - chances)), np.float32(2 * np.pi) * turns
        first, second = np.split(row.reshape(-1), [len(radii)])
        np.multiply(radii, np.cos(angles), out=first)
        np.multiply(radii[: len(second)], np.sin(angles[: len(second)]), out=second)
        row += centre

    out = np.empty((len(seeds), *centres.shape[1:]), centres.dtype)
    return _rows(seeds, out, fill, cycle(centres), cycle(spreads))


def uniform(seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 (B, *shape), one seed per row."""
    out = np.empty((len(seeds), *shape), np.float32)
    return _rows(seeds, out, lambda generator, row: generator.random(out=row, dtype=np.float32))


def generators(seeds: np.ndarray) -> list[np.random.Generator]:
    """One NumPy generator per seed."""
    entropies = np.ascontiguousarray(seeds, dtype=np.int32).view(np.uint32).tolist()
    return [np.random.Generator(np.random.SFC64(entropy)) for entropy in entropies]


def _rows(seeds: np.ndarray, out: np.ndarray, fill: Callable[..., object], *more: Iterable) -> np.ndarray:
    """Fill the rows of `out` on all cores, as NumPy lets go of the lock: fill(generator, row, one of each of more)."""
    list(_threads().map(fill, generators(seeds), out, *more))
    return out


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="attribeval-random")
