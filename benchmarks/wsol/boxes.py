"""How fast are the boxes of all 256 thresholds? One component tree against labelling every threshold.

    python benchmarks/wsol/boxes.py --maps 20 --size 224

Every row does the same work on the same maps on one core. The scipy row, and the row of OpenCV's
connectedComponentsWithStats where OpenCV is installed, must give the same boxes at all 256 thresholds, or the script
fails. The reference code of Choe et al. calls findContours and takes the contour with the largest *polygon* area
(through pixel centres, holes filled): the column "same boxes" tells how often that is the component with most pixels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from attribeval.metrics.localisation.component_tree import largest_components
from attribeval.metrics.localisation.maxboxacc import quantise

try:
    import cv2
except ImportError:
    cv2 = None


def example_maps(count: int, size: int, seed: int = 0) -> list[np.ndarray]:
    """uint8 maps, in turn as smooth as an upsampled CAM, as rough as a smoothed gradient, and plain noise."""
    rng = np.random.default_rng(seed)
    maps = []
    for i in range(count):
        noise = rng.standard_normal((size, size))
        blur = (size / 16, 1.5, 0)[i % 3]
        maps.append(quantise(ndimage.gaussian_filter(noise, blur) if blur else noise))
    return maps


def tree(levels: np.ndarray) -> np.ndarray:
    return largest_components(levels)[0]


def scipy_label(levels: np.ndarray) -> np.ndarray:
    boxes = np.zeros((256, 4), np.int32)
    structure = np.ones((3, 3), int)
    for threshold in range(int(levels.max())):
        labels, _ = ndimage.label(levels > threshold, structure)
        best = np.bincount(labels.ravel())[1:].argmax()
        rows, columns = ndimage.find_objects(labels)[best]
        boxes[threshold] = columns.start, rows.start, columns.stop, rows.stop
    return boxes


def cv2_components(levels: np.ndarray) -> np.ndarray:
    boxes = np.zeros((256, 4), np.int32)
    for threshold in range(int(levels.max())):
        mask = (levels > threshold).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        largest = np.flatnonzero(areas == areas.max()) + 1
        best = largest[0]
        if len(largest) > 1:  # OpenCV's labels are not in raster order
            flat = labels.ravel()
            best = flat[np.isin(flat, largest).argmax()]
        x, y, width, height = stats[best, :4]
        boxes[threshold] = x, y, x + width, y + height
    return boxes


def cv2_contours(levels: np.ndarray) -> np.ndarray:
    boxes = np.zeros((256, 4), np.int32)
    for threshold in range(int(levels.max())):
        mask = (levels > threshold).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
        boxes[threshold] = x, y, x + width, y + height
    return boxes


def timed(function: Callable[[np.ndarray], np.ndarray], maps: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Maps per second, and the boxes (maps, 256, 4)."""
    start = time.perf_counter()
    boxes = [function(levels) for levels in maps]
    return len(maps) / (time.perf_counter() - start), np.array(boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maps", type=int, default=12, help="number of maps (default 12)")
    parser.add_argument("--size", type=int, default=224, help="height and width of a map (default 224)")
    arguments = parser.parse_args()
    maps = example_maps(arguments.maps, arguments.size)

    tree(maps[0])  # compiled, or read from numba's cache, outside the clock
    tree_speed, expected = timed(tree, maps)
    rows = [("component tree", tree, True), ("scipy.ndimage.label", scipy_label, True)]
    if cv2 is None:
        print("OpenCV is not installed: its rows are left out.")
    else:
        cv2.setNumThreads(1)
        rows.append(("cv2.connectedComponentsWithStats", cv2_components, True))
        rows.append(("cv2.findContours", cv2_contours, False))
    print(f"{arguments.maps} maps of {arguments.size}×{arguments.size}, boxes at 256 thresholds, one core\n")
    print(f"{'':34}{'maps/s':>10}{'ms/map':>10}{'tree is faster':>18}{'same boxes':>14}")
    for name, function, must_agree in rows:
        speed, boxes = (tree_speed, expected) if function is tree else timed(function, maps)
        same = (boxes == expected).all(axis=2).mean()
        if must_agree and same < 1:
            raise SystemExit(f"{name}: other boxes than the component tree at {1 - same:.3%} of all thresholds.")
        print(f"{name:34}{speed:10.1f}{1000 / speed:10.2f}{tree_speed / speed:17.1f}×{same:13.1%}")


if __name__ == "__main__":
    main()
