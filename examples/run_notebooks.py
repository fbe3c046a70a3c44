"""Run every walkthrough of this folder from start to end, without a network; any error fails.

Usage: python examples/run_notebooks.py [NOTEBOOK ...]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main() -> None:
    """Run the notebooks named on the command line, or all of them; they are not changed."""
    here = Path(__file__).parent
    notebooks = [Path(name) for name in sys.argv[1:]] or sorted(here.glob("*.ipynb"))
    for path in notebooks:
        begun = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
        print(f"{path.name}: {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
