"""Maps for sanity checks: controls beside the methods, and one method that fails takes no other down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.methods import abilities, given
from attribeval.methods.card import Method
from attribeval.methods.given import Given

_CLIP = 99  # percentile at which maps of pictures are cut, as in the paper's figures


def chosen_methods(methods: Given | Sequence[Given] | Mapping[str, Given]) -> dict[str, Method]:
    """Methods by label, with the controls that are missing; see `methods.given.methods_of`.

    Raises:
        AttribevalError: If there is none, a name is unknown, or one cannot explain a changed model.
    """
    built = given.methods_of(methods)
    abilities.refuse(built, "sanity checks", model=True)
    return given.with_controls(built)


def explain_each(
    attributer: Attributer,
    raw: np.ndarray,
    methods: Mapping[str, Method],
    targets: np.ndarray,
    seed: int,
    model: Sequence[int],
    batch_size: int | None,
    failed: dict[str, str],
    where: str,
) -> dict[str, Attributions]:
    """Explain by all methods at once, and one by one if that fails.

    Args:
        attributer: The model, as it is now.
        raw: Images (N, H, W, C).
        methods: By label.
        targets: Class of each image, (N,).
        seed: Of everything random but the control "random".
        model: What says which random model it is: "random" is drawn anew for each.
        batch_size: Images that the model takes at a time.
        failed: Gets the reason of each method that fails, by label.
        where: What the model is, for those reasons.

    Returns:
        By label, without those that failed.
    """
    noise = {label: method for label, method in methods.items() if method.card.name == "random" and model}
    others = {label: method for label, method in methods.items() if label not in noise}
    options: dict[str, Any] = {"batch_size": batch_size, "progress": False, "remarks": False}
    maps: dict[str, Attributions] = {}
    if noise:
        digest = hashlib.blake2b(f"{seed} {tuple(model)}".encode(), digest_size=7).digest()
        maps |= attributer.explain_many(raw, noise, targets, seed=int.from_bytes(digest, "little"), **options)
    if others:
        try:
            maps |= attributer.explain_many(raw, others, targets, seed=seed, **options)
        except AttribevalError:
            for label, method in others.items():
                try:
                    maps |= attributer.explain_many(raw, {label: method}, targets, seed=seed, **options)
                except AttribevalError as error:
                    failed[label] = f"{where}: {error}"
    return {label: maps[label] for label in methods if label in maps}


def small_map(values: np.ndarray) -> np.ndarray:
    """One map (H, W, C) for a picture: Σ|·| as uint8 (H, W), from its minimum (0) to its 99th percentile (255)."""
    heat = np.abs(values).sum(-1)
    heat = heat - heat.min()  # what all places have would hide the contrast
    limit = np.percentile(heat, _CLIP)
    limit = limit if limit > 0 else heat.max()
    return np.round(255 * np.minimum(heat / limit, 1)).astype(np.uint8) if limit > 0 else np.zeros(heat.shape, np.uint8)
