"""Run every walkthrough of this folder from start to end, without a network; any error fails.

Usage: python examples/run_notebooks.py [--quick] [--keep DIR] [NOTEBOOK ...]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_NOWHERE = "http://127.0.0.1:9"  # no proxy listens there, so whatever would be downloaded fails at once
# Of --quick: every cell runs, on fewer images and for fewer steps. What is replaced must be there.
_QUICK = {
    "bam_on_digits": {
        "n_train=1500, n_test=300": "n_train=500, n_test=100", "(zeros, 100": "(zeros, 30", "(rest, 100": "(rest, 30",
        "range(20)": "range(10)", "n_train=5000, n_test=1000": "n_train=600, n_test=300", "steps=450": "steps=30",
        "steps=150": "steps=8", "ks=(0.2, 0.5, 1.0)": "ks=(0.5, 1.0)", "images=120": "images=40",
        "patch_images=50": "patch_images=20", "series_images=30": "series_images=6", "random_sets=5": "random_sets=2",
    },
    "chest_scans": {
        '("train", 400)': '("train", 40)', '("test", 40)': '("test", 8)', "epochs=8": "epochs=2",
        "blocks=(3, 3, 3)": "blocks=(1, 1, 1)",
        "40, 41, 42, 43": "8, 9, 10, 11", "0, 1, 40, 41": "0, 1, 8, 9",
    },
    "roar_on_digits": {
        "--train 1500 --test 500 --epochs 6": "--train 100 --test 50 --epochs 1",
        "n_train=1500, n_test=500": "n_train=100, n_test=50", "epochs=6": "epochs=1", "repeats=3": "repeats=2",
        "--repeats 3": "--repeats 2", "fractions=[0.5, 0.9]": "fractions=[0.9]", '"random", "sobel"]': '"random"]',
    },
    "every_method": {
        "steps=25": "steps=5", "max_channels=100": "max_channels=8", "samples=400": "samples=40",
        "designs=8": "designs=2", "samples=300": "samples=60", "iterations=100": "iterations=5",
        "iterations=200": "iterations=5", "samples=200": "samples=50", "permutations=5": "permutations=1",
    },
    "sanity_and_leaderboard": {"n_test=40": "n_test=16", "layers=6": "layers=3", "images=16": "images=8"},
    "scaling_out": {"n_train=1000, n_test=300": "n_train=96, n_test=40", "epochs=4": "epochs=2"},
    "the_papers_data": {"epochs=15": "epochs=2"},
    "which_method_localises": {"n_test=300": "n_test=60"},
    "your_own_method": {
        "n_test=24": "n_test=4", "images=8, samples=3": "images=2, samples=1", "layers=3": "layers=1",
        "n_train=300, n_test=100": "n_train=20, n_test=10", "epochs=25": "epochs=2, batch_size=10",
    },
    "your_own_model": {"n_train=1500, n_test=200": "n_train=1500, n_test=60", "epochs=4": "epochs=3"},
}  # fmt: skip


def main() -> None:
    """Run the notebooks named on the command line, or all of them, each in its own folder; they are not changed."""
    parser = argparse.ArgumentParser(description="Run the walkthroughs, without a network.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all beside this script")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write copies with their output there")
    parser.add_argument("--quick", action="store_true", help="the long ones on fewer images: what they say may change")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        os.environ |= {"http_proxy": _NOWHERE, "https_proxy": _NOWHERE, "KERAS_HOME": empty}
        begun = time.perf_counter()
        for path in args.notebooks or sorted(Path(__file__).parent.glob("*.ipynb")):
            print(f"{path.name}: {run(path, args.keep, args.quick):.0f} s", flush=True)
    print(f"together: {time.perf_counter() - begun:.0f} s")


def run(path: Path, keep: Path | None = None, quick: bool = False) -> float:
    """Execute one notebook.

    Args:
        path: The notebook.
        keep: Where a copy with its output goes; None: nowhere.
        quick: With the smaller numbers of `_QUICK`.

    Returns:
        Seconds.

    Raises:
        ValueError: A number that `quick` replaces is not in the notebook.
    """
    begun = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    for large, small in _QUICK.get(path.stem, {}).items() if quick else ():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and large in cell.source]
        if not cells:
            raise ValueError(f"Expected {large!r} in a cell of {path.name}. Received a notebook without it.")
        for cell in cells:
            cell.source = cell.source.replace(large, small)
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(path.parent.resolve())}}
    )
    try:
        client.execute()
    finally:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, keep / path.name)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
