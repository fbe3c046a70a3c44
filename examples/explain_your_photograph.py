"""Explain one photograph with your own Keras model, in a script.

Usage: python examples/explain_your_photograph.py MODEL.keras PHOTOGRAPH.jpg [PREPROCESSING]
"""

from __future__ import annotations

import sys

from attribeval import Attributer


def main() -> None:
    """Explain the predicted class by two methods and a control, and draw them side by side."""
    model, photograph, *preprocessing = sys.argv[1:]
    attributer = Attributer(model, preprocess=preprocessing[0] if preprocessing else None)
    maps = attributer.explain_many([photograph], ["gradcam", "gradient", "sobel"])

    from attribeval.plots import overlays

    overlays(attributer.read([photograph]), maps).savefig("explained.png", dpi=150)
    print("Wrote explained.png: what 'sobel' shows as well says nothing about the model.")


if __name__ == "__main__":
    main()
