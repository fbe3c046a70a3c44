"""How fast do modified images come, and how large are rank levels?

    python benchmarks/roar/pipeline.py                                # masks against no masks, bytes
    python benchmarks/roar/pipeline.py --images 100000 --size 64      # the store and the pipeline at size

First form: images per second of the pipeline with masks, and of the same pipeline without, in turns in one process, at
224 × 224 and 64 × 64 from random bytes, for three recipes of augmentation. Printed are the best round of each, and the
median over rounds of the ratio of neighbours (goal: 90 % or more), with the processor time that an image takes.
Second form: a set of that many images is written, checked and read through the pipeline for one epoch, and deleted.
All files are in the operating system's cache if memory allows, as they are in the second epoch of a training.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from attribeval.benchmarks.roar.fills import channel_mean
from attribeval.benchmarks.roar.pipeline import MaskedImages
from attribeval.benchmarks.roar.ranks import levels, mask_rule, pack, packed_bytes
from attribeval.benchmarks.roar.records import Records
from attribeval.training.augment import Augment

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
M = len(FRACTIONS)
_FIRST = 8  # batches before the clock starts
RECIPES = {
    "nothing": None,
    "mirror, shift 4": Augment(flip=True, shift=4),
    "mirror, random crop": Augment(flip=True, crop=(0.08, 1.0)),
}


def declare(folder: Path, count: int, size: int) -> tuple[Records, Records]:
    """Image records, and records of the rank levels of five fractions, each value ranked by itself."""
    images = Records.create(folder, "images", count, (size, size, 3), np.uint8)
    ranks = Records.create(folder, "ranks", count, (packed_bytes(M, size * size * 3),), np.uint8)
    return images, ranks


def write(records: Records, below: int) -> float:
    """Fill a set with random bytes; seconds of writing, the making of the bytes not counted."""
    rng, seconds = np.random.default_rng(0), 0.0
    for k in range(records.shards):
        start, stop = records.span(k)
        data = rng.integers(0, below, (stop - start, *records.shape), np.uint8)
        begun = time.perf_counter()
        records.write_shard(k, data)
        seconds += time.perf_counter() - begun
    return seconds


def stream(
    images: Records, ranks: Records | None, augment: Augment | None, batch: int, steps: int
) -> tuple[float, float]:
    """Images per second, and processor microseconds per image, once the first batches are through."""
    masks = {} if ranks is None else {"ranks": ranks, "rule": mask_rule(M, M // 2, "remove")}
    labels, mean = np.zeros(len(images), np.int32), np.full(3, 127.5, np.float32)
    shown = MaskedImages(images, labels, channel_mean=mean, **masks)
    for step, _ in enumerate(shown.batches(batch, training=True, augment=augment).take(_FIRST + steps)):
        if step == _FIRST - 1:
            wall, cpu = time.perf_counter(), time.process_time()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return steps * batch / wall, cpu / (steps * batch) * 1e6


def processor_time(function: Callable[[], object]) -> float:
    """Seconds of all cores, the best of five."""
    best = np.inf
    for _ in range(5):
        begun = time.process_time()
        function()
        best = min(best, time.process_time() - begun)
    return best


def compare(count: int, size: int, batch: int, seconds: float, rounds: int, folder: Path) -> None:
    images, ranks = declare(folder, count, size)
    write(images, 256)
    write(ranks, (M + 1) ** 3)
    for recipe, augment in RECIPES.items():
        speed, _ = stream(images, ranks, augment, batch, 16)  # compiled, and the files in the cache
        steps = max(16, int(seconds * speed / batch))
        turns = [[stream(images, r, augment, batch, steps) for r in (None, ranks)] for _ in range(rounds)]
        speeds, costs = np.array(turns).transpose(2, 0, 1)
        ratio = np.median(speeds[:, 1] / speeds[:, 0])
        print(
            f"{size:4} × {size:<4}{recipe:22}{speeds[:, 0].max():12,.0f}{speeds[:, 1].max():12,.0f}{ratio:9.0%}"
            f"{np.median(costs[:, 0]):14.0f}{np.median(costs[:, 1]):8.0f}",
            flush=True,
        )


def sizes() -> None:
    values = 224 * 224 * 3
    reference = 4 * values
    rng = np.random.default_rng(0)
    print(f"\nbytes per image and estimator, 224 × 224 × 3 (the reference's float32 map: {reference:,})")
    for fractions in ((0.5,), (0.3, 0.6, 0.9), FRACTIONS, tuple(np.arange(1, 10) / 10)):
        m = len(fractions)
        for per, count in (("value", values), ("pixel", values // 3)):
            maps = rng.normal(size=(2, 224, 224, 3)).astype(np.float32)
            packed = pack(levels(maps, fractions, np.zeros((2, 2), np.int32), per), m)
            bits = 8 * packed.shape[1] / count
            print(
                f"  {m:2} fraction{'s' if m > 1 else ' '}, per {per}: {packed.shape[1]:7,} bytes, {bits:.2f} bits a "
                f"{per}, 1/{reference / packed.shape[1]:.0f} of the reference's"
            )
    maps, seeds = rng.normal(size=(32, 224, 224, 3)).astype(np.float32), np.zeros((32, 2), np.int32)
    for label, some in (("distinct values", maps), ("half of them 0", np.maximum(maps, 0)), ("all 0", 0 * maps)):
        cost = processor_time(lambda m=some: pack(levels(m, FRACTIONS, seeds), M)) / 32
        print(f"  ranked and packed, {M} fractions per value, {label}: {1000 * cost:.1f} ms of a core per map")


def at_size(count: int, size: int, batch: int, folder: Path) -> None:
    images, ranks = declare(folder, count, size)
    sizes = [records.count * records.record_bytes for records in (images, ranks)]
    total = sum(sizes)
    print(f"{count:,} images of {size} × {size} × 3: {sizes[0] / 1e9:.2f} GB of images in {images.shards} shards,")
    print(f"{sizes[1] / 1e9:.2f} GB of rank levels ({M} fractions) in {ranks.shards} shards")
    if shutil.disk_usage(folder).free < 1.1 * total:
        raise SystemExit(f"{folder} has no room for {total / 1e9:.1f} GB: choose another --folder.")
    seconds = write(images, 256) + write(ranks, (M + 1) ** 3)
    print(f"  written with checksums: {total / seconds / 1e6:8,.0f} MB/s ({seconds:.1f} s)", flush=True)

    begun = time.perf_counter()
    images.verify()
    ranks.verify()
    seconds = time.perf_counter() - begun
    print(f"  checked:                {total / seconds / 1e6:8,.0f} MB/s ({seconds:.1f} s)", flush=True)

    begun = time.perf_counter()
    channel_mean(images)
    seconds = time.perf_counter() - begun
    print(f"  channel mean:           {sizes[0] / seconds / 1e6:8,.0f} MB/s ({seconds:.1f} s)", flush=True)

    stream(images, ranks, RECIPES["mirror, random crop"], batch, 8)
    for recipe, augment in RECIPES.items():
        for label, r in (("without masks", None), ("with masks", ranks)):
            speed, cost = stream(images, r, augment, batch, count // batch)
            print(f"  epoch, {recipe + ', ' + label:38}{speed:10,.0f} images/s{cost:8.0f} µs of a core", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, help="write and read a set of this size instead of comparing")
    parser.add_argument("--size", type=int, default=64, help="height and width, with --images (default 64)")
    parser.add_argument("--batch", type=int, default=128, help="images per batch (default 128)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round (default 2)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which they take turns (default 7)")
    parser.add_argument("--folder", type=Path, help="where to put the files meanwhile (default: the system's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.images is not None:
            at_size(arguments.images, arguments.size, arguments.batch, Path(folder))
            return
        print(f"{os.cpu_count()} cores, batches of {arguments.batch}")
        print(f"{'':33}{'images/s':>24}{'':9}{'µs of a core per image':>22}")
        print(f"{'size':11}{'augmentation':22}{'without':>12}{'with masks':>12}{'ratio':>9}{'without':>14}{'with':>8}")
        for size, count in ((224, 2000), (64, 10000)):
            part = Path(folder) / str(size)
            compare(count, size, arguments.batch, arguments.seconds, arguments.rounds, part)
            shutil.rmtree(part)
        sizes()


if __name__ == "__main__":
    main()
