"""Random numbers that belong to an image and a sample, not to a place in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fold(seeds: np.ndarray, index: int) -> np.ndarray:
    """Derive one new seed per seed (splitmix64 of seed + (index + 1) · golden ratio; Steele et al. 2014).

    Args:
        seeds: int32 (B, 2).
        index: Which derived seed, 0 or more; different indices give independent seeds.

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


def normal(seeds: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Standard normal numbers, float32 tensor (B, *shape), one seed per row."""
    return tf.stack([tf.random.stateless_normal(shape, seed=seed) for seed in seeds])


def uniform(seeds: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Uniform numbers in [0, 1), float32 tensor (B, *shape), one seed per row."""
    return tf.stack([tf.random.stateless_uniform(shape, seed=seed) for seed in seeds])


def generators(seeds: np.ndarray) -> list[np.random.Generator]:
    """One NumPy generator per seed, for methods that draw on the CPU."""
    return [np.random.default_rng(np.asarray(seed, dtype=np.int32).view(np.uint32)) for seed in seeds]
