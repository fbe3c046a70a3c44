"""What the attribution benchmarks share: untrained networks, and timing in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

NETWORKS = {"resnet50": "ResNet50", "vgg16": "VGG16", "mobilenet": "MobileNet"}


def network(name: str, size: int) -> Any:
    """An untrained network whose BatchNorm statistics are those of real activations (with 0 and 1 they fade out)."""
    import keras

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, NETWORKS[name])(weights=None, input_shape=(size, size, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(1).normal(size=(4, size, size, 3)).astype(np.float32), training=True)
    return model


def best(functions: Mapping[str, Callable[[], object]], repeats: int, clock: str = "wall") -> dict[str, float]:
    """Seconds of each function, the best of several rounds in which they take turns, after one that does not count.

    Args:
        functions: What to time, by label.
        repeats: Rounds that count.
        clock: "wall", or "cpu" for processor seconds, which is fairer where other programs want the same cores.
    """
    read = time.process_time if clock == "cpu" else time.perf_counter
    seconds = dict.fromkeys(functions, np.inf)
    for turn in range(repeats + 1):
        for label, function in functions.items():
            begun = read()
            function()
            if turn:
                seconds[label] = min(seconds[label], read() - begun)
    return seconds
