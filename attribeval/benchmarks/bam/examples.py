"""A few images and their maps, for people to look at (figures 3, 5, 7, 9, 12 and 16)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.insignificant_patch import Patches
from attribeval.benchmarks.bam.models import OBJECT, SCENE, Trained, k_name
from attribeval.benchmarks.bam.plan import Plan
from attribeval.benchmarks.bam.region import heat
from attribeval.benchmarks.bam.summary import Evidence
from attribeval.datasets.bam import BamPart
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import Preprocessing, find_preprocessing

_SHOWN = 8  # methods in the panels


def example_panels(
    models: Mapping[str, Trained], plan: Plan, test: BamPart, items: np.ndarray, evidence: Evidence, seed: int
) -> dict[str, np.ndarray]:
    """Images and heat maps of the panels: the first test images that f_o and f_s both classify correctly."""
    chosen = items[evidence.objects.correct & evidence.scenes.correct & evidence.alone.correct][:3]
    quick = _quick(plan)
    if not chosen.size or not quick:
        return {}
    arrays = {
        "examples/images": test.load("composite", chosen),
        "examples/scenes": test.load("scene_only", chosen),
        "examples/masks": np.asarray(test.masks[chosen]),
        "examples/methods": np.array(quick),
    }
    for part, name, kind in (("f_o", OBJECT, "composite"), ("f_s", SCENE, "composite"), ("alone", SCENE, "scene_only")):
        images = test.load(kind, chosen).astype(np.float32)
        arrays[f"examples/{part}"] = _heat(models[name].classifier, images, plan, quick, seed)
    return arrays


def series_panels(
    models: Mapping[str, Trained], plan: Plan, test: BamPart, items: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """One image with the common feature and its maps by f_k for every k (figures 5 and 12).

    Args:
        models: By name.
        plan: Says which methods and ks.
        test: The test part.
        items: Images on which the f_k of the smallest k is measured: their scenes have the feature for every k. The
            first is shown.
        seed: Of the methods.

    Returns:
        "over_k/image" (H, W, 3), "over_k/mask" (H, W), "over_k/methods", "over_k/maps" float32 (methods, ks, H, W);
        nothing where there is no such image, or no quick method.
    """
    quick = _quick(plan)
    if not len(items) or not quick:
        return {}
    one = np.asarray(items[:1])
    image = test.load("composite", one).astype(np.float32)
    by_k = [_heat(models[k_name(k)].classifier, image, plan, quick, seed) for k in plan.ks]
    return {
        "over_k/image": test.load("composite", one)[0],
        "over_k/mask": np.asarray(test.masks[one])[0],
        "over_k/methods": np.array(quick),
        "over_k/maps": np.stack([maps[:, 0] for maps in by_k], axis=1),
    }


def patch_panels(
    bare: Classifier, plan: Plan, test: BamPart, items: np.ndarray, inputs: np.ndarray, patches: Patches, seed: int
) -> dict[str, np.ndarray]:
    """The image whose patch the model notices least, without and with it, and their maps (figures 9 and 16).

    Args:
        bare: f_∅s on its own inputs.
        plan: Says which methods.
        test: The test part.
        items: Of the patches' images.
        inputs: Model inputs without the patches, (N, H, W, C).
        patches: What was found.
        seed: Of the methods.

    Returns:
        "patch/images" uint8 (2, H, W, 3), x and x + δ in pixels; "patch/mask"; "patch/methods"; "patch/maps" float32
        (methods, 2, H, W); "patch/change" and "patch/scale", ‖f(x + δ) − f(x)‖ and ‖f(x)‖. Nothing without a quick
        method.
    """
    quick = _quick(plan)
    if not quick:
        return {}
    least = int(np.argmin(patches.change / patches.scale))
    pair = np.stack([inputs[least], patches.images[least]]).astype(np.float32)
    preprocess = find_preprocessing(plan.net.preprocess)
    pixels = preprocess.undo(pair) if isinstance(preprocess, Preprocessing) else pair
    return {
        "patch/images": np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
        "patch/mask": np.asarray(test.masks[items[least : least + 1]])[0],
        "patch/methods": np.array(quick),
        "patch/maps": _heat(bare, pair, plan, quick, seed),
        "patch/change": patches.change[least],
        "patch/scale": patches.scale[least],
    }


def _quick(plan: Plan) -> list[str]:
    return [name for name in plan.methods if name not in plan.slow][:_SHOWN]


def _heat(classifier: Classifier, images: np.ndarray, plan: Plan, names: list[str], seed: int) -> np.ndarray:
    """float32 (methods, images, H, W)."""
    methods = {name: plan.methods[name] for name in names}
    maps = Attributer(classifier).explain_many(images, methods, seed=seed, progress=False, remarks=False)
    return np.stack([heat(maps[name].values) for name in names]).astype(np.float32)
