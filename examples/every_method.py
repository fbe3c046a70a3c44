"""Every method on a few photographs, in one picture: methods as rows, photographs as columns.

Usage: python examples/every_method.py OUTPUT.png [MODEL PREPROCESSING PHOTOGRAPH ...]

Without a model: digits on photographs, and the small net that come with the package. The methods that need thousands of
model evaluations get fewer here than by default, to finish within minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from attribeval import AttribevalError, Attributer, datasets
from attribeval.methods.registry import METHODS, needs_base
from attribeval.plots import gallery

FEWER = {
    "expected_gradients": "references=[0, 127, 255], samples=25", "blur_ig": "steps=25", "guided_ig": "steps=25",
    "scorecam": "max_channels=100", "rise": "samples=400", "sobol": "designs=8", "hsic": "samples=300",
    "meaningful_perturbation": "iterations=100", "extremal_perturbation": "areas=[0.1], iterations=200",
    "xrai": "fast=True", "lime": "samples=300", "kernel_shap": "samples=300", "partition_shap": "samples=300",
    "shapley_sampling": "permutations=5", "gradient_shap": "samples=20", "anchors": "samples=200, segments=20",
}  # fmt: skip


def main() -> None:
    """Explain, draw, and say which methods refuse this model and why."""
    output, *given = sys.argv[1:]
    if given:
        model, preprocessing, *photographs = given
        attributer = Attributer(model, preprocess=preprocessing)
    else:
        attributer = Attributer("digit_objects")
        photographs = datasets.digit_scenes(n_train=1, n_test=3).test.samples()
    targets = attributer.predict(photographs).argmax(1)
    maps = {}
    for name in METHODS:
        text = f"{name}({'gradient' if needs_base(METHODS[name]) else FEWER.get(name, '')})".replace("()", "")
        try:
            maps[name] = one = attributer.explain(photographs, text, targets)
            print(f"{text:<70}{one.seconds / len(photographs):8.2f} s per photograph", flush=True)
        except AttribevalError as error:
            print(f"{text:<70}not drawn: {error}", flush=True)
    gallery(attributer.read(photographs), maps).savefig(Path(output), dpi=80)
    print("Wrote", output)


if __name__ == "__main__":
    main()
