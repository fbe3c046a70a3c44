"""The picture of the start page and the README: four photographs, four methods and a control.

Usage: python docs/first_look.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from attribeval import Attributer, datasets
from attribeval.plots import overlays

FILE = Path(__file__).resolve().parent / "_static" / "first_look.webp"
METHODS = ("gradcam", "integrated_gradients", "guided_backprop", "occlusion", "sobel")
IMAGES = [0, 1, 4, 7]  # of the first eight test images


def main() -> None:
    """Draw it."""
    samples = datasets.digit_scenes(n_train=1, n_test=8).test.samples()[IMAGES]
    images = samples.load()
    maps = Attributer("digit_objects").explain_many(images, METHODS, progress=False)
    drawn = io.BytesIO()
    overlays(images, maps).savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").save(FILE, quality=85)


if __name__ == "__main__":
    main()
