"""A few images and their maps, for people to look at (figures 3 and 7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.models import OBJECT, SCENE, Trained
from attribeval.benchmarks.bam.plan import Plan
from attribeval.benchmarks.bam.region import heat
from attribeval.benchmarks.bam.summary import Evidence
from attribeval.datasets.bam import BamPart

_SHOWN = 8  # methods in the panels


def example_panels(
    models: Mapping[str, Trained], plan: Plan, test: BamPart, items: np.ndarray, evidence: Evidence, seed: int
) -> dict[str, np.ndarray]:
    """Images and heat maps of the panels: the first test images that f_o and f_s both classify correctly."""
    chosen = items[evidence.objects.correct & evidence.scenes.correct & evidence.alone.correct][:3]
    quick = [name for name in plan.methods if name not in plan.slow][:_SHOWN]
    if not chosen.size or not quick:
        return {}
    shown = {name: plan.methods[name] for name in quick}
    arrays = {
        "examples/images": test.load("composite", chosen),
        "examples/scenes": test.load("scene_only", chosen),
        "examples/masks": np.asarray(test.masks[chosen]),
        "examples/patched": evidence.patches.images[:3],
        "examples/methods": np.array(quick),
    }
    for part, name, kind in (("f_o", OBJECT, "composite"), ("f_s", SCENE, "composite"), ("alone", SCENE, "scene_only")):
        images = test.load(kind, chosen).astype(np.float32)
        maps = Attributer(models[name].classifier).explain_many(images, shown, seed=seed, progress=False, remarks=False)
        arrays[f"examples/{part}"] = np.stack([heat(maps[n].values) for n in quick]).astype(np.float32)
    return arrays
