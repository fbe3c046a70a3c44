"""TCAV inside the model contrast score; the concept is the common feature (Yang & Kim 2019, section 4.2 and F)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribeval.common.versions import versions
from attribeval.concepts.tcav import ConceptVectors, Tcav, concept_vectors
from attribeval.datasets.bam import BamPart
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.store import Store

EXAMPLES = 100
_ARRAYS = ("concept", "random", "accuracies")


def concept_examples(
    train: BamPart, feature: int, sets: int, seed: int = 0, examples: int = EXAMPLES
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Images with the feature in any scene, and sets of scenes without objects, from the training images.

    Args:
        train: The training part.
        feature: The common feature's object class.
        sets: Number of random sets.
        seed: Of the draws.
        examples: Images in each.

    Returns:
        The concept's images, uint8 (n, H, W, C), and the random sets.

    Raises:
        AttribevalError: If there are too few images.
    """
    rng = np.random.default_rng(seed)
    having = np.flatnonzero(train.objects == feature)
    if len(having) < examples or len(train) < 2 * examples:
        raise AttribevalError(
            f"Expected {examples} training images of the concept {train.object_names[feature]!r}, and as many scenes. "
            f"Received: {len(having)} of {len(train)}. Make more, or ask for fewer examples."
        )
    concept = train.load("composite", np.sort(rng.choice(having, examples, replace=False)))
    others = [train.load("scene_only", np.sort(rng.choice(len(train), examples, replace=False))) for _ in range(sets)]
    return concept, others


def kept_vectors(
    classifier: Classifier,
    concept: np.ndarray,
    random_sets: Sequence[np.ndarray],
    layers: Sequence[str] | None,
    store: Store,
    seed: int = 0,
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
