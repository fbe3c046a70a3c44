"""How fast are maps on the device at hand? Ours beside the bare gradient, tf-keras-vis, Xplique and Captum, in one run.

    python benchmarks/attribution/device.py                         # the smallest of nets: 224 px and 32 px
    python benchmarks/attribution/device.py --net resnet50 --images 512 --batch-size 64
    python benchmarks/attribution/device.py --net small --images 8192  # of CIFAR's size
    python benchmarks/attribution/device.py --net mobilenet --methods gradient ig --precision tf32

A line per method, printed when it is measured: maps per second, and our share of the bare function's. "Bare" is the
compiled gradient of the logit alone, called as often as the method needs gradients (1, 25 or 15 times), without noise,
sums or interpolation; once on batches that are on the device already, once from NumPy arrays to NumPy arrays.
"time / bare" is our time over that of the latter, with its goal on a CPU, where a net of almost no cost shows what we
add. What takes turns in a line takes them in one process, on the same untrained net, images and precision; the best of
`--repeats` counts, or of as many as `--seconds` leave room for. Libraries that are not installed are left out, with the
reason; Captum gets a PyTorch net of the same layers (`tiny`) or torchvision's (`resnet50`), not the same weights.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # PyTorch wants the same GPU

import numpy as np
from rivals import LIBRARIES
from timing import best, network

# Our method; gradients that it needs per image, or None for more than gradients.
METHODS: dict[str, tuple[str, int | None]] = {
    "gradient": ("gradient", 1),
    "guided_backprop": ("guided_backprop", 1),
    "ig": ("integrated_gradients(steps=25)", 25),
    "smoothgrad": ("smoothgrad(gradient, samples=15)", 15),
    "vargrad": ("vargrad(gradient, samples=15)", 15),
    "gradcam": ("gradcam", 1),
    "deeplift": ("deeplift", None),
    "lrp": ("lrp", None),
}
GOALS = {
    224: {"gradient": 1.4, "gradcam": 1.4, "ig": 1.0},
    32: {"gradient": 1.5, "gradcam": 1.5, "smoothgrad": 2.5, "vargrad": 2.5},
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=["tiny", "small", "resnet50", "mobilenet"], default="tiny")
    parser.add_argument("--sizes", type=int, nargs="+", help="sides in pixels (default: 224; tiny 32, too; small 32)")
    parser.add_argument("--images", type=int, help="default: 64 (tiny and small at 32 px: 1,024; others on a CPU: 16)")
    parser.add_argument("--batch-size", type=int, help="default: 1,024 at 32 px; others 64, 16 on a CPU")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--libraries", nargs="*", choices=list(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--precision", choices=["float32", "tf32"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="about how long a line may take")
    return parser.parse_args()


def tiny(size: int) -> Any:
    """A net of almost no cost, whose time is that of what surrounds it."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")
    return keras.Sequential([keras.Input((size, size, 3)), conv, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def make(net: str, size: int) -> Any:
    """The net, ending in logits."""
    from attribeval.models.small_net import small_net

    if net == "tiny":
        return tiny(size)
    model = small_net((size, size, 3), 10) if net == "small" else network(net, size)
    model.layers[-1].activation = lambda x: x
    return model


class Bare:
    """The compiled gradient of the logit alone."""

    def __init__(self, model: Any, images: np.ndarray, batch_size: int):
        import tensorflow as tf

        def gradient(x, targets):
            return tf.gradients(tf.gather(model(x, training=False), targets, axis=1, batch_dims=1), x)[0]

        specs = [tf.TensorSpec([None, *images.shape[1:]]), tf.TensorSpec([None], tf.int32)]
        self._gradient = tf.function(gradient, input_signature=specs, autograph=False).get_concrete_function()
        parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        self._arrays = [(part, np.zeros(len(part), np.int32)) for part in parts]
        # A sum of two tensors is a tensor of the device, where tf.constant may leave a small one on the host.
        self._ready = [(tf.constant(part) + 0.0, tf.constant(targets)) for part, targets in self._arrays]

    def ready(self, times: int) -> Callable[[], None]:
        """On batches that are on the device; of the gradients one number comes back, so that they are waited for."""

        def run() -> None:
            for x, targets in self._ready:
                for _ in range(times):
                    found = self._gradient(x, targets)
                found[0, 0, 0, 0].numpy()

        return run

    def arrays(self, times: int) -> Callable[[], None]:
        """From NumPy arrays to NumPy arrays."""
        import tensorflow as tf

        def run() -> None:
            for part, targets in self._arrays:
                for _ in range(times):
                    self._gradient(tf.constant(part), tf.constant(targets)).numpy()

        return run


def timed(functions: dict[str, Callable], repeats: int, limit: float) -> dict[str, float]:
    """`best`, of as many rounds as the limit leaves room for; the first calls compile and do not count."""
    for _ in range(2):
        begun = time.perf_counter()
        for function in functions.values():
            function()
    once = time.perf_counter() - begun
    return best(functions, min(repeats, max(1, int(limit / once) - 2)))


def device() -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return f"{', '.join(names) or f'CPU, {len(os.sched_getaffinity(0))} cores'}; TensorFlow {tf.__version__}"


def libraries(args: argparse.Namespace, model: Any, images: np.ndarray, batch_size: int) -> dict[str, Any]:
    """Those that can be had, by name; says why others cannot."""
    found = {}
    for name in args.libraries:
        try:
            found[name] = LIBRARIES[name](args.net, model, images, batch_size, args.precision)
        except ImportError as error:
            print(f"without {name}: {error}", flush=True)
    return found


def table(args: argparse.Namespace, size: int) -> None:
    import tensorflow as tf

    from attribeval import Attributer

    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    few = 64 if on_gpu else 16
    many = 1024 if size < 224 else 64
    n = args.images or (many if args.net in ("tiny", "small") else few)
    batch_size = min(n, args.batch_size or (many if args.net in ("tiny", "small") else few))
    images = np.random.default_rng(0).normal(size=(n, size, size, 3)).astype(np.float32)
    model = make(args.net, size)
    attributer = Attributer(model, precision=args.precision, batch_size=batch_size)
    bare = Bare(model, images, batch_size)
    print(f"\n{args.net}, {n} images of {size} px, {batch_size} at a time, {args.precision}", flush=True)
    others = libraries(args, model, images, batch_size)
    heads = ["ours", "bare ready", "share", "bare NumPy", "time / bare", "goal", *others]
    print(f"{'maps per second':<18}" + "".join(f"{head:>14}" for head in heads), flush=True)
    for name in args.methods:
        method, times = METHODS[name]
        functions = {"ours": lambda method=method: attributer.explain(images, method, 0, progress=False)}
        if times:
            functions |= {"bare ready": bare.ready(times), "bare NumPy": bare.arrays(times)}
        functions |= {key: rival[name] for key, rival in others.items() if name in rival}
        seconds = timed(functions, args.repeats, args.seconds)
        rates = {key: f"{n / value:,.4g}" if n / value < 100 else f"{n / value:,.0f}" for key, value in seconds.items()}
        if times:
            rates["share"] = f"{seconds['bare ready'] / seconds['ours']:.2f}"
            rates["time / bare"] = f"{seconds['ours'] / seconds['bare NumPy']:.2f}"
            rates["goal"] = str(GOALS.get(size, {}).get(name, "")) if args.net == "tiny" else ""
        print(f"{name:<18}" + "".join(f"{rates.get(head, ''):>14}" for head in heads), flush=True)


def main() -> None:
    args = parse()
    from attribeval.models.run_options import check_precision, tf32

    check_precision(args.precision)
    print(device())
    with tf32(args.precision == "tf32"):  # for the bare function and the libraries, too
        for size in args.sizes or {"tiny": [224, 32], "small": [32]}.get(args.net, [224]):
            table(args, size)


if __name__ == "__main__":
    main()
