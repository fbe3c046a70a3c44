"""Maps for sanity checks: controls beside the methods, and one method that fails takes no other down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.methods import abilities, given
from attribeval.methods.card import Method
from attribeval.methods.given import Given
from attribeval.runs import failures

_CLIP = 99  # percentile at which maps of pictures are cut, as in the paper's figures


def chosen_methods(methods: Given | Sequence[Given] | Mapping[str, Given]) -> dict[str, Method]:
    """Methods by label, with the controls that are missing; refused if one cannot explain a changed model."""
    built = given.methods_of(methods)
    abilities.refuse(built, "sanity checks", model=True)
    return given.with_controls(built)


def explain_each(
    attributer: Attributer,
    raw: np.ndarray,
    methods: Mapping[str, Method],
    targets: np.ndarray,
    options: SanityOptions,
    *,
    model: Sequence[int],
    where: str,
) -> tuple[dict[str, Attributions], dict[str, str]]:
    """Explain by all methods at once, and one by one if that fails: maps, and reasons of what failed, by label.

    The control "random" is drawn anew for each `model` (none: the trained one); all else that is random has the study's
    seed. `where` says in the reasons what the model is.
    """
    noise = {label: method for label, method in methods.items() if method.card.name == "random" and model}
    others = {label: method for label, method in methods.items() if label not in noise}
    quiet: dict[str, Any] = {"batch_size": options.batch_size, "progress": False, "remarks": False}
    digest = hashlib.blake2b(f"{options.seed} {tuple(model)}".encode(), digest_size=7).digest()
    maps: dict[str, Attributions] = {}
    failed: dict[str, str] = {}
    for some, its_seed in ((noise, int.from_bytes(digest, "little")), (others, options.seed)):

        def explain(methods: dict[str, Method], its_seed: int = its_seed) -> dict[str, Attributions]:
            return attributer.explain_many(raw, methods, targets, seed=its_seed, **quiet)

        made, lacking = failures.each(explain, some, options.strict)
        maps |= made
        failed |= {label: f"{where}: {why}" for label, why in lacking.items()}
    return {label: maps[label] for label in methods if label in maps}, failed


def small_map(values: np.ndarray) -> np.ndarray:
    """One map (H, W, C) for a picture: Σ|·| as uint8 (H, W), from its minimum (0) to its 99th percentile (255)."""
    heat = np.abs(values).sum(-1)
    heat = heat - heat.min()  # what all places have would hide the contrast
    limit = np.percentile(heat, _CLIP)
    limit = limit if limit > 0 else heat.max()
    return np.round(255 * np.minimum(heat / limit, 1)).astype(np.uint8) if limit > 0 else np.zeros(heat.shape, np.uint8)
