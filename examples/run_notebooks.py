"""Run every walkthrough of this folder from start to end, without a network; any error fails.

Usage: python examples/run_notebooks.py [--keep DIR] [NOTEBOOK ...]
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


def main() -> None:
    """Run the notebooks named on the command line, or all of them, each in its own folder; they are not changed."""
    parser = argparse.ArgumentParser(description="Run the walkthroughs, without a network.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all beside this script")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write copies with their output there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        os.environ |= {"http_proxy": _NOWHERE, "https_proxy": _NOWHERE, "KERAS_HOME": empty}
        begun = time.perf_counter()
        for path in args.notebooks or sorted(Path(__file__).parent.glob("*.ipynb")):
            print(f"{path.name}: {run(path, args.keep):.0f} s", flush=True)
    print(f"together: {time.perf_counter() - begun:.0f} s")


def run(path: Path, keep: Path | None = None) -> float:
    """Execute one notebook.

    Args:
        path: The notebook.
        keep: Where a copy with its output goes; None: nowhere.

    Returns:
        Seconds.
    """
    begun = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
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
