"""Records of a ROAR grid with a known answer."""

from __future__ import annotations

import itertools

import numpy as np


def cell(kind: str, estimator: str, mode: str, fraction: float, repeat: int, accuracy: float | None, **other) -> dict:
    return {
        "name": f"{kind}-{estimator}-{mode}-{fraction}-{repeat}",
        "status": "failed" if accuracy is None else "done",
        "kind": kind,
        "estimator": estimator,
        "mode": mode,
        "fraction": fraction,
        "repeat": repeat,
        "seed": repeat,
        "accuracy": accuracy,
        "loss": None if accuracy is None else 1.0,
        "per_class_accuracy": None if accuracy is None else [accuracy] * 10,
        "without_retraining": None,
        "seconds": 1.0,
        "images": 100,
        "error": "ResourceExhaustedError: no memory" if accuracy is None else None,
        **other,
    }


FRACTIONS = [0.3, 0.6, 0.9]


LOSSES = {"random": 0.0, "GOOD": 0.2, "FAIR": 0.1, "LIKE": 0.0, "BAD": -0.15, "sobel": -0.05}


def synthetic(repeats: int = 4, modes: tuple[str, ...] = ("remove", "keep"), spread: float = 0.002) -> list[dict]:
    """A known loss of accuracy more than random's at each fraction, and noise, most of it shared within a repeat."""
    rng = np.random.default_rng(0)
    records = []
    for repeat in range(repeats):
        start = rng.normal(0, 0.02)
        records.append(cell("unmodified", "", "none", 0.0, repeat, 0.9 + start))
        for mode, (name, loss), fraction in itertools.product(modes, LOSSES.items(), FRACTIONS):
            removed = fraction if mode == "remove" else 1 - fraction
            sign = -1 if mode == "remove" else 1
            accuracy = 0.8 - 0.2 * removed + sign * loss * removed + start + rng.normal(0, spread)
            kind = "control" if name in ("random", "sobel") else "method"
            without = 0.9 - 0.8 * removed
            records.append(cell(kind, name, mode, fraction, repeat, accuracy, without_retraining=without))
    return records
