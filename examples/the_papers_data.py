"""An official data set as the ROAR paper treats it, and the paper's figures.

Usage: python examples/the_papers_data.py food101:/data/food-101 OUTPUT [OPTION ...]

The data set is birdsnap:DIR, cifar10:DIR, cub:DIR, food101:DIR or imagenet:DIR, as its archive unpacks. OPTIONs are
those of `attribeval roar run`, such as --methods GRAD SG-SQ-GRAD random --repeats 1 --epochs 2. Call it again to go on.
OUTPUT gets the run, its report, and a picture of each figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from attribeval.cli import main as attribeval
from attribeval.errors import AttribevalError
from attribeval.files import write_picture
from attribeval.results.result import Result


def main() -> None:
    """Run what is missing, then draw figure after figure."""
    data, output, *options = sys.argv[1:]
    output = Path(output)
    code = attribeval(["roar", "run", str(output / "run"), "--data", data, *options])
    if code:
        sys.exit(code)
    result = Result.load(output / "run" / "report")
    for number in ("1", "2", "3", "4", "5", "6", "7"):
        try:
            figure = result.figure(number)
        except AttribevalError as error:  # a figure of methods that were not run
            print(f"figure {number}: {error}")
            continue
        write_picture(figure, output / f"figure_{number}.png")
        print("Wrote", output / f"figure_{number}.png")


if __name__ == "__main__":
    main()
