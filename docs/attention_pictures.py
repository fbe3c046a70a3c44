"""Pictures of what was made for transformers. No transformer ships with the package, so they are drawn once and kept.

Usage: python docs/attention_pictures.py NET.keras, the net that benchmarks/attribution/transformers.py trains
"""

from __future__ import annotations

import sys
from pathlib import Path

from pictures import Picture, draw, map_row, panels, photograph_row

from attribeval.methods import registry

STATIC = Path(__file__).resolve().parent / "_static"
PHOTOGRAPHS = STATIC / "attention" / "photographs.webp"
SIDE, IMAGES = (
    32,
    [5, 7, 11, 12],
)  # of the test images of digit_scenes(size=32): one, six, seven, three, all named right
TOGETHER = (
    "attention_rollout",
    "transformer_attribution",
    "generic_attention",
    "lrp",
    "attnlrp",
    "attnlrp(gamma=0.25)",
)


def made() -> dict[str, Picture]:
    """The pictures of methods that explain transformers alone, by name."""
    names = [name for name, cls in registry.METHODS.items() if registry.needs_attention(cls)]
    said = "Four digits and their maps by"
    return {name: Picture(STATIC / "attention" / f"{name}.webp", _caption(name), f"{said} {name}") for name in names}


def _caption(name: str) -> str:
    return (
        f"`{name}` of a small transformer, 8 × 8 tokens and a class token, trained on digit scenes of 32 × 32 pixels "
        "([how, and what else it showed](../../transformers.md)), on four test images, for the predicted class. Pale "
        "is much, up to the 99th percentile of the map."
    )


def main() -> None:
    """Each method by itself, and all in one picture."""
    from attribeval import Attributer, datasets

    images = datasets.digit_scenes(size=SIDE, n_train=1, n_test=max(IMAGES) + 1).test.samples()[IMAGES].load()
    attributer = Attributer(sys.argv[1])
    draw(attributer, images, {name: (name, picture.path) for name, picture in made().items()}, PHOTOGRAPHS)
    rows = [photograph_row(images), *(map_row(attributer, images, text) for text in TOGETHER)]
    across = [[row[i] for row in rows] for i in range(len(images))]  # a column for each method
    panels(across, STATIC / "transformers.webp")


if __name__ == "__main__":
    main()
