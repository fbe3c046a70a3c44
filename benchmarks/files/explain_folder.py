"""`attribeval explain` over folders of generated JPEGs: seconds per image beside the bare gradient, and peak memory.

Usage: python benchmarks/files/explain_folder.py [COUNT ...]     (default: 500 5000)

The net is small (three strided convolutions on 224 × 224), so that reading, writing and book-keeping show. Each folder
is explained by a process of its own, by `gradient` without pictures, and then called again, when nothing is left to do.
The bare gradient is a `tf.function` on batches of the same size that are in memory: no files. Peak memory
is what the system says of each process; a process that explains one image is the base.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, BATCH, BARE = 224, 16, 512

# Runs the command line and says the peak memory of its own process at the end.
CODE = """
import resource, sys
from attribeval.cli import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print("peak", used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, file=sys.stderr)
sys.exit(code)
"""


def make_net(path: Path) -> None:
    """Save the net, seeded."""
    import keras

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIZE, SIZE, 3))
    for width in (16, 32, 64):
        x = keras.layers.Conv2D(width, 3, strides=2, activation="relu")(x)
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, outputs).save(path)


def make_folder(folder: Path, count: int) -> None:
    """Smooth random photographs of 320 × 256, so that they compress as photographs do."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(draw.integers(0, 256, (16, 20, 3), np.uint8))
        small.resize((320, 256), Image.Resampling.BICUBIC).save(folder / f"{i:06d}.jpg", quality=90)


def explain(folder: Path, net: Path, output: Path) -> tuple[float, float, float]:
    """Seconds, peak MiB and seconds of processor time of one process."""
    words = ["explain", folder, "--model", net, "--methods", "gradient", "--no-pictures", "-o", output]
    words += ["--batch-size", BATCH]
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CODE, *map(str, words)], capture_output=True, text=True, check=True)
    peak, processor = map(float, done.stderr.split("peak")[-1].split())
    return time.perf_counter() - begun, peak, processor


def bare_gradient(net: Path) -> tuple[float, float]:
    """Seconds and processor time per image of the highest output's gradient, and nothing else."""
    import keras
    import tensorflow as tf

    model = keras.models.load_model(net)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            best = tf.reduce_max(model(x), 1)
        return tape.gradient(best, x)

    images = tf.constant(np.random.default_rng(0).random((BATCH, SIZE, SIZE, 3), np.float32) * 255)
    gradient(images)
    begun, used = time.perf_counter(), time.process_time()
    for _ in range(BARE // BATCH):
        gradient(images).numpy()
    return (time.perf_counter() - begun) / BARE, (time.process_time() - used) / BARE


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    counts = [int(word) for word in sys.argv[1:]] or [500, 5000]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        net = root / "net.keras"
        make_net(net)
        make_folder(root / "one", 1)
        start, base, used = explain(root / "one", net, root / "out-one")
        print(f"one image: {start:.1f} s, {used:.1f} s of processor time, peak {base:.0f} MiB")
        wall, processor = (1e3 * seconds for seconds in bare_gradient(net))
        print(f"bare gradient: {wall:.1f} ms per image, {processor:.1f} ms of processor time, batches of {BATCH}")
        for count in counts:
            folder, output = root / f"in-{count}", root / f"out-{count}"
            make_folder(folder, count)
            seconds, peak, processor = explain(folder, net, output)
            again, _, used_again = explain(folder, net, output)
            print(
                f"{count} images: {seconds:.1f} s, {(seconds - start) / count * 1e3:.1f} ms per image after the start, "
                f"{(processor - used) / count * 1e3:.1f} ms of processor time; peak {peak:.0f} MiB, {peak - base:+.0f} "
                f"to one image; called again {again:.1f} s, {used_again:.1f} s of processor time",
                flush=True,
            )


if __name__ == "__main__":
    main()
