"""Every method on a few photographs, in one picture: methods as rows, photographs as columns.

Usage: python examples/gallery.py MODEL.keras PREPROCESSING OUTPUT.png PHOTOGRAPH [PHOTOGRAPH ...]

The methods that need thousands of model evaluations get fewer here than by default, to finish within minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from attribeval import AttribevalError, Attributer
from attribeval.plots import gallery

METHODS = (
    "gradient", "gradient_x_input", "guided_backprop", "deconvnet", "integrated_gradients",
    "expected_gradients(references=[0, 127, 255], samples=25)", "blur_ig(steps=25)", "guided_ig(steps=25)",
    "smoothgrad(gradient)", "smoothgrad_squared(gradient)", "vargrad(gradient)", "squared(gradient)",
    "absolute(gradient)", "cam", "gradcam", "gradcam++", "layercam", "scorecam(max_channels=100)", "guided_gradcam",
    "deeplift", "lrp", "deep_taylor", "excitation_backprop", "occlusion", "rise(samples=400)", "sobol(designs=8)",
    "hsic(samples=300)", "meaningful_perturbation(iterations=100)",
    "extremal_perturbation(areas=[0.1], iterations=200)", "xrai(fast=True)", "lime(samples=300)",
    "kernel_shap(samples=300)", "partition_shap(samples=300)", "shapley_sampling(permutations=5)",
    "gradient_shap(samples=20)", "deep_shap", "anchors(samples=200, segments=20)", "random", "sobel", "input",
)  # fmt: skip


def main() -> None:
    """Explain, draw, and say which methods refuse this model and why."""
    model, preprocessing, output, *photographs = sys.argv[1:]
    attributer = Attributer(model, preprocess=preprocessing)
    targets = attributer.predict(photographs).argmax(1)
    maps = {}
    for method in METHODS:
        try:
            maps[method.partition("(s")[0]] = one = attributer.explain(photographs, method, targets)
            print(f"{method:<56}{one.seconds / len(photographs):8.2f} s per photograph", flush=True)
        except AttribevalError as error:
            print(f"{method:<56}not drawn: {error}", flush=True)
    gallery(attributer.read(photographs), maps).savefig(Path(output), dpi=80)


if __name__ == "__main__":
    main()
