"""Random numbers that belong to an image and a sample, not to a place in a batch."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fold(seeds: np.ndarray, index: int | np.ndarray) -> np.ndarray:
    """Derive one new seed per seed (splitmix64 of seed + (index + 1) · golden ratio; Steele et al. 2014).

    Args:
        seeds: int32 (B, 2).
        index: Which derived seed, 0 or more, one for all or one per seed; different indices give independent seeds.

    Returns:
        int32 (B, 2).
    """
    state = np.ascontiguousarray(seeds, dtype=np.int32).view(np.uint64)[:, 0]
    with np.errstate(over="ignore"):
        state = state + np.uint64(index + 1) * _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state[:, None].view(np.int32)


def normal(seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float32 (B, *shape), one seed per row."""
    return _rows(seeds, shape, lambda generator, out: generator.standard_normal(out=out, dtype=np.float32))


def uniform(seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 (B, *shape), one seed per row."""
    return _rows(seeds, shape, lambda generator, out: generator.random(out=out, dtype=np.float32))


def generators(seeds: np.ndarray) -> list[np.random.Generator]:
    """One NumPy generator per seed."""
    entropies = np.ascontiguousarray(seeds, dtype=np.int32).view(np.uint32).tolist()
    return [np.random.Generator(np.random.SFC64(entropy)) for entropy in entropies]


def _rows(
    seeds: np.ndarray, shape: tuple[int, ...], fill: Callable[[np.random.Generator, np.ndarray], object]
) -> np.ndarray:
    """Rows drawn on all cores: NumPy's generators release the lock, and are faster here than TensorFlow's."""
    out = np.empty((len(seeds), *shape), np.float32)
    list(_threads().map(fill, generators(seeds), out))
    return out


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="attribeval-random")
