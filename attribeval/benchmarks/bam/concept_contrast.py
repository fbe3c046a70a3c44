"""TCAV inside the model contrast score; the concept is the common feature (Yang & Kim 2019, section 4.2 and F)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribeval.common.versions import versions
from attribeval.concepts.tcav import ConceptVectors, Tcav, concept_vectors
from attribeval.datasets.bam import BamPart
from attribeval.models.classifier import Classifier
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.store import Store

EXAMPLES = 100
_ARRAYS = ("concept", "random", "accuracies")


def concept_examples(train: BamPart, feature: int, sets: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Training images with the feature in any scene, uint8 (n, H, W, C), and sets of scenes without objects.

    At least `EXAMPLES` must have it.
    """
    rng = np.random.default_rng(seed)
    having = np.flatnonzero(train.objects == feature)
    concept = train.load("composite", np.sort(rng.choice(having, EXAMPLES, replace=False)))
    others = [train.load("scene_only", np.sort(rng.choice(len(train), EXAMPLES, replace=False))) for _ in range(sets)]
    return concept, others


def kept_vectors(
    classifier: Classifier,
    concept: np.ndarray,
    random_sets: Sequence[np.ndarray],
    layers: Sequence[str] | None,
    store: Store,
    seed: int,
) -> list[ConceptVectors]:
    """`concepts.tcav.concept_vectors`, kept in a store by their content."""
    content = content_of(concept, list(random_sets))
    name = f"concepts/{digest_of([model_key(classifier), list(layers or ()), seed, versions(), content])}"
    arrays = store.read_arrays(name)
    if arrays is None:
        made = concept_vectors(classifier, concept, random_sets, layers=layers, seed=seed)
        arrays = {"layers": np.array([of_layer.layer for of_layer in made])}
        for i, of_layer in enumerate(made):
            arrays |= {f"{i}/{part}": np.asarray(getattr(of_layer, part)) for part in _ARRAYS}
        store.write_arrays(name, arrays)
    return [
        ConceptVectors(str(layer), *(arrays[f"{i}/{part}"] for part in _ARRAYS))
        for i, layer in enumerate(arrays["layers"])
    ]


def score_or_chance(result: Tcav) -> float:
    """The score; where no layer passed the test, the concept is not told from random ones, and has their score."""
    return result.score if result.score == result.score else result.chance
