"""How much a score owes to each concept: total Sobol' indices of masks on the concepts' coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attribeval.concepts.discovery.factorisation import coefficients
from attribeval.concepts.discovery.layer import Layer
from attribeval.methods.sobol import Design, total_indices


@dataclass(frozen=True, eq=False)
class Owed:
    """What the score of one image owes to its concepts.

    Attributes:
        indices: Total Sobol' index of each concept, (k,); zeros if no mask changes the score.
        effects: The score of all concepts minus that without this one, (k,), in score units.
        score: That of all concepts.
    """

    indices: np.ndarray
    effects: np.ndarray
    score: float


def importance(
    answer: Callable[[np.ndarray], np.ndarray], concepts: int, designs: int, generator: np.random.Generator
) -> Owed:
    """Total Sobol' indices S_i = E[V(Y | M without M_i)] / V(Y) of masks M, uniform on [0, 1]^k (Fel et al. 2023).

    Y = h((U ⊙ M) W), where a mask fades a concept at all places of the image alike; Jansen's estimator on a quasi-Monte
    Carlo design. If h is linear, Y = Σ_i M_i g_i, then S_i = g_i² / Σ_j g_j², and the effect of concept i is g_i.

    Args:
        answer: From masks (n, k) to scores (n,).
        concepts: k.
        designs: N, a power of 2; N (k + 1) + k + 1 masks are asked about.
        generator: Scrambles the design.
    """
    design = Design(concepts, designs, generator)
    masks = design.rows(np.arange(len(design)))
    left_out = 1 - np.eye(concepts)
    scores = answer(np.concatenate([masks, np.ones((1, concepts)), left_out])).astype(np.float64)
    whole = scores[len(design)]
    return Owed(total_indices(scores[: len(design)], concepts), whole - scores[len(design) + 1 :], float(whole))


def owed_by_images(
    layer: Layer,
    images: np.ndarray,
    directions: np.ndarray,
    target: int,
    designs: int,
    seed: int,
    done: Callable[[int], Any],
) -> tuple[list[Owed], np.ndarray]:
    """What the score of each image owes to each concept.

    Args:
        layer: Where the concepts are.
        images: Raw images (N, H, W, C).
        directions: W, (k, channels).
        target: The class.
        designs, seed: As in `importance`; each image has masks of its own.
        done: Told how many more images are done.

    Returns:
        One for each image; and the scores of the images as they are, (N,).
    """
    found, plain, size = [], [], (images.shape[1], images.shape[2])
    for item in range(len(images)):
        activations = layer.activations(images[item : item + 1])
        weights = coefficients(activations[0], directions)
        plain.append(layer.scores(activations, target, size)[0])
        answer = partial(_answer, layer, weights, directions, target, size)
        found.append(importance(answer, len(directions), designs, np.random.default_rng([seed, item])))
        done(1)
    return found, np.array(plain)


def _answer(
    layer: Layer, weights: np.ndarray, directions: np.ndarray, target: int, size: tuple[int, int], masks: np.ndarray
) -> np.ndarray:
    """The scores of one image whose concepts are faded by masks (n, k)."""
    parts = np.array_split(masks, -(-len(masks) // layer.capacity))
    return np.concatenate([layer.scores((weights * m[:, None, None, :]) @ directions, target, size) for m in parts])
