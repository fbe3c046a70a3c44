"""Train the segmenter and the detector of `digit_pairs` that ship with the package, and print how good they are.

    python data/make_pair_nets.py                        # both, some minutes each on one core
    python data/make_pair_nets.py --only detector        # one
    python data/make_pair_nets.py --validate             # hold out a tenth of the digits instead; writes nothing

Each epoch sees fresh pairs (another seed) of the training digits and regions. Widths, epochs and learning rate were
chosen with --validate; the test split is read once, at the end.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from make_digit_nets import FOLDER, save

from attribeval.datasets.digit_pairs import DigitPairs, digit_pairs
from attribeval.datasets.digit_scenes import CROP, OBJECTS, SceneSplit, digit_scenes

N_SCENES = 10_000  # of an epoch: about 4,500 pairs
BATCH = 32
PEAK_RATE = 4e-3
EPOCHS = {"segmenter": 8, "detector": 8}
STRIDE = 8  # pixels of the image a cell of the detector stands for, along each side
ROWS, COLUMNS = CROP // STRIDE, 2 * CROP // STRIDE
CELLS = ROWS * COLUMNS

layers = keras.layers


def block(x: Any, width: int, name: str, size: int = 3, stride: int = 1, rate: int = 1) -> Any:
    """A convolution, BatchNorm and ReLU."""
    x = layers.Conv2D(
        width, size, strides=stride, dilation_rate=rate, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    return layers.ReLU(name=name)(layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x))


def body() -> tuple[Any, Any, Any]:
    """The input, and features at a half and an eighth of its sides; these see some 100 pixels around."""
    inputs = keras.Input((CROP, 2 * CROP, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    # Even filters halve about the centres of what they see; 3 × 3 at stride 2 would look half a pixel aside.
    half = block(x, 16, "half", size=4, stride=2)
    x = block(half, 24, "quarter1", size=2, stride=2)
    x = block(x, 28, "quarter2")
    x = block(x, 40, "eighth1", size=2, stride=2)
    x = block(x, 40, "eighth2")
    return inputs, half, block(x, 40, "eighth3", rate=2)


def segmenter() -> keras.Model:
    """Raw pixels 0 to 255 (N, 64, 128, 3) → probabilities (N, 64, 128, 11) of ten digits and the scene."""
    inputs, half, x = body()
    x = layers.Conv2D(20, 1, name="what")(x)
    x = layers.UpSampling2D(4, interpolation="bilinear", name="to_half")(x)
    x = layers.Concatenate(name="what_and_where")([x, half])
    x = block(x, 20, "decoded")
    x = layers.Conv2D(len(OBJECTS) + 1, 1, name="logits")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="to_image")(x)
    return keras.Model(inputs, layers.Softmax(name="pixels")(x), name="digit_segmenter")


def centres() -> np.ndarray:
    """Middles of the cells, (128, 2), x and y in pixels."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS] * STRIDE + STRIDE / 2
    return np.stack([x.ravel(), y.ravel()], 1)


def detector() -> keras.Model:
    """Raw pixels 0 to 255 (N, 64, 128, 3) → boxes, classes and objectness of each of 128 cells.

    Boxes are x0, y0, x1, y1 relative to the image, (N, 128, 4); classes probabilities (N, 128, 10); objectness
    (N, 128): whether the middle of the cell lies in the inner half of a digit's box.
    """
    inputs, _, x = body()

    def head(units: int, name: str) -> Any:
        return layers.Reshape((CELLS, units), name=f"{name}_cells")(layers.Conv2D(units, 1, name=f"{name}_map")(x))

    away = layers.Activation("sigmoid", name="distances")(head(4, "boxes"))  # from the middle to each edge, × 64 pixels
    edges = layers.EinsumDense("nac,ac->nac", (CELLS, 4), bias_axes="ac", trainable=False, name="boxes")
    boxes = edges(away)
    sides = np.array([2 * CROP, CROP] * 2)
    edges.set_weights([np.tile(CROP * np.array([-1, -1, 1, 1]) / sides, (CELLS, 1)), np.tile(centres(), 2) / sides])
    classes = layers.Softmax(name="classes")(head(len(OBJECTS), "class"))
    objectness = layers.Conv2D(1, 1, name="object_map")(x)
    objectness = layers.Activation("sigmoid", name="objectness")(layers.Reshape((CELLS,), name="cells")(objectness))
    outputs = {"boxes": boxes, "classes": classes, "objectness": objectness}
    return keras.Model(inputs, outputs, name="digit_detector")


def cells_of(pairs: DigitPairs) -> dict[str, np.ndarray]:
    """What the detector should say: rows of zeros where a cell has no object."""
    x, y = centres().T
    boxes = np.zeros((len(pairs), CELLS, 4), np.float32)
    classes = np.zeros((len(pairs), CELLS, len(OBJECTS)), np.float32)
    for side in (0, 1):
        box = pairs.boxes[:, side, None]
        inner = np.abs(x - (box[..., 0] + box[..., 2]) / 2) < (box[..., 2] - box[..., 0]) / 4
        inner &= np.abs(y - (box[..., 1] + box[..., 3]) / 2) < (box[..., 3] - box[..., 1]) / 4
        boxes = np.where(inner[..., None], box / ([2 * CROP, CROP] * 2), boxes)
        classes += inner[..., None] * np.eye(len(OBJECTS))[pairs.objects[:, side, None]]
    return {"boxes": boxes.astype(np.float32), "classes": classes, "objectness": classes.sum(2)}


def overlap(a: Any, b: Any) -> Any:
    """IoU of boxes (..., 4) with boxes (..., 4)."""
    inner = tf.maximum(tf.minimum(a[..., 2:], b[..., 2:]) - tf.maximum(a[..., :2], b[..., :2]), 0)
    area = [tf.reduce_prod(tf.maximum(one[..., 2:] - one[..., :2], 0), -1) for one in (a, b)]
    both = tf.reduce_prod(inner, -1)
    return tf.math.divide_no_nan(both, area[0] + area[1] - both)


def box_loss(wanted: Any, boxes: Any) -> Any:
    has = tf.cast(wanted[..., 2] > 0, boxes.dtype)
    aside = tf.reduce_sum(tf.abs(wanted - boxes), -1)
    return tf.reduce_sum(has * (1 - overlap(wanted, boxes) + 2 * aside), 1) / tf.maximum(tf.reduce_sum(has, 1), 1)


def class_loss(wanted: Any, classes: Any) -> Any:
    each = -tf.reduce_sum(wanted * tf.math.log(tf.maximum(classes, 1e-7)), (1, 2))
    return each / tf.maximum(tf.reduce_sum(wanted, (1, 2)), 1)


def train(kind: str, validate: bool) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = segmenter() if kind == "segmenter" else detector()
    steps = EPOCHS[kind] * (N_SCENES * 45 // 100 // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE / 10, steps, warmup_target=PEAK_RATE, warmup_steps=100)
    loss: Any = "sparse_categorical_crossentropy"
    if kind == "detector":
        loss = {"boxes": box_loss, "classes": class_loss, "objectness": "binary_crossentropy"}
    weights = {"boxes": 1.0, "classes": 1.0, "objectness": 2.0} if kind == "detector" else None
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.02), loss, loss_weights=weights)
    for epoch in range(EPOCHS[kind]):
        start = time.perf_counter()
        split = digit_scenes(n_train=N_SCENES, n_test=1, seed=epoch).train
        out = (split.digit_index % 10 == 0) & validate
        pairs = digit_pairs(_only(split, ~out))
        wanted = pairs.pixels if kind == "segmenter" else cells_of(pairs)
        fitted = model.fit(pairs.images, wanted, batch_size=BATCH, verbose=0).history
        line = f"{kind} epoch {epoch + 1}/{EPOCHS[kind]}: loss {fitted['loss'][0]:.4f}"
        if validate:
            line += f", held out: {measured(kind, model, digit_pairs(_only(split, out)))}"
        print(f"{line}, {time.perf_counter() - start:.0f} s", flush=True)
    return model


def _only(split: SceneSplit, kept: np.ndarray) -> SceneSplit:
    arrays = {name: value[kept] for name, value in vars(split).items() if name != "name"}
    return SceneSplit(name=split.name, **arrays)


def measured(kind: str, model: keras.Model, pairs: DigitPairs) -> str:
    outputs = model.predict(pairs.images, batch_size=64, verbose=0)
    return segmented(outputs, pairs) if kind == "segmenter" else detected(outputs, pairs)


def segmented(probabilities: np.ndarray, pairs: DigitPairs) -> str:
    """IoU of each class over all pixels of all images."""
    found, true = probabilities.argmax(-1), pairs.pixels
    iou = [((found == k) & (true == k)).sum() / ((found == k) | (true == k)).sum() for k in range(len(OBJECTS) + 1)]
    return f"mean IoU of digits {np.mean(iou[:-1]):.3f}, of the scene {iou[-1]:.3f}, {(found == true).mean():.4f} right"


def detected(outputs: dict[str, np.ndarray], pairs: DigitPairs) -> str:
    """Boxes above 0.5, thinned at IoU 0.5: right is the class of a digit and IoU 0.5 or more with its box, once."""
    hits = found = 0
    sizes = []
    for boxes, classes, objectness, objects, true in zip(
        outputs["boxes"], outputs["classes"], outputs["objectness"], pairs.objects, pairs.boxes, strict=True
    ):
        sure = classes.max(1) * objectness
        kept = tf.image.non_max_suppression(boxes, sure, 10, iou_threshold=0.5, score_threshold=0.5).numpy()
        found += len(kept)
        for digit, box in zip(objects, true / ([2 * CROP, CROP] * 2), strict=True):
            ious = overlap(boxes[kept], box.astype(np.float32)).numpy() * (classes[kept].argmax(1) == digit)
            if len(kept) and ious.max() >= 0.5:
                hits += 1
                sizes.append(ious.max())
    total = 2 * len(pairs)
    iou = np.mean(sizes) if sizes else np.nan
    return f"{hits / total:.3f} of digits found, {hits / max(found, 1):.3f} of boxes right, mean IoU {iou:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validate", action="store_true", help="hold out part of train, write nothing")
    parser.add_argument("--only", choices=sorted(EPOCHS), help="one net instead of both")
    arguments = parser.parse_args()
    for kind in [arguments.only] if arguments.only else EPOCHS:
        model = train(kind, arguments.validate)
        if arguments.validate:
            continue
        path = FOLDER / f"digit_{kind}.keras"
        save(model, path)
        loaded = keras.models.load_model(path, compile=False, safe_mode=True)
        pairs = digit_pairs(digit_scenes(n_train=1).test)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {loaded.count_params()} parameters")
        print(f"  {len(pairs)} test pairs: {measured(kind, loaded, pairs)}")


if __name__ == "__main__":
    main()
