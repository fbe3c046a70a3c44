"""What `attribeval explain` of one photograph costs beside what nobody can spare: TensorFlow's import and the model.

Usage: python benchmarks/startup.py [--model FILE] [--preprocess NAME] [--method NAME] [--repeats N] [--imports]

Both are fresh processes, from the shell to the file, in turns; the smallest of the repeats is the machine's least
disturbed. Processor time is of all threads, and holds on a busy machine. Goal: 1 s more. `--imports` lists what the
command imports beside TensorFlow and Keras. Without --model: an embedded net.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEAST = "import sys, tensorflow, keras; keras.models.load_model(sys.argv[1], compile=False)"
EMBEDDED = Path(__file__).parents[1] / "attribeval/models/digit_nets/digit_objects.keras"
GOAL = 1.0


def cost(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of a command and what it started."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds, after = time.perf_counter() - begun, os.times()
    return seconds, sum(after[2:4]) - sum(before[2:4])


def imports(command: list[str]) -> list[tuple[float, str]]:
    """Seconds of each top package's modules, the dearest first; TensorFlow's are loaded where this cannot see them."""
    done = subprocess.run([command[0], "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True)
    found: dict[str, float] = {}
    for line in done.stderr.splitlines():
        own, *_, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            top = name.strip().split(".")[0]
            found[top] = found.get(top, 0.0) + int(own) / 1e6
    return sorted(((seconds, name) for name, seconds in found.items()), reverse=True)


def photograph(folder: Path) -> Path:
    """The astronaut of scikit-image as a JPEG."""
    from PIL import Image
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "astronaut.jpg")
    return folder / "astronaut.jpg"


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--model", default=str(EMBEDDED))
    command.add_argument("--preprocess")
    command.add_argument("--method", default="gradcam")
    command.add_argument("--repeats", type=int, default=3)
    command.add_argument("--imports", action="store_true")
    args = command.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["explain", str(photograph(Path(folder))), "--model", args.model, "--method", args.method]
        words += ["--preprocess", args.preprocess] if args.preprocess else []
        ours = [sys.executable, "-m", "attribeval", *words]
        least = [sys.executable, "-c", LEAST, args.model]
        new = [f"{folder}/{i}" for i in range(args.repeats + 1)]  # what is there already is not explained again
        costs = [(cost(least), cost([*ours, "-o", new[i]])) for i in range(args.repeats)]
        print(f"{args.method}, {Path(args.model).name}: smallest of {args.repeats}, seconds")
        for i, what in enumerate(("by the clock", "of the processor")):
            a, b = min(pair[0][i] for pair in costs), min(pair[1][i] for pair in costs)
            print(f"  {what:17} TensorFlow and model {a:6.2f}   explain {b:6.2f}   more {b - a:5.2f} (goal {GOAL})")
        if args.imports:
            print("seconds of imports, own modules:")
            print("\n".join(f"  {seconds:6.3f}  {name}" for seconds, name in imports([*ours, "-o", new[-1]])[:20]))


if __name__ == "__main__":
    main()
