"""Measures, a record per method, which is found again where all that determines it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.common.arguments import takes
from attribeval.methods.given import methods_of
from attribeval.runs.keys import content_of, digest_of, method_key, model_key, slug
from attribeval.runs.store import Store
from toy_study.options import Options
from toy_study.summary import summarise

if TYPE_CHECKING:
    from attribeval.attributer import Attributer
    from attribeval.results.result import Result


@takes(Options)
def run(attributer: Attributer, samples: Any, options: Options) -> Result:
    """Score methods.

    Args:
        attributer: The explained model.
        samples: Images with labels.
    """
    store = Store(options.run_dir, "middle")
    images = attributer.read(samples)
    methods, scores, seconds = methods_of(options.methods), {}, {}
    about = [model_key(attributer.classifier), content_of(images, samples.labels), options.side, options.seed]
    for label, method in methods.items():
        record = f"{slug(label)}/{digest_of([*about, method_key(method)])}"
        found = store.read_arrays(record)
        if found is None:
            maps = attributer.explain(images, {label: method}, samples.labels, seed=options.seed, progress=False)
            shares = in_the_middle(maps.heatmap("abs_sum"), options.side)
            found = {"scores": shares, "seconds": np.float64(maps.seconds)}
            store.write_arrays(record, found)
        scores[label], seconds[label] = found["scores"], float(found["seconds"]) / len(images)
    return summarise(methods, scores, seconds, {"model": attributer.classifier.name, "side": options.side})


def in_the_middle(heat: np.ndarray, side: float) -> np.ndarray:
    """The share of each map, (N, H, W), not negative, in the middle: in 0..1, NaN where a map is 0."""
    _, height, width = heat.shape
    top, left = (round(length * (1 - side) / 2) for length in (height, width))
    whole, middle = heat.sum((1, 2)), heat[:, top : height - top, left : width - left].sum((1, 2))
    return np.divide(middle, whole, out=np.full(len(heat), np.nan), where=whole > 0)
