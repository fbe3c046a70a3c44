"""Maps of many images by many methods, of which only g_c is kept: in chunks, each a file, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.benchmarks.bam.region import Protocol, heat, random_masks, region_average
from attribeval.benchmarks.bam.stimuli import Stimulus
from attribeval.common.versions import versions
from attribeval.methods.card import Method
from attribeval.models.classifier import Classifier
from attribeval.runs import failures
from attribeval.runs.keys import digest_of, method_key, model_key, slug
from attribeval.runs.store import Store

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Averages:
    """g_c of one method on N images.

    Attributes:
        region: In the images' regions, float64 (N,), 0 to 1.
        random: In as many random pixels, (N,): the baseline.
        seconds: Per image.
        error: Why some images have NaN; "" if none has.
    """

    region: np.ndarray
    random: np.ndarray
    seconds: float
    error: str = ""


def averages(
    classifier: Classifier,
    stimulus: Stimulus,
    methods: Mapping[str, Method],
    store: Store,
    content: str,
    options: BamOptions,
) -> dict[str, Averages]:
    """Explain the predicted class of every image, and average the maps over the regions, by label of the method.

    Chunks that the store holds are not computed again; `content` is a fingerprint of the data set that the images are
    from. Unless `strict`, images of a method that fails have NaN, and are not written.
    """
    attributer, seed, protocol = Attributer(classifier), options.seed, options.protocol
    about = [model_key(classifier), content, stimulus.name, protocol, seed, versions()]
    found: dict[str, list[dict[str, np.ndarray]]] = {label: [] for label in methods}
    failed: dict[str, list[str]] = {label: [] for label in methods}
    starts = range(0, len(stimulus.items), _CHUNK)
    with progress_bars.bar(len(stimulus.items), f"{classifier.name}, {stimulus.name}", options.progress) as bar:
        for start in starts:
            places = np.arange(start, min(start + _CHUNK, len(stimulus.items)))
            items = stimulus.items[places]
            names = {label: _name(about, method, items) for label, method in methods.items()}
            read = {label: store.read_arrays(name) for label, name in names.items()}
            missing = {label: methods[label] for label, arrays in read.items() if arrays is None}
            if missing:
                images, masks = stimulus.load(places)
                images, elsewhere = np.asarray(images, np.float32), random_masks(masks, seed, items.tolist())

                def explain(
                    some: dict[str, Method], images: np.ndarray = images, regions: Any = (masks, elsewhere)
                ) -> dict[str, dict[str, np.ndarray]]:
                    maps = attributer.explain_many(
                        images, some, seed=seed, batch_size=options.batch_size, progress=False, remarks=False
                    )
                    return {label: _regions(of_one, protocol, *regions) for label, of_one in maps.items()}

                made, lacking = failures.each(explain, missing, options.strict)
                for label, one in made.items():
                    store.write_arrays(names[label], one)
                nothing = np.full(len(places), np.nan)
                for label, reason in lacking.items():
                    failed[label].append(failures.of_images(int(items[0]), int(items[-1]), reason))
                    made[label] = {"region": nothing, "random": nothing, "seconds": np.array(np.nan)}
                read |= made
            for label, arrays in read.items():
                if arrays is not None:
                    found[label].append(arrays)
            bar.update(len(places))
    return {
        label: Averages(
            np.concatenate([chunk["region"] for chunk in chunks]),
            np.concatenate([chunk["random"] for chunk in chunks]),
            _seconds_per_image(chunks),
            failures.row_text(failed[label], len(starts), kept=True),
        )
        for label, chunks in found.items()
    }


def _regions(maps: Attributions, protocol: Protocol, masks: np.ndarray, elsewhere: np.ndarray) -> dict[str, np.ndarray]:
    heatmaps = heat(maps.values, protocol)
    return {
        "region": region_average(heatmaps, masks),
        "random": region_average(heatmaps, elsewhere),
        "seconds": np.array(maps.seconds),
    }


def _seconds_per_image(chunks: list[dict[str, np.ndarray]]) -> float:
    made = [chunk for chunk in chunks if np.isfinite(chunk["seconds"])]
    return float(sum(c["seconds"] for c in made)) / sum(len(c["region"]) for c in made) if made else float("nan")


def _name(about: list[Any], method: Method, items: np.ndarray) -> str:
    return f"averages/{slug(method.card.name)}/{digest_of([about, method_key(method), items.tolist()])}"
