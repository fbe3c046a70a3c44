"""Train the two small nets for `digit_scenes` that ship with the package, and print how good they are.

    python data/make_digit_nets.py              # both nets, about a quarter of an hour on two cores
    python data/make_digit_nets.py --validate   # hold out part of train instead; writes nothing

Each epoch sees fresh composites (another seed) of the *training* digits and regions, so the nets fit the data set and
not 10,000 images of it. Widths, epochs and learning rate were chosen with --validate; the test split is read once, at
the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from attribeval.datasets.digit_pictures import cut_tiles, read_photograph
from attribeval.datasets.digit_scenes import CROP, OBJECTS, SCENES, SceneSplit, digit_scenes

FOLDER = Path(__file__).resolve().parents[1] / "attribeval" / "models" / "digit_nets"
N_TRAIN = 10_000
BATCH = 64
PEAK_RATE = 3e-3
# label -> (file, widths of the conv blocks by stage, epochs); the stages work at sides 64, 32, 16, 8
NETS = {
    "object": ("digit_objects.keras", ((16,), (24, 32), (40, 48), (64, 64)), 12),
    "scene": ("digit_scenes.keras", ((12,), (16, 24), (32, 32), (40, 40)), 10),
}
# What Keras newer than 3.10 writes into a configuration at its default value, and older Keras refuses to read.
YOUNG = {
    "input_axes": None, "output_axes": None, "quantization_config": None,
    "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99,
}  # fmt: skip


def build(label: str) -> keras.Model:
    """Raw pixels 0 to 255 (N, 64, 64, 3) -> probabilities (N, 10)."""
    file, stages, _ = NETS[label]
    inputs = keras.Input((CROP, CROP, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    for stage, widths in enumerate(stages, start=1):
        for block, width in enumerate(widths, start=1):
            name = f"conv{stage}_{block}"
            # Halving by 2 × 2 filters keeps every cell centred on the pixels it sees. A 3 × 3 filter at stride 2 with
            # "same" padding looks half a pixel to the lower right each time, and shifts class activation maps.
            halve = stage > 1 and block == 1
            size, stride = (2, 2) if halve else (3, 1)
            x = keras.layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
            x = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(10, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, outputs, name=file.removesuffix(".keras"))


def labels_of(split: SceneSplit, label: str) -> np.ndarray:
    return split.objects if label == "object" else split.scenes


def held_out(split: SceneSplit, label: str) -> np.ndarray:
    """Which images --validate keeps from training: a tenth of the digits, or a seventh of the photographs' tiles."""
    if label == "object":
        return split.digit_index % 10 == 0
    tiles = [[box for box, _ in cut_tiles(read_photograph(scene).shape)] for scene in SCENES]

    def tile_of(scene: int, crop: np.ndarray) -> int:
        x0, y0, x1, y1 = crop
        inside = [left <= x0 and top <= y0 and x1 <= right and y1 <= low for left, top, right, low in tiles[scene]]
        return inside.index(True)

    return np.array([tile_of(scene, crop) % 7 == 1 for scene, crop in zip(split.scenes, split.crops, strict=True)])


def augmented(split: SceneSplit, label: str, rng: np.random.Generator) -> np.ndarray:
    """Composites to train on. For the scene net each scene is mirrored at random, never the digit upon it."""
    if label == "object":
        return split.images
    scenes = split.scene_only.copy()
    for mirror in (lambda x: x[:, :, ::-1], lambda x: x[:, ::-1], lambda x: x.transpose(0, 2, 1, 3)):
        chosen = rng.random(len(scenes)) < 0.5
        scenes[chosen] = mirror(scenes[chosen])
    return np.where(split.masks[..., None], split.images, scenes)


def train(label: str, validate: bool) -> keras.Model:
    _, _, epochs = NETS[label]
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = build(label)
    steps = epochs * (N_TRAIN // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE / 10, steps, warmup_target=PEAK_RATE, warmup_steps=100)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.05)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(epochs):
        start = time.perf_counter()
        split = digit_scenes(n_train=N_TRAIN, n_test=1, seed=epoch).train
        out = held_out(split, label) if validate else np.zeros(len(split), bool)
        images, labels = augmented(split, label, rng), labels_of(split, label)
        fitted = model.fit(images[~out], labels[~out], batch_size=BATCH, verbose=0).history
        line = f"{label} epoch {epoch + 1}/{epochs}: loss {fitted['loss'][0]:.4f}, accuracy {fitted['accuracy'][0]:.4f}"
        if validate:
            line += f", held out {accuracy(model, split.images[out], labels[out]):.4f} of {out.sum()}"
        print(f"{line}, {time.perf_counter() - start:.0f} s", flush=True)
    return model


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(model.predict(images, batch_size=256, verbose=0).argmax(1) == labels))


def save(model: keras.Model, path: Path) -> None:
    """Write weights and architecture alone, as Keras 3.10 can read them: no optimizer, no compile step."""
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"partial_{path.name}")
    bare.save(temporary)
    make_portable(temporary)
    temporary.replace(path)


def make_portable(path: Path) -> None:
    """Take what older Keras refuses out of the configuration of a `.keras` file; weights keep every bit."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    temporary = path.with_name(f"portable_{path.name}")
    with zipfile.ZipFile(temporary, "w") as archive:
        for info, content in members:
            if info.filename == "config.json":
                content = json.dumps(_without_young(json.loads(content))).encode()
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    temporary.replace(path)


def _without_young(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_young(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = [key for key in YOUNG if key in node and node[key] != YOUNG[key]]
    if changed:
        raise SystemExit(f"Expected defaults, which older Keras has as well. Received: {changed} of {node}.")
    return {key: _without_young(value) for key, value in node.items() if key not in YOUNG}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validate", action="store_true", help="hold out part of train, write nothing")
    parser.add_argument("--only", choices=sorted(NETS), help="one net instead of both")
    arguments = parser.parse_args()
    wanted = [arguments.only] if arguments.only else list(NETS)
    trained = {label: train(label, arguments.validate) for label in wanted}
    if arguments.validate:
        return
    test = digit_scenes(n_train=1).test
    for label, model in trained.items():
        names, labels = (OBJECTS if label == "object" else SCENES), labels_of(test, label)
        path = FOLDER / NETS[label][0]
        save(model, path)
        loaded = keras.models.load_model(path, compile=False, safe_mode=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {loaded.count_params()} parameters")
        parts = {"composites": test.images, "object only": test.object_only, "scene only": test.scene_only}
        for what, images in parts.items():
            print(f"  test accuracy on {what}: {accuracy(loaded, images, labels):.4f}")
        right = loaded.predict(test.images, batch_size=256, verbose=0).argmax(1) == labels
        print("  by class: " + ", ".join(f"{name} {right[labels == k].mean():.3f}" for k, name in enumerate(names)))


if __name__ == "__main__":
    main()
