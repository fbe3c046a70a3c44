"""Explain label by label what your own model sees: any Keras file, any preprocessing, one label or several.

Usage: python examples/your_own_model.py MODEL.keras PHOTOGRAPH.jpg [LABEL ...]

Labels are class indices; without them, the three that the model is surest of. Put your preprocessing below.
"""

from __future__ import annotations

import sys

import numpy as np

from attribeval import Attributer
from attribeval.plots import overlays


def preprocess(images: np.ndarray) -> np.ndarray:
    """Raw pixels (N, H, W, 3), 0 to 255, as *your* model takes them; here: not at all."""
    return images


def main() -> None:
    """Say what was found in the model, then draw a map per label and method."""
    model, photograph, *labels = sys.argv[1:]
    attributer = Attributer(model, preprocess=preprocess)
    found = attributer.classifier
    print(f"explained: the value before the {found.link or 'output'}; target layer {found.target_layer}")
    image = attributer.read(photograph)
    scores = attributer.predict(image)[0]
    asked = [int(label) for label in labels] or scores.argsort()[::-1][:3].tolist()
    maps = {}
    for label in asked:
        print(f"label {label}: {scores[label]:.3f}")
        for name, one in attributer.explain_many(image, ["gradcam", "gradient"], targets=label).items():
            maps[f"{name} of {label}"] = one
    overlays(image, maps, titles=["image"]).savefig("explained.png", dpi=150)
    print("Wrote explained.png")


if __name__ == "__main__":
    main()
