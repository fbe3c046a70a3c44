"""IDSDS and F-Fidelity with a net that really was fine-tuned, beside the net as it was.

    ATTRIBEVAL_REAL_DATA=DIR python benchmarks/metrics/fine_tuned.py --work runs/fine_tuned --on photographs
    ATTRIBEVAL_REAL_DATA=DIR python benchmarks/metrics/fine_tuned.py --work runs/fine_tuned --on cifar10

Photographs: an ImageNet-trained MobileNet (width .75), fine-tuned on 200 of 300 validation photographs; CIFAR-10: a
small net trained here on the training part. Everything printed is of images that no training saw and no choice was made
on. First the accuracy of the nets on whole images, on images that lost a sixteenth (all sixteen in turn), and that lost
a tenth of their pixels: whether fine-tuning did its work. Then, per method, IDSDS (maps of the net that loses patches)
and F-Fidelity (maps of the net as it was, judged by the net that loses pixels), with intervals over images, and the
rank correlation of both columns. Nets and scores are kept in the folder; the same call goes on there.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

FILL = 127.5  # 0 in the space of both nets, as in the papers
METHODS = ["gradient", "gradient_x_input", "integrated_gradients(steps=16)", "smoothgrad_squared(gradient, samples=8)",
           "guided_backprop", "gradcam", "lrp"]  # fmt: skip
NET = "mobilenet_075_imagenet.keras"


def photographs(real: Path, work: Path, arguments: argparse.Namespace):
    """Net, its preprocessing, training images and labels, test samples, and the recipe of fine-tuning."""
    from attribeval import Attributer, Recipe
    from attribeval.datasets import imagenet

    samples = imagenet(real / "ILSVRC")
    order = np.random.default_rng(0).permutation(len(samples))
    train, test = (samples[np.sort(part)] for part in (order[:200], order[200:]))
    attributer = Attributer(real / "models" / NET, preprocess="mobilenet")
    recipe = Recipe(epochs=arguments.epochs or 5, batch_size=20, optimizer="sgd", learning_rate=1e-3,
                    schedule="cosine", weight_decay=0.0)  # fmt: skip
    return attributer, attributer.read(train), train.labels, test, recipe


def cifar10(real: Path, work: Path, arguments: argparse.Namespace):
    """The same of a small net, which is trained first."""
    import tensorflow as tf

    from attribeval import Attributer, Recipe
    from attribeval.datasets import npz
    from attribeval.models.small_net import small_net
    from attribeval.training.loop import train

    data = npz(real / "cifar10_15k.npz")
    images, labels = data.train.load(), data.train.labels
    file = work / "cifar10.keras"
    if not file.is_file():
        tf.keras.utils.set_random_seed(0)
        model, recipe = small_net((32, 32, 3), 10), Recipe(epochs=12)

        def batches(size: int, pipeline: tuple[int, int]):
            whole = tf.data.Dataset.from_tensor_slices((images.astype(np.float32), labels.astype(np.int32)))
            return whole.shuffle(len(images), seed=0).repeat().batch(size, drop_remainder=True)

        train(model, batches, len(images), recipe, tf.distribute.get_strategy())
        model.save(file)
    recipe = Recipe(epochs=arguments.epochs or 6, learning_rate=1e-3)
    return Attributer(file), images, labels, data.test[: arguments.test or 300], recipe


def tuned(attributer, images, labels, deletion: str, recipe, file: Path) -> Path:
    """The file of the fine-tuned net, which is made if it is not there."""
    from attribeval.metrics.faithfulness.fine_tuning import fine_tune

    if not file.is_file():
        begun = time.perf_counter()
        preprocess = "mobilenet" if file.name.startswith("photographs") else None
        model = fine_tune(attributer.classifier.model, images, labels, deletion=deletion, fill=FILL,
                          preprocess=preprocess, recipe=recipe)  # fmt: skip
        model.save(file)
        print(f"fine-tuned with deletion={deletion}: {time.perf_counter() - begun:.0f} s", flush=True)
    return file


def accuracies(attributer, images: np.ndarray, labels: np.ndarray) -> list[float]:
    """On whole images, without each sixteenth in turn, and without a random tenth of the pixels (four draws)."""
    from attribeval.metrics.faithfulness.cells import grid_cells

    cells, rng = grid_cells(images.shape[1:3], 4), np.random.default_rng(1)
    holes = [np.broadcast_to(cells == k, images.shape[:3]) for k in range(16)]
    tenth = [rng.random(images.shape[:3]) < 0.1 for _ in range(4)]

    def right(masks: list[np.ndarray]) -> float:
        answers = [
            attributer.answer(np.where(mask[..., None], np.float32(FILL), images))[0].argmax(1) for mask in masks
        ]
        return float((np.stack(answers) == labels).mean())

    return [right([np.zeros(images.shape[:3], bool)]), right(holes), right(tenth)]


def board(attributer, test, benchmarks, folder: Path):
    from attribeval import Evaluator

    return Evaluator(attributer, test).compare(METHODS, benchmarks, targets="label", run_dir=folder)


def columns_text(columns: dict, names: list[str]) -> None:
    """The table, and how the orders of methods agree between a net and its fine-tuned copy."""
    from attribeval.metrics.correlation import spearman
    from attribeval.results.statistics import bootstrap_interval

    rows = {name: result.table[result.table["benchmark"] == label].set_index("method")
            for name, (result, label) in columns.items()}  # fmt: skip
    print("\n| method | " + " | ".join(columns) + " |\n| --- |" + " ---: |" * len(columns))
    for method in names:
        cells = [rows[name].loc[method] for name in columns]
        print(
            f"| {method} | "
            + " | ".join(
                f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) #{row['rank']:g}" for row in cells
            )
            + " |"
        )
    for benchmark in ("IDSDS", "F-Fidelity"):
        pair = [name for name in columns if name.startswith(benchmark)]
        scores = []
        for name in pair:
            result, label = columns[name]
            scores.append(result.arrays["scores"][[result.settings["methods"].index(one) for one in METHODS],
                                                  list(result.settings["better"]).index(label)])  # fmt: skip
        both = np.nan_to_num(np.concatenate(scores)).T  # (N, 2 M); an image without an order tells nothing

        def rho(drawn: np.ndarray) -> float:
            return float(spearman(*np.split(drawn.mean(0), 2)))

        low, high = bootstrap_interval(both, rho)
        print(f"{benchmark}, order of the {len(METHODS)} methods by the net as it was and fine-tuned: "
              f"Spearman's ρ {rho(both):.2f} ({low:.2f} to {high:.2f} over images)")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path, metavar="DIR", help="nets and scores are kept here")
    parser.add_argument("--on", choices=["photographs", "cifar10"], default="photographs")
    parser.add_argument("--epochs", type=float, help="of fine-tuning (5, CIFAR-10: 6)")
    parser.add_argument("--test", type=int, help="test images that are explained (40, CIFAR-10: 300)")
    parser.add_argument("--samples", type=int, help="removals of F-Fidelity by size and side (1, CIFAR-10: 2)")
    arguments = parser.parse_args()
    real = Path(os.environ.get("ATTRIBEVAL_REAL_DATA", "../shared/real"))
    if not real.is_dir():
        print(
            f"Skipped: no real data at {real}. Set ATTRIBEVAL_REAL_DATA to a folder with ILSVRC, models and CIFAR-10."
        )
        return
    from attribeval import Attributer
    from attribeval.metrics.faithfulness.f_fidelity import FFidelity
    from attribeval.metrics.faithfulness.idsds import IDSDS

    begun = time.perf_counter()
    arguments.work.mkdir(parents=True, exist_ok=True)
    subject = {"photographs": photographs, "cifar10": cifar10}[arguments.on]
    original, images, labels, test, recipe = subject(real, arguments.work, arguments)
    preprocess = "mobilenet" if arguments.on == "photographs" else None
    named = {deletion: arguments.work / f"{arguments.on}-{deletion}.keras" for deletion in ("patch", "pixels")}
    files = {deletion: tuned(original, images, labels, deletion, recipe, file) for deletion, file in named.items()}
    nets = {"as it was": original} | {f"fine-tuned ({name})": Attributer(file, preprocess=preprocess)
                                      for name, file in files.items()}  # fmt: skip
    shown = original.read(test)
    print(f"{len(images)} images for fine-tuning, {len(test)} to test\n")
    print("| accuracy | whole | less a sixteenth | less a tenth of pixels |\n| --- | ---: | ---: | ---: |")
    for name, net in nets.items():
        print(f"| {name} | " + " | ".join(f"{100 * one:.1f} %" for one in accuracies(net, shown, test.labels)) + " |",
              flush=True)  # fmt: skip
    test = test[: arguments.test or 40] if arguments.on == "photographs" else test
    samples = arguments.samples or (1 if arguments.on == "photographs" else 2)
    fidelity = {"sizes": (0.1, 0.3, 0.5), "samples": samples, "fill": FILL}
    asked = {
        "idsds": IDSDS(fill=FILL),
        "f": FFidelity(**fidelity),
        "tuned": FFidelity(**fidelity, model=files["pixels"]),
    }
    before = board(original, test, asked, arguments.work / f"{arguments.on}-as-it-was")
    after = board(nets["fine-tuned (patch)"], test, {"idsds": asked["idsds"]}, arguments.work / f"{arguments.on}-patch")
    columns = {"IDSDS, as it was": (before, "idsds"), "IDSDS, fine-tuned": (after, "idsds"),
               "F-Fidelity, as it was": (before, "f"), "F-Fidelity, fine-tuned": (before, "tuned")}  # fmt: skip
    columns_text(columns, [*METHODS, "sobel", "random"])
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
