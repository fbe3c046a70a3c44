"""Activations as sums of a few directions: non-negative matrix factorisation, and coefficients by least squares."""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError

_ITERATIONS = 2000


def factorise(activations: np.ndarray, concepts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A ≈ U W with U, W ≥ 0 and ‖A − U W‖² as small as scikit-learn's NMF makes it (Fel et al. 2023, equation 1).

    Args:
        activations: A, not negative, (n, p).
        concepts: k.
        seed: Of the randomised singular vectors that it starts from.

    Returns:
        U, float64 (n, k), and W, float64 (k, p) with rows of length 1. (The article writes W the other way round.)

    Raises:
        AttribevalError: If a value is negative, all are 0, or k is above n or p.
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

    Args:
        activations: (..., p).
        directions: W, (k, p).

    Returns:
        float64 (..., k), exact.
    """
    from scipy.optimize import nnls

    # With Wᵀ = Q R, ‖a − Wᵀ u‖² is ‖Qᵀ a − R u‖² and a part that no u changes: k equations instead of p.
    q, r = np.linalg.qr(np.asarray(directions, np.float64).T)
    flat = activations.reshape(-1, activations.shape[-1]).astype(np.float64) @ q
    return np.stack([nnls(r, one)[0] for one in flat]).reshape(*activations.shape[:-1], len(directions))
