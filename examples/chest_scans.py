"""Which method finds the lesion? Your own net with one unit, your own grey scans in a folder per class, their boxes.

Usage: python examples/chest_scans.py MODEL.keras FOLDER BOXES.csv OUTPUT

FOLDER holds a folder for each class, in the order of the net's classes by name (normal, pneumonia). BOXES.csv has the
columns image (normal/a.png), x0, y0, x1, y1 in pixels, and label (0 or 1); a row without numbers is a scan without a
lesion. OUTPUT gets a picture of the maps for each class, and a folder with table and page for each benchmark.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from attribeval import Attributer, Evaluator, datasets
from attribeval.metrics.faithfulness.fills import filled
from attribeval.plots import overlays

METHODS = ["gradcam", "gradient", "integrated_gradients", "deeplift", "occlusion"]


def main() -> None:
    """Check the accuracy, draw, ask where the lesion is, and what each class needs."""
    model, folder, boxes, output = sys.argv[1:]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    scans = datasets.box_table(boxes, folder)
    classes = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    attributer = Attributer(model, class_names=classes)
    right = attributer.predict(scans).argmax(1) == scans.labels
    print(f"{attributer}: {right.mean():.1%} of {len(scans)} right")
    draw(attributer, scans, output)
    # The pointing game's 15 pixels are made for photographs of some 500.
    tolerance = max(1, round(15 / 500 * max(attributer.classifier.input_shape[:2])))
    results = {"localised": Evaluator(attributer, scans).wsol(METHODS, tolerance=tolerance)}
    for label, name in enumerate(classes):
        fill = emptiest(attributer, scans[scans.labels == label], label)
        benchmarks = [f"deletion(fill='{fill}')", f"insertion(fill='{fill}')", "road"]
        part = Evaluator(attributer, scans[scans.labels == label])
        results[f"board_{name}"] = part.compare(METHODS, benchmarks, targets="label")
    for name, result in results.items():
        print(f"\n{name}:", *result.summary, sep="\n")
        print("Wrote", result.report(result.save(output / name) / "report.html"))


def draw(attributer: Attributer, scans: datasets.Samples, output: Path) -> None:
    """Two scans of each class, and the maps for each class, a picture for each."""
    few = scans[np.concatenate([np.flatnonzero(scans.labels == label)[:2] for label in (0, 1)])]
    for name in attributer.classifier.class_names:
        maps = attributer.explain_many(few, METHODS, targets=name)
        titles = [f"{scan.stem}\nexplained: {name}" for scan in few.images]
        overlays(attributer.read(few), maps, titles=titles).savefig(output / f"maps_{name}.png", dpi=150)
        print("Wrote", output / f"maps_{name}.png")


def emptiest(attributer: Attributer, scans: datasets.Samples, label: int) -> str:
    """The filling that leaves the least of a class, so that deletion and insertion are about the scan."""
    pixels = attributer.read(scans)
    left = {fill: attributer.predict(filled(pixels, fill, None))[:, label].mean() for fill in ("mean", "black", "blur")}
    print(f"class {label} once all is filled:", {fill: round(float(p), 2) for fill, p in left.items()})
    return min(left, key=left.get)


if __name__ == "__main__":
    main()
