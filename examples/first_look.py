"""First look: four methods, their maps and their scores, with all that comes with the package.

Usage: python examples/first_look.py OUTPUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from attribeval import Attributer, Evaluator, datasets
from attribeval.plots import overlays


def main() -> None:
    """Two methods that look into the model, and two controls that cannot."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    methods = ["gradcam", "gradient", "random", "sobel"]
    scenes = datasets.digit_scenes(n_train=1, n_test=120).test.samples(label="object")
    attributer = Attributer("digit_objects")
    few = scenes[:4]
    images = few.load()
    maps = attributer.explain_many(images, methods, targets=few.labels)
    overlays(images, maps, boxes=few.boxes_at(images.shape[1:3])).savefig(folder / "maps.png")
    result = Evaluator(attributer, scenes).wsol(methods)
    print("\n".join(result.summary))
    print("Wrote", result.report(folder / "report.html"))


if __name__ == "__main__":
    main()
