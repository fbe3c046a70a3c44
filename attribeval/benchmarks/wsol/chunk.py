"""A few images of WSOL: every method's maps measured, an array a record, as far as the run directory lacks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.wsol.baselines import BASELINES, baseline, measure_baselines
from attribeval.benchmarks.wsol.geometry import Seen, see
from attribeval.benchmarks.wsol.measure import measure
from attribeval.benchmarks.wsol.metrics import Metric, wanted_arrays
from attribeval.benchmarks.wsol.summary import pack
from attribeval.common.versions import versions
from attribeval.datasets.images import resize
from attribeval.datasets.samples import Samples
from attribeval.methods.abilities import at
from attribeval.methods.card import Method
from attribeval.methods.given import ranking
from attribeval.metrics.localisation.colour_model import colour_model_hit
from attribeval.metrics.localisation.saliency_metric import saliency_metric, salient_box
from attribeval.runs import failures
from attribeval.runs.keys import content_of, digest_of, file_name, model_key
from attribeval.runs.store import Store

# What a number depends on, beside the model, the method, and what is in the images.
_COMMON = ("targets", "protocol", "geometry", "seed")
_OF_MEASURING = ("iou", "protocol", "tolerance")


class Chunk:
    """Scores images, a few at a time.

    Args:
        attributer: The explained model.
        methods: By label.
        metrics: What is wanted of the maps.
        settings: Of `procedure.run_wsol`.
        store: Where the arrays are and go.
        batch_size: Images that the model takes at a time.
        strict: Whether a method or metric that fails ends the run.

    Attributes:
        failed: Why arrays are missing, by image chunk, method or baseline, and array: (start, label, array) → reason.
    """

    def __init__(
        self,
        attributer: Attributer,
        methods: Mapping[str, Method],
        metrics: Sequence[Metric],
        settings: Mapping[str, Any],
        store: Store,
        batch_size: int | None,
        strict: bool = False,
    ):
        self.store = store
        self.failed: dict[tuple[int, str, str], str] = {}
        self.strict = strict
        self._attributer, self._methods, self._settings, self._batch_size = attributer, methods, settings, batch_size
        self._wanted = wanted_arrays(metrics)
        self._options = {name: settings[name] for name in _OF_MEASURING}
        about = [model_key(attributer.classifier), versions(), *(settings[name] for name in _COMMON)]
        self._common = digest_of(about)
        self._measured = digest_of(self._options)

    def lock(self, start: int) -> str:
        """What to lock while the images from number `start` on are scored."""
        return f"{self._common}-{self._measured}-{start:07d}"

    def score(self, part: Samples, rows: slice) -> dict[str, np.ndarray]:
        """Everything that is kept of some images, in small arrays: "images|labels", "<method>|<array>", ….

        What is in the store is taken from there; a method of which an array is missing explains the images again.

        Args:
            part: The images.
            rows: Their places among all images, for ready maps.
        """
        seen = see(self._attributer, part, self._settings["geometry"], self._settings["protocol"])
        if not seen.items:
            return {"images|skipped": np.array(part.ids)}
        kept = part[seen.items]
        prepared = np.asarray(self._attributer.classifier.prepare(seen.images))
        content = content_of(seen.images, prepared, seen.sizes, seen.boxes, seen.masks, kept.labels)
        name = f"{self._common}/images-{content}"
        answered = self.store.read_arrays(f"{name}/answers")
        if answered is None:
            output = self._attributer.predict(seen.images, batch_size=self._batch_size, progress=False)
            rank_of_label = (output > output[np.arange(len(kept)), kept.labels][:, None]).sum(1)
            answered = {"predicted": output.argmax(1), "rank_of_label": rank_of_label}
            self.store.write_arrays(f"{name}/answers", answered)
        predicted = answered["predicted"]
        targets = kept.labels if self._settings["targets"] == "label" else predicted
        scored = {
            "images|labels": kept.labels,
            "images|top1": predicted == kept.labels,
            "images|skipped": np.array([name for i, name in enumerate(part.ids) if i not in set(seen.items)], str),
        }
        if self._attributer.classifier.classes > 5:
            scored["images|top5"] = answered["rank_of_label"] < 5
        methods = at(at(self._methods, rows), seen.items)
        found, failed = self._of_methods(name, methods, seen, targets)
        baselines, lacking = self._of_baselines(seen, targets)
        for label, arrays in (found | baselines).items():
            scored |= {f"{label}|{key}": values for key, values in arrays.items()}
        for (label, array), reason in (failed | lacking).items():
            self.failed[rows.start, label, array] = failures.of_images(kept.ids[0], kept.ids[-1], reason)
        return scored

    def _of_methods(
        self, name: str, built: Mapping[str, Method], seen: Seen, targets: np.ndarray
    ) -> tuple[dict[str, dict[str, np.ndarray]], dict[tuple[str, str], str]]:
        """The packed arrays of every method, and its seconds for each image; and why some are missing, as in `failed`.

        What failed is not written, so that the next run tries it again.
        """
        found, missing = {}, {}
        failed: dict[tuple[str, str], str] = {}
        for label, method in built.items():
            measured_by = f"{ranking(method)}-{self._measured}"
            records = {array: f"{name}/{file_name(method)}/{array}-{measured_by}" for array in self._wanted}
            records["seconds"] = f"{name}/{file_name(method)}/seconds"
            read = {array: self.store.read_arrays(record) for array, record in records.items()}
            whole = [arrays for arrays in read.values() if arrays is not None]
            if len(whole) < len(read):
                missing[label] = records
            else:
                found[label] = {key: values for one in whole for key, values in one.items()}

        def explain(some: dict[str, Method]) -> dict[str, Any]:
            return self._attributer.explain_many(
                seen.images, some, targets, seed=self._settings["seed"], batch_size=self._batch_size, progress=False
            )

        maps, without = failures.each(explain, {label: built[label] for label in missing}, self.strict)
        failed |= {(label, array): f"no maps: {why}" for label, why in without.items() for array in self._wanted}
        for label in maps:
            measured, lacking = self._measure(seen, maps[label].heatmap(ranking(built[label])), targets)
            failed |= {(label, array): why for array, why in lacking.items()}
            measured["seconds"] = np.full(len(targets), maps[label].seconds / len(targets))
            found[label] = {}
            for array, record in missing[label].items():
                if array not in lacking:
                    packed = pack({array: measured[array]}) if array in measured else {}
                    self.store.write_arrays(record, packed)
                    found[label] |= packed
        return {label: found[label] for label in built if label in found}, failed

    def _measure(
        self, seen: Seen, heatmaps: np.ndarray, targets: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Arrays by name, and why some cannot be made."""

        def some(wanted: dict[str, str]) -> dict[str, np.ndarray]:
            shown = seen.heatmaps(heatmaps)
            measured = measure(shown, seen.boxes, seen.masks, set(wanted), **self._options)
            if "colour_model" in wanted:
                measured["colour_model"] = _colour_hits(seen, shown, self._options["iou"])
            if "saliency_metric" in wanted:
                crops = [salient_box(heatmap) for heatmap in heatmaps]
                measured["saliency_metric"] = saliency_metric(seen.images, crops, self._probability(targets))
            return measured

        return failures.each(some, {name: name for name in sorted(self._wanted)}, self.strict)

    def _of_baselines(
        self, seen: Seen, targets: np.ndarray
    ) -> tuple[dict[str, dict[str, np.ndarray]], dict[tuple[str, str], str]]:
        """As `_of_methods`."""

        def some(wanted: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
            found = measure_baselines(seen.sizes, seen.boxes, seen.masks, set(wanted), **self._options)
            if "saliency_metric" in wanted:
                for name, measured in found.items():
                    heatmap, box = baseline(name, seen.images.shape[1:3])
                    crops = [salient_box(heatmap) if box is None else box] * len(targets)
                    measured["saliency_metric"] = saliency_metric(seen.images, crops, self._probability(targets))
            arrays = dict.fromkeys(array for measured in found.values() for array in measured)
            return {a: {name: of_one[a] for name, of_one in found.items() if a in of_one} for a in arrays}

        by_array, lacking = failures.each(some, {name: name for name in sorted(self._wanted)}, self.strict)
        found: dict[str, dict[str, np.ndarray]] = {name: {} for name in BASELINES}
        for array, of_all in by_array.items():
            for name, values in of_all.items():
                found[name] |= pack({array: values})
        return found, {(name, array): why for name in BASELINES for array, why in lacking.items()}

    def _probability(self, targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def predict(images: np.ndarray) -> np.ndarray:
            answer = self._attributer.answer(images, batch_size=self._batch_size)[1]
            return answer[np.arange(len(targets)), targets]

        return predict


def _colour_hits(seen: Seen, heatmaps: Sequence[np.ndarray], iou: float) -> np.ndarray:
    """The score that needs the image beside the map, bool (n,)."""

    def hit(image: np.ndarray, heatmap: np.ndarray, boxes: np.ndarray) -> bool:
        image = image if image.shape[:2] == heatmap.shape else resize(image, heatmap.shape)
        return colour_model_hit(image, heatmap, boxes, iou)

    with ThreadPoolExecutor() as pool:
        return np.array(list(pool.map(hit, seen.images, heatmaps, seen.boxes or [])), bool)
