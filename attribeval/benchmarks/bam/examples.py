"""A few images and their maps, for people to look at (figures 3, 5, 7, 9, 12 and 16)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.gather import Gathering
from attribeval.benchmarks.bam.insignificant_patch import Patches
from attribeval.benchmarks.bam.models import OBJECT, SCENE, k_name
from attribeval.benchmarks.bam.region import heat
from attribeval.benchmarks.bam.summary import Evidence
from attribeval.methods.card import Method
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import Preprocessing, find_preprocessing

_SHOWN = 8  # methods in the panels


def panels(gathered: Gathering, methods: Mapping[str, Method], evidence: Evidence) -> dict[str, np.ndarray]:
    """Images and heat maps of the first methods, as far as there are models and patches; nothing without a method."""
    shown = dict(list(methods.items())[:_SHOWN])
    arrays: dict[str, np.ndarray] = {}
    if shown and not gathered.lost:
        arrays |= _examples(gathered, shown, evidence) | _over_k(gathered, shown)
    if shown and evidence.patches is not None:
        arrays |= _of_patch(gathered, shown, evidence.patches)
    return arrays


def _examples(gathered: Gathering, methods: Mapping[str, Method], evidence: Evidence) -> dict[str, np.ndarray]:
    """The first test images that f_o and f_s both classify correctly."""
    test = gathered.test
    chosen = gathered.items[evidence.objects.correct & evidence.scenes.correct & evidence.alone.correct][:3]
    if not chosen.size:
        return {}
    arrays = {
        "examples/images": test.load("composite", chosen),
        "examples/scenes": test.load("scene_only", chosen),
        "examples/masks": np.asarray(test.masks[chosen]),
        "examples/methods": np.array(list(methods)),
    }
    for part, name, kind in (("f_o", OBJECT, "composite"), ("f_s", SCENE, "composite"), ("alone", SCENE, "scene_only")):
        images = test.load(kind, chosen).astype(np.float32)
        arrays[f"examples/{part}"] = _heat(gathered, gathered.models[name].classifier, images, methods)
    return arrays


def _over_k(gathered: Gathering, methods: Mapping[str, Method]) -> dict[str, np.ndarray]:
    """One image with the common feature and its maps by f_k for every k, float32 (methods, ks, H, W) (figures 5, 12).

    The first of those on which the f_k of the smallest k is measured: their scenes have the feature for every k.
    """
    test, one = gathered.test, gathered.of_series[0][:1]
    if not one.size:
        return {}
    image = test.load("composite", one)
    models = [gathered.models[k_name(k)].classifier for k in gathered.plan.ks]
    by_k = [_heat(gathered, model, image.astype(np.float32), methods) for model in models]
    return {
        "over_k/image": image[0],
        "over_k/mask": np.asarray(test.masks[one])[0],
        "over_k/methods": np.array(list(methods)),
        "over_k/maps": np.stack([maps[:, 0] for maps in by_k], axis=1),
    }


def _of_patch(gathered: Gathering, methods: Mapping[str, Method], patches: Patches) -> dict[str, np.ndarray]:
    """The image whose patch f_∅s notices least, without and with it, and their maps (figures 9 and 16).

    x and x + δ in pixels, uint8 (2, H, W, 3); maps float32 (methods, 2, H, W); ‖f(x + δ) − f(x)‖ and ‖f(x)‖.
    """
    least = int(np.argmin(patches.change / patches.scale))
    pair = np.stack([gathered.inputs[least], patches.images[least]]).astype(np.float32)
    preprocess = find_preprocessing(gathered.plan.net.preprocess)
    pixels = preprocess.undo(pair) if isinstance(preprocess, Preprocessing) else pair
    return {
        "patch/images": np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
        "patch/mask": np.asarray(gathered.test.masks[gathered.having[least : least + 1]])[0],
        "patch/methods": np.array(list(methods)),
        "patch/maps": _heat(gathered, gathered.bare(), pair, methods),
        "patch/change": patches.change[least],
        "patch/scale": patches.scale[least],
    }


def _heat(gathered: Gathering, classifier: Classifier, images: np.ndarray, methods: Mapping[str, Method]) -> np.ndarray:
    """float32 (methods, images, H, W)."""
    seed = gathered.options.seed
    maps = Attributer(classifier).explain_many(images, methods, seed=seed, progress=False, remarks=False)
    return np.stack([heat(maps[name].values) for name in methods]).astype(np.float32)
