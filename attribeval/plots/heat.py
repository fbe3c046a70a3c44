"""How maps become what is drawn: one number per place in 0..1 or −1..1, and the colours that go with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from attribeval.attributions import Attributions, Reduce
from attribeval.plots.style import SIGNED, UNSIGNED, Scale, percentile_name


def drawn_heat(maps: Attributions, reduce: Reduce | None, clip: float | None) -> tuple[np.ndarray, Scale]:
    """Scale each map by itself, so that its contrast shows.

    Maps with negative values keep their zero: evidence for and against. Those without any, and those of methods whose
    sign means nothing (RISE, which weighs masks by the score under them), begin at their own minimum instead: what
    every place has says nothing about where the evidence is. The percentile `clip` of each map's absolute values, after
    the minimum is taken off, is drawn as full strength.
    """
    heat = maps.heatmap(reduce or "sum")
    signed = bool((heat < 0).any()) and not _sign_means_nothing(maps.method)
    heat = heat if signed else heat - heat.min((1, 2), keepdims=True)
    scaled = replace(maps, values=heat[..., None]).heatmap("sum", clip=clip, normalise=True)
    return scaled, SIGNED if signed else UNSIGNED


def scale_note(scales: list[Scale], clip: float | None, heats: Iterable[np.ndarray]) -> str:
    """What a map's full strength is and where the scales begin, for the note below a picture of maps (N, H, W) each."""
    note = f"Each map is scaled by itself: 1 is its {percentile_name(clip)}."
    if any(np.percentile(np.abs(heat), clip or 100) == 0 for some in heats for heat in some):
        note += " Where that is 0, it is the largest absolute value."
    return note + (" A map without a sign begins at its own minimum." if UNSIGNED in scales else "")


def flat_name(values: np.ndarray) -> str:
    """What to write across a map whose picture shows nothing: whether it is 0 or has another value everywhere."""
    return "flat" if values.any() else "all zero"


def _sign_means_nothing(name: str) -> bool:
    from attribeval.methods.registry import METHODS

    return name in METHODS and not METHODS[name].card.signed
