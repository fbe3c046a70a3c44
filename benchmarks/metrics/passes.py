"""What the leaderboard's benchmarks cost: passes of the model, how many are wasted, and what batches save.

    python benchmarks/metrics/passes.py --images 8

Each benchmark scores the maps of a few methods. Columns: the passes that it asked for, all methods together; of these,
repeats of an image that had been asked about before (goal: 0 but for chance: two maps that name the same regions;
images are told apart by their pixels); what it asks for where each map is scored by itself, as libraries do, the clean
image included; and seconds with all images together beside one image at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from attribeval import Attributer, datasets
from attribeval.common.seeds import image_seeds
from attribeval.methods.given import ranking
from attribeval.methods.registry import build_method
from attribeval.metrics.registry import BENCHMARKS, build_benchmark
from attribeval.metrics.subject import Explained, Subject

METHODS = ("gradient", "gradcam", "guided_backprop", "random")


class Counted:
    """A model that remembers which images it was asked about."""

    def __init__(self, attributer: Attributer):
        self.attributer = attributer
        self.forget()

    def forget(self) -> None:
        self.passes, self.seen = 0, set()

    @property
    def repeats(self) -> int:
        return self.passes - len(self.seen)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.passes += len(images)
        self.seen |= {hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest() for image in images}
        return self.attributer.answer(images)


def subject_of(model: Counted, samples, images: np.ndarray) -> Subject:
    subject = Subject(
        images, np.zeros(len(images), int), model, image_seeds(images, 0), samples, model.attributer.classifier
    )
    subject.targets = subject.logits.argmax(1)
    return subject


def explained_by(attributer: Attributer, name: str, subject: Subject) -> Explained:
    method = build_method(name)

    def explain(asked: Attributer, images, targets, seeds):
        return asked.explain_many(images, {name: method}, targets, seed=seeds, progress=False)[name]

    maps = explain(attributer, subject.images, subject.targets, subject.seeds)
    return Explained(
        maps.values,
        maps.heatmap(reduce=ranking(method)),
        lambda *other: explain(attributer, *other).values,
        lambda classifier, *other: explain(Attributer(classifier), *other).values,
    )


def score(name: str, subject: Subject, maps: dict[str, Explained]) -> dict[str, np.ndarray]:
    benchmark = build_benchmark(name)
    prepared = benchmark.prepare(subject)
    return {method: benchmark.score(subject, prepared, of_method) for method, of_method in maps.items()}


def fresh(maps: dict[str, Explained], rows: slice = slice(None)) -> dict[str, Explained]:
    """The same maps without what benchmarks left in them."""
    return {
        name: Explained(one.values[rows], one.heat[rows], one.explain, one.explain_with) for name, one in maps.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--model", default="digit_objects")
    parser.add_argument("--preprocess")
    parser.add_argument("--imagenet", help="photographs; default: the embedded digit scenes")
    parser.add_argument("--benchmarks", nargs="+", default=list(BENCHMARKS))
    args = parser.parse_args()
    attributer = Attributer(args.model, preprocess=args.preprocess)
    every = datasets.imagenet(args.imagenet) if args.imagenet else datasets.digit_scenes().test.samples(label="object")
    samples = every[: args.images]
    images = attributer.read(samples)
    model = Counted(attributer)
    subject = subject_of(model, samples, images)
    maps = {name: explained_by(attributer, name, subject) for name in METHODS}
    print(f"{len(images)} images, {len(METHODS)} methods, {attributer}\n")
    heads = f"{'benchmark':26} {'passes':>7} {'repeats':>8} {'apart':>7} {'saved':>6}"
    print(f"{heads} {'together':>9} {'one by one':>10} {'ratio':>6}")
    totals = np.zeros(3, int)
    for name in args.benchmarks:
        model.forget()
        one = subject_of(model, samples, images)
        clean = fresh(maps)
        score(name, one, clean)  # compiles what is compiled once
        passes, repeats = model.passes, model.repeats
        apart = 0
        for method in METHODS:
            model.forget()
            score(name, subject_of(model, samples, images), {method: fresh(maps)[method]})
            apart += model.passes
        begun = time.perf_counter()
        together = score(name, subject_of(model, samples, images), fresh(maps))
        middle = time.perf_counter()
        by_one = [
            score(name, subject_of(model, samples[i : i + 1], images[i : i + 1]), fresh(maps, slice(i, i + 1)))
            for i in range(len(images))
        ]
        ended = time.perf_counter()
        if name != "sufficiency":  # which compares the images with each other
            for method in METHODS:
                alone = np.concatenate([scores[method] for scores in by_one])
                np.testing.assert_allclose(together[method], alone, rtol=2e-2, atol=2e-3, err_msg=f"{name}, {method}")
        seconds = middle - begun, ended - middle
        totals += passes, repeats, apart
        counts = f"{name:26} {passes:7} {repeats:8} {apart:7} {apart / passes:5.1f}×"
        print(f"{counts} {seconds[0]:8.2f}s {seconds[1]:9.2f}s {seconds[1] / seconds[0]:5.1f}×", flush=True)
    print(f"\nSum: {totals[0]} passes, {totals[1]} of them repeats; {totals[2]} with each map by itself.")
    model.forget()
    all_at_once, clean = subject_of(model, samples, images), fresh(maps)
    for name in args.benchmarks:
        score(name, all_at_once, clean)
    print(f"In one table: {model.passes} passes, {model.repeats} of them repeats.")


if __name__ == "__main__":
    main()
