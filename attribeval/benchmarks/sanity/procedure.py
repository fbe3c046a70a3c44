"""Model parameter randomisation: the maps of a model, layer after layer made random, against its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.benchmarks.sanity.chunk import Chunk, Run
from attribeval.benchmarks.sanity.explaining import chosen_methods
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.sanity.summary import Curve, Part, summarise
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.datasets.source import ImageSource
from attribeval.errors import AttribevalError
from attribeval.methods.given import kind_of
from attribeval.metrics.sanity.similarity import choose_similarities
from attribeval.models.randomised import WeightedLayer, choose_layers, weighted_layers
from attribeval.results.result import Result
from attribeval.runs.store import Store

_CHUNK = 32
_PANELS = 8  # maps of the picture's image, the trained model's among them


@takes(SanityOptions)
def run_sanity(attributer: Attributer, images: Any, options: SanityOptions) -> Result:
    """Make the model's weights random from the output down, and ask how much the maps change.

    Adebayo et al. 2018, section 3: a map that does not change has nothing to do with what the model has learned. The
    class that the trained model predicts is explained throughout. `docs/sanity.md` says when the answer misleads.

    Args:
        attributer: The explained model. Its weights are changed while this runs, and put back, whatever happens.
        images: What `Attributer.explain` takes, `Samples` too.

    Returns:
        `table` with one row per method, mode, layer and similarity, methods that changed most first, and columns:
        method; kind ("method", "control"); mode; step (place of the layer, 1 is next to the output); layer; metric
        (the similarity); value (mean over images), low, high (95 % interval over images, Student's t); images (those
        with a number: a constant map has none); seconds_per_image; error (why numbers of all or of some images are
        missing, see `runs.failures`). `arrays` holds
        "<method>|<mode>|<metric>", float32 (steps, N), and maps of the first image along the cascade.
        `settings["unchanged_layers"]`: layers that have no initialiser and nothing to train.

    Raises:
        AttribevalError: If an argument is out of range, or a layer cannot be made random, which is named.
    """
    built = chosen_methods(options.methods)
    modes = [options.modes] if isinstance(options.modes, str) else list(options.modes)
    source = ImageSource(images, attributer.classifier.input_shape)
    first = source.load(0, 1)
    similarities, left_out = choose_similarities(options.similarities, first.shape[1:3])
    everything = weighted_layers(attributer.classifier)
    found = [layer for layer in everything if layer.variables]
    stops = _stops(found, options.layers)
    shown = _shown(stops) if "cascading" in modes else []
    shown_sets = [_positions("cascading", stop) for stop in shown]
    sets = list(dict.fromkeys(_positions(mode, stop) for mode in modes for stop in stops))
    run = Run(attributer, built, found, options, similarities, shown_sets, Store(options.run_dir, "sanity"))
    measured: dict[tuple[str, tuple[int, ...]], list[Part]] = {}
    with progress_bars.bar(len(source) * len(sets), "sanity", options.progress) as bar:
        for start in range(0, len(source), _CHUNK):
            chunk = Chunk(run, source.load(start, min(start + _CHUNK, len(source))), start)
            for positions in ((), *sets) if shown and start == 0 else sets:
                for label, part in chunk.measure(positions).items():
                    measured.setdefault((label, positions), []).append(part)
                bar.update(len(chunk.raw) if positions else 0)
    steps, paths = [stop + 1 for stop in stops], [found[stop].path for stop in stops]
    curves = []
    for label, method in built.items():
        for mode in modes:
            curves.append(Curve(label, kind_of(method), mode, steps, paths))
            points = [measured[label, _positions(mode, stop)] for stop in stops]
            curves[-1].fill(points, similarities, kept=options.run_dir is not None)
    settings = {
        "model": attributer.classifier.name,
        "weights": attributer.classifier.fingerprint(),
        "task": attributer.classifier.task.name,
        "images": len(source),
        "methods": list(built),
        "options": {name: of_one for name, method in built.items() if (of_one := options_of(method))},
        "modes": modes,
        "similarities": similarities,
        "left_out": left_out,
        "layers_with_weights": len(found),
        "unchanged_layers": [layer.path for layer in everything if not layer.variables],
        "statistics": options.statistics,
        "seed": options.seed,
        "versions": versions(),
        "cost": _cost(measured),
    }
    result = summarise(curves, settings)
    if shown:
        names = ["trained", *(found[stop].path for stop in shown)]
        result.arrays |= _examples(list(built), measured, [(), *shown_sets], names) | {"examples/image": first[0]}
    return result


def _stops(found: list[WeightedLayer], layers: int | Sequence[str] | None) -> list[int]:
    """Places in `found`, from the output to the input."""
    if layers is None:
        return list(range(len(found)))
    if isinstance(layers, (int, np.integer)):
        last = len(found) - 1
        places = np.linspace(0, last, min(layers, last + 1)) if layers > 1 else np.array([last])
        return places.round().astype(int).tolist()
    chosen = choose_layers(found, [layers] if isinstance(layers, str) else layers)
    if not chosen:
        raise AttribevalError("Expected names of layers, a number of them, or None. Received no name.")
    return [i for i, layer in enumerate(found) if any(layer is one for one in chosen)]


def _positions(mode: str, stop: int) -> tuple[int, ...]:
    return tuple(range(stop + 1)) if mode == "cascading" else (stop,)


def _shown(stops: list[int]) -> list[int]:
    """The stops of the picture: evenly many, the first and the last among them."""
    places = np.linspace(0, len(stops) - 1, min(len(stops), _PANELS - 1)).round().astype(int)
    return [stops[place] for place in places]


def _examples(
    labels: list[str], measured: Mapping[Any, list[Part]], sets: list[tuple[int, ...]], names: list[str]
) -> dict[str, np.ndarray]:
    """Maps of the first image, of the methods that have all of them."""
    labels = [one for one in labels if all("example" in measured[one, positions][0].arrays for positions in sets)]
    maps = [[measured[label, positions][0].arrays["example"] for positions in sets] for label in labels]
    return {
        "examples/maps": np.array(maps, np.uint8),
        "examples/methods": np.array(labels),
        "examples/layers": np.array(names),
    }


def _cost(measured: Mapping[Any, list[Part]]) -> dict[str, Any]:
    seconds = sum(float(part.arrays.get("seconds", 0.0)) for parts in measured.values() for part in parts)
    return {"seconds": seconds, "maps_of_random_models": sum(positions != () for _, positions in measured)}
