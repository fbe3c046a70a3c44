"""V1 and V2 of the reference protocol over all thresholds: one pass per map against findContours per threshold.

    python benchmarks/wsol/contours.py --maps 24 --size 224

Both rows do the same work on the same maps on one core: for each of the 255 thresholds the IoU of the box of the
largest contour (V1), and the best IoU of the box of any contour (V2), with every true box. All numbers must be equal,
or the script fails. How much there is to gain depends on the maps: findContours is fast where a threshold leaves a few
smooth contours, and slow where it leaves thousands. Needs OpenCV.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from attribeval.metrics.localisation.boxes import iou
from attribeval.metrics.localisation.contours import reference_contours
from attribeval.metrics.localisation.maxboxacc import quantise

KINDS = {"as smooth as an upsampled CAM": 14.0, "as rough as a smoothed gradient": 1.5, "plain noise": 0.0}
TRUTH = np.array([[40.0, 30, 150, 180], [120, 100, 201, 210]])  # edges: last pixels counted in


def example_maps(count: int, size: int, blur: float, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, size, size))
    return [quantise(ndimage.gaussian_filter(n, blur * size / 224) if blur else n) for n in noise]


def ours(levels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    boxes, best = reference_contours(levels, truth)
    return iou(boxes, truth).max(1)[:255], best[:255]


def opencv(levels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, written for speed: the boxes of a threshold meet the true ones in one array operation."""
    height, width = levels.shape
    first, best = np.zeros(255), np.zeros(255)
    last = truth - np.array([0, 0, 1, 1])
    areas = (last[:, 2] - last[:, 0] + 1) * (last[:, 3] - last[:, 1] + 1)
    for threshold in range(255):
        _, mask = cv2.threshold(levels, threshold, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        chosen = 0
        drawn = np.array([cv2.boundingRect(contour) for contour in contours] or [(0, 0, 0, 0)])
        if len(contours) > 1:
            chosen = max(range(len(contours)), key=lambda i: cv2.contourArea(contours[i]))
        drawn[:, 2:] = np.minimum(drawn[:, :2] + drawn[:, 2:], (width - 1, height - 1))
        low = np.maximum(drawn[:, None, :2], last[None, :, :2])
        shared = np.maximum(np.minimum(drawn[:, None, 2:], last[None, :, 2:]) - low + 1, 0).prod(-1)
        own = (drawn[:, 2:] - drawn[:, :2] + 1).prod(-1)
        overlaps = (shared / (own[:, None] + areas - shared)).max(1)
        first[threshold], best[threshold] = overlaps[chosen], overlaps.max()
    return first, best


def compare(maps: list[np.ndarray], truth: np.ndarray) -> tuple[float, float]:
    """Seconds of processor time per map of both, map by map in turn; other work on the machine counts little."""
    spent = [0.0, 0.0]
    for number, levels in enumerate(maps):
        found = []
        for k, function in enumerate((ours, opencv)):
            start = time.process_time()
            found.append(function(levels, truth))
            spent[k] += time.process_time() - start
        for version, a, b in zip(("V1", "V2"), *found, strict=True):
            if not np.array_equal(a, b):
                raise SystemExit(f"{version} of map {number} differs at {int((a != b).sum())} thresholds.")
    return spent[0] / len(maps), spent[1] / len(maps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maps", type=int, default=12, help="maps of each kind (default 12)")
    parser.add_argument("--size", type=int, default=224, help="height and width of a map (default 224)")
    parser.add_argument("--files", metavar="DIR", help="also the maps *.npy below DIR")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    truth = np.round(TRUTH * arguments.size / 224)
    sets = {kind: example_maps(arguments.maps, arguments.size, blur, i) for i, (kind, blur) in enumerate(KINDS.items())}
    if arguments.files:
        for path in sorted(Path(arguments.files).glob("*.npy")):
            sets[path.stem] = [quantise(heatmap) for heatmap in np.load(path)]
    ours(next(iter(sets.values()))[0], truth)  # compiled, or read from numba's cache, outside the clock
    print("V1 and V2 at 255 thresholds, the same numbers, one core\n")
    print(f"{'':34}{'maps':>6}{'one pass':>14}{'findContours':>16}{'faster':>10}")
    total = np.zeros(2)
    for kind, maps in sets.items():
        fast, slow = compare(maps, truth)
        total += fast * len(maps), slow * len(maps)
        print(f"{kind:34}{len(maps):6}{1 / fast:8.0f} maps/s{1 / slow:10.1f} maps/s{slow / fast:9.1f}×")
    count = sum(map(len, sets.values()))
    print(
        f"{'all':34}{count:6}{count / total[0]:8.0f} maps/s{count / total[1]:10.1f} maps/s{total[1] / total[0]:9.1f}×"
    )


if __name__ == "__main__":
    main()
