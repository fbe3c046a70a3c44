"""Data sets that do not fit in memory: how memory grows with images, and how two processes share the work of writing.

Usage: python benchmarks/files/streams.py [--images 500 3000] [--side 224] [--share 512]

Each number is of a process of its own. Memory is the most that the process had of its own (RssAnon: without pages of
files, which the system takes back when it needs them), less what it had before the stream was read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np


def main() -> None:
    """Print memory for each number of images, then what each of two writers did."""
    parser = argparse.ArgumentParser(description="Memory of streams, and writers side by side.")
    parser.add_argument("--images", type=int, nargs="+", default=[500, 3000], help="numbers of images (500 3000)")
    parser.add_argument("--side", type=int, default=224, help="of the images, pixels (224)")
    parser.add_argument("--share", type=int, default=512, help="JPEGs that one, then two processes write (512)")
    parser.add_argument("--part", choices=["memory", "write"], help="for the script's own processes")
    parser.add_argument("--folder", type=Path, help="for the script's own processes")
    args = parser.parse_args()
    if args.part == "memory":
        return memory(args.images[0], args.side)
    if args.part == "write":
        return write(args.folder, args.side)
    for n in args.images:
        (found,) = _run(1, "--part", "memory", "--images", n, "--side", args.side)
        print(f"{n:6} images of {args.side} px, {n * args.side**2 * 3 / 1e6:.0f} MB: + {found['peak']:.0f} MB in "
              f"{found['seconds']:.1f} s")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        _draw(Path(folder) / "images", args.share, args.side)
        for processes in (1, 2):
            run = ["--part", "write", "--folder", folder, "--side", args.side]
            found = _run(processes, *run)
            _forget(Path(folder) / "run")
            print(
                f"{processes} writing: "
                + ", ".join(f"{one['written']} images in {one['seconds']:.1f} s" for one in found)
            )


def _run(processes: int, *words: object) -> list[dict]:
    """Start so many processes of this script at once, and read what each says."""
    command = [sys.executable, __file__, *map(str, words)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


def memory(n: int, side: int) -> None:
    """Read a `tf.data` stream of so many images, then all of them once more, a few at a time."""
    import tensorflow as tf

    from attribeval.datasets import Samples

    def elements():
        for i in range(n):
            yield np.full((side, side, 3), i % 256, np.uint8), i % 10

    shape = tf.TensorSpec((side, side, 3), tf.uint8), tf.TensorSpec((), tf.int32)
    dataset = tf.data.Dataset.from_generator(elements, output_signature=shape).batch(8)
    next(iter(dataset))
    before, peak, done = _anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], _anonymous())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    samples = Samples.from_dataset(dataset)
    for part, images in samples.batches(32):
        assert (images[:, 0, 0, 0] == part.images[:, 0, 0, 0]).all()
    seconds = time.perf_counter() - begun
    done.set()
    watcher.join()
    print(json.dumps({"peak": peak[0] - before, "seconds": seconds}))


def _anonymous() -> float:
    """Megabytes of this process that are of no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e3
    raise SystemExit("needs Linux")


def write(folder: Path, side: int) -> None:
    """Write the images of a folder of class folders as records, beside whoever else does."""
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.benchmarks.roar.source import Source
    from attribeval.datasets import folder as read_folder

    samples = read_folder(folder / "images")
    run_dir = RunDir(folder / "run")
    (run_dir.path / "locks").mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    written = Source({"train": samples, "test": samples[:1]}, (side, side, 3), 2).write(run_dir, False)
    print(json.dumps({"written": written, "seconds": time.perf_counter() - begun}))


def _draw(root: Path, n: int, side: int) -> None:
    from PIL import Image

    draw = np.random.default_rng(0)
    for i in range(n):
        path = root / "ab"[i % 2] / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(draw.integers(0, 256, (20, 20, 3), np.uint8))
        small.resize((2 * side, 2 * side), Image.Resampling.BICUBIC).save(path)


def _forget(run: Path) -> None:
    import shutil

    shutil.rmtree(run)


if __name__ == "__main__":
    main()
