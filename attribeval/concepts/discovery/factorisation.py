"""Activations as sums of a few directions, by non-negative factors, and how much a score owes to each of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval.concepts.discovery.layer import Layer
from attribeval.errors import AttribevalError
from attribeval.methods.sobol import Design, total_indices

_ITERATIONS = 2000


def factorise(activations: np.ndarray, concepts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A ≈ U W with U, W ≥ 0 and ‖A − U W‖² as small as scikit-learn's NMF makes it (Fel et al. 2023, equation 1).

    From A, (n, p), to U, float64 (n, k), and W, float64 (k, p), with rows of length 1. (The article writes W the other
    way round.) The seed is of the randomised singular vectors that it starts from.
    """
    from sklearn.decomposition import NMF

    a = np.asarray(activations, np.float64)
    if a.min() < 0:
        raise AttribevalError(
            f"Expected activations of 0 or more, as behind a ReLU. Received: {a.min():.3g}. Name another layer."
        )
    if not a.any():
        raise AttribevalError("Expected a layer that answers. Received activations that are 0 for all pieces.")
    if concepts > min(a.shape):
        raise AttribevalError(
            f"Expected at most {min(a.shape)} concepts, of {a.shape[0]} pieces in {a.shape[1]} channels. Received: "
            f"{concepts}."
        )
    model = NMF(concepts, init="nndsvda", max_iter=_ITERATIONS, random_state=seed)
    u = model.fit_transform(a)
    w = model.components_
    lengths = np.linalg.norm(w, axis=1)
    safe = np.where(lengths > 0, lengths, 1)  # a concept that the factorisation did not need
    return u * lengths, w / safe[:, None]


def coefficients(activations: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The u ≥ 0 with the smallest ‖a − u W‖, for each vector of activations by itself (NNLS, Lawson & Hanson 1974).

    Exact, float64 (..., k), of activations (..., p) and directions W (k, p).
    """
    from scipy.optimize import nnls

    # With Wᵀ = Q R, ‖a − Wᵀ u‖² is ‖Qᵀ a − R u‖² and a part that no u changes: k equations instead of p.
    q, r = np.linalg.qr(np.asarray(directions, np.float64).T)
    flat = activations.reshape(-1, activations.shape[-1]).astype(np.float64) @ q
    return np.stack([nnls(r, one)[0] for one in flat]).reshape(*activations.shape[:-1], len(directions))


def importance(
    answer: Callable[[np.ndarray], np.ndarray], concepts: int, designs: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Total Sobol' indices S_i = E[V(Y | M without M_i)] / V(Y) of masks M, uniform on [0, 1]^k (Fel et al. 2023).

    Y = h((U ⊙ M) W), where a mask fades a concept at all places of the image alike; Jansen's estimator on a quasi-Monte
    Carlo design. If h is linear, Y = Σ_i M_i g_i, then S_i = g_i² / Σ_j g_j², and the effect of concept i is g_i.

    Args:
        answer: From masks (n, k) to scores (n,).
        concepts: k.
        designs: N, a power of 2; N (k + 1) + k + 1 masks are asked about.
        generator: Scrambles the design.

    Returns:
        The indices, (k,), zeros if no mask changes the score; the effects, the score of all concepts minus that without
        this one, (k,), in score units; and the score of all concepts.
    """
    design = Design(concepts, designs, generator)
    masks = design.rows(np.arange(len(design)))
    left_out = 1 - np.eye(concepts)
    scores = answer(np.concatenate([masks, np.ones((1, concepts)), left_out])).astype(np.float64)
    whole = scores[len(design)]
    return total_indices(scores[: len(design)], concepts), whole - scores[len(design) + 1 :], float(whole)


def owed_by_images(
    layer: Layer,
    images: np.ndarray,
    directions: np.ndarray,
    target: int,
    designs: int,
    seed: int,
    done: Callable[[int], Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the score of each raw image (N, H, W, C) owes to each concept; each image has masks of its own.

    Returns:
        Indices and effects, (N, k), as `importance` has them; and the scores, of the images as they are in column 0, of
        their concepts alone in column 1, (N, 2).
    """
    indices, effects, scores, size = [], [], [], (images.shape[1], images.shape[2])
    for item in range(len(images)):
        activations = layer.activations(images[item : item + 1])
        weights = coefficients(activations[0], directions)

        def answer(masks: np.ndarray, weights: np.ndarray = weights) -> np.ndarray:
            """The scores of the image whose concepts are faded by masks (n, k)."""
            parts = np.array_split(masks, -(-len(masks) // layer.capacity))
            faded = ((weights * part[:, None, None, :]) @ directions for part in parts)
            return np.concatenate([layer.scores(one, target, size) for one in faded])

        index, effect, made = importance(answer, len(directions), designs, np.random.default_rng([seed, item]))
        indices.append(index)
        effects.append(effect)
        scores.append((layer.scores(activations, target, size)[0], made))
        done(1)
    return np.stack(indices), np.stack(effects), np.array(scores)
