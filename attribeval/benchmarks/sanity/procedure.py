"""Model parameter randomisation: the maps of a model, layer after layer made random, against its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.sanity.curve import Curve, Part, fill_curve
from attribeval.benchmarks.sanity.explaining import chosen_methods, explain_each, small_map
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.sanity.summary import summarise
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.datasets.source import ImageSource
from attribeval.errors import AttribevalError
from attribeval.methods.card import Method
from attribeval.methods.given import kind_of
from attribeval.metrics.sanity.similarity import SIMILARITIES, choose_similarities
from attribeval.models.randomised import WeightedLayer, choose_layers, randomised, weighted_layers
from attribeval.results.result import Result
from attribeval.runs import failures
from attribeval.runs.keys import content_of, digest_of, method_key, model_key, slug
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
    everything = weighted_layers(attributer.classifier)
    found = [layer for layer in everything if layer.variables]
    stops = _stops(found, options.layers)
    plan = [(mode, stop, _positions(mode, stop)) for mode in modes for stop in stops]
    shown = _shown(stops) if "cascading" in modes else []
    sets = list(dict.fromkeys(positions for _, _, positions in plan))
    shown_sets = [_positions("cascading", s) for s in shown]
    run = _Run(attributer, built, found, options, shown_sets, Store(options.run_dir, "sanity"))
    measured: dict[tuple[str, tuple[int, ...]], list[Part]] = {}
    left_out: list[str] = []
    with progress_bars.bar(len(source) * len(sets), "sanity", options.progress) as bar:
        for start in range(0, len(source), _CHUNK):
            raw = source.load(start, min(start + _CHUNK, len(source)))
            if start == 0:
                run.similarities, left_out = choose_similarities(options.similarities, raw.shape[1:3])
            chunk = _Chunk(run, raw, start)
            for positions in ((), *sets) if shown and start == 0 else sets:
                for label, part in chunk.measure(positions).items():
                    measured.setdefault((label, positions), []).append(part)
                bar.update(len(raw) if positions else 0)
    curves = []
    for label, method in built.items():
        for mode in modes:
            points = [measured[label, positions] for one, _, positions in plan if one == mode]
            curve = Curve(label, kind_of(method), mode, [stop + 1 for stop in stops], [found[s].path for s in stops])
            fill_curve(curve, points, run.similarities, kept=options.run_dir is not None)
            curves.append(curve)
    settings = {
        "model": attributer.classifier.name,
        "weights": attributer.classifier.fingerprint(),
        "task": attributer.classifier.task.name,
        "images": len(source),
        "methods": list(built),
        "options": {name: of_one for name, method in built.items() if (of_one := options_of(method))},
        "modes": modes,
        "similarities": run.similarities,
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
        wanted = [(), *run.shown]
        alive = [m for m in built if all("example" in measured[m, positions][0].arrays for positions in wanted)]
        result.arrays |= _examples(alive, measured, wanted, ["trained", *[found[s].path for s in shown]])
        result.arrays["examples/image"] = source.load(0, 1)[0]
    return result


@dataclass
class _Run:
    """What all chunks share."""

    attributer: Attributer
    methods: dict[str, Method]
    found: list[WeightedLayer]
    options: SanityOptions
    shown: list[tuple[int, ...]]  # sets of layers that the picture shows
    store: Store
    similarities: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = model_key(self.attributer.classifier)

    def record(self, label: str, positions: tuple[int, ...], content: str) -> str:
        """What a method's measurements of a chunk are called: a hash of all that they depend on."""
        method = self.methods[label]
        about = [
            self.model,
            [self.found[p].path for p in positions],
            positions,
            self.options.statistics,
            self.options.seed,
            content,
        ]
        about += [method_key(method), self.similarities, positions in self.shown, versions()]
        return f"{slug(method.card.name)}/{digest_of(about)}"


class _Chunk:
    """A few images: the features of their maps are kept while the model's layers are made random, set after set."""

    def __init__(self, run: _Run, raw: np.ndarray, start: int):
        self.run, self.raw, self.start = run, raw, start
        self.content = content_of(raw, np.asarray(run.attributer.classifier.prepare(raw)))
        self._targets: np.ndarray | None = None
        self._features: dict[str, dict[str, np.ndarray]] = {}
        self._example: dict[str, np.ndarray] = {}
        self._failed: dict[str, dict[str, str]] = {}  # what the trained model's maps lack, by label and similarity

    def measure(self, positions: tuple[int, ...]) -> dict[str, Part]:
        """Similarities of every method's maps, by label, with these layers random; () is the trained model itself.

        What lacks something because it failed is written without it, and measured again by the next run.
        """
        names = self.run.similarities if positions else []
        records = {label: self.run.record(label, positions, self.content) for label in self.run.methods}
        found = {label: self.run.store.read_arrays(record) for label, record in records.items()}
        whole = {label: one for label, one in found.items() if one is not None and set(names) <= set(one)}
        done = {label: Part(len(self.raw), one, {}) for label, one in whole.items()}
        missing = [label for label in found if label not in whole]
        self._read_trained([label for label in missing if label not in self._features and label not in self._failed])
        fresh = self._compare(positions, missing) if positions else {}
        if not positions:
            examples = {label: self._example[label] for label in missing if label in self._example}
            fresh = {
                m: Part(len(self.raw), {"example": one, "seconds": np.zeros(())}, {}) for m, one in examples.items()
            }
        for label, part in fresh.items():
            if part.arrays:
                self.run.store.write_arrays(records[label], part.arrays)
        nothing = {label: Part(len(self.raw), {}, self._told(self._failed.get(label, {}))) for label in missing}
        return done | nothing | fresh

    def _told(self, reasons: Mapping[str, str]) -> dict[str, str]:
        last = self.start + len(self.raw) - 1
        return {name: failures.of_images(self.start, last, why) for name, why in reasons.items()}

    def _read_trained(self, labels: list[str]) -> None:
        maps, failed = self._explain(labels, ())
        names = {name: SIMILARITIES[name] for name in self.run.similarities}
        self._failed |= {label: dict.fromkeys(names, why) for label, why in failed.items()}
        for label, one in maps.items():

            def features(some: dict[str, Any], values: np.ndarray = one.values) -> dict[str, np.ndarray]:
                return {name: similarity.features(values) for name, similarity in some.items()}

            self._features[label], self._failed[label] = failures.each(features, names, self.run.options.strict)
            self._example[label] = small_map(one.values[0])

    def _compare(self, positions: tuple[int, ...], labels: list[str]) -> dict[str, Part]:
        labels = [label for label in labels if label in self._features]
        if not labels:
            return {}
        chosen = [self.run.found[p] for p in positions]
        classifier = self.run.attributer.classifier
        with randomised(classifier, chosen, seed=self.run.options.seed, statistics=self.run.options.statistics):
            explained, failed = self._explain(labels, positions)
        lost = {label: dict.fromkeys(self.run.similarities, why) for label, why in failed.items()}
        fresh = {label: Part(len(self.raw), {}, self._told(reasons)) for label, reasons in lost.items()}
        for label, maps in explained.items():
            arrays: dict[str, np.ndarray] = {"seconds": np.array(maps.seconds)}
            trained = self._features[label]

            def compare(
                some: dict[str, Any], values: np.ndarray = maps.values, trained: dict[str, np.ndarray] = trained
            ) -> dict[str, np.ndarray]:
                return {name: one.compare(trained[name], one.features(values)) for name, one in some.items()}

            compared, lacking = failures.each(compare, {n: SIMILARITIES[n] for n in trained}, self.run.options.strict)
            if positions in self.run.shown:
                arrays["example"] = small_map(maps.values[0])
            fresh[label] = Part(len(self.raw), arrays | compared, self._told(self._failed[label] | lacking))
        return fresh

    def _explain(self, labels: list[str], positions: tuple[int, ...]) -> tuple[dict[str, Attributions], dict[str, str]]:
        if not labels:
            return {}, {}
        if self._targets is None:
            output = self.run.attributer.predict(self.raw, batch_size=self.run.options.batch_size, progress=False)
            self._targets = output.argmax(1)
        methods = {label: self.run.methods[label] for label in labels}
        where = "the trained model" if not positions else f"{self.run.found[positions[-1]].path!r} made random"
        return explain_each(
            self.run.attributer, self.raw, methods, self._targets, self.run.options.seed, positions,
            self.run.options.batch_size, where, self.run.options.strict,
        )  # fmt: skip


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
    labels: list[str],
    measured: Mapping[Any, list[Part]],
    sets: list[tuple[int, ...]],
    names: list[str],
) -> dict[str, np.ndarray]:
    maps = [[measured[label, positions][0].arrays["example"] for positions in sets] for label in labels]
    return {
        "examples/maps": np.array(maps, np.uint8),
        "examples/methods": np.array(labels),
        "examples/layers": np.array(names),
    }


def _cost(measured: Mapping[Any, list[Part]]) -> dict[str, Any]:
    seconds = sum(float(part.arrays.get("seconds", 0.0)) for parts in measured.values() for part in parts)
    return {"seconds": seconds, "maps_of_random_models": sum(positions != () for _, positions in measured)}
