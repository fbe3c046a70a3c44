"""TCAV: for how many inputs of a class does a concept speak for the class? (Kim et al. 2018.)"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.concepts.activations import LOGITS, activations_and_gradients, directional_derivatives
from attribeval.concepts.cav import train_cav
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class LayerScores:
    """TCAV of one layer.

    Attributes:
        layer: Its name.
        scores: One per set of random examples, float64 (R,), 0 to 1: the share of inputs along whose concept vector the
            logit rises. 1/2 where the vector neither helps nor hurts any input (all derivatives 0).
        chance: The same for vectors between two sets of random examples, float64 (R,).
        accuracies: Of the concept's classifiers, (R,).
        p: See `p_of_scores`: too small where all scores share the concept's examples, the more so the more random sets
            there are.
        significant: Whether p is below the level.
    """

    layer: str
    scores: np.ndarray
    chance: np.ndarray
    accuracies: np.ndarray
    p: float
    significant: bool


@dataclass(frozen=True, eq=False)
class Tcav:
    """TCAV of a concept for a class.

    Attributes:
        layers: By layer.
        targets: The class, or that of each input.
    """

    layers: tuple[LayerScores, ...]
    targets: int | np.ndarray

    @property
    def score(self) -> float:
        """Mean over the layers that passed the test (Yang & Kim 2019, appendix F); NaN if none did."""
        passed = [of_layer.scores.mean() for of_layer in self.layers if of_layer.significant]
        return float(np.mean(passed)) if passed else float("nan")

    @property
    def chance(self) -> float:
        """The same of random concepts, over the same layers; over all layers if none passed."""
        layers = [of_layer for of_layer in self.layers if of_layer.significant] or self.layers
        return float(np.mean([of_layer.chance.mean() for of_layer in layers]))

    @property
    def table(self) -> pd.DataFrame:
        """One row per layer: layer, score, chance, accuracy, p, significant."""
        import pandas as pd

        return pd.DataFrame(
            {
                "layer": one.layer,
                "score": one.scores.mean(),
                "chance": one.chance.mean(),
                "accuracy": one.accuracies.mean(),
                "p": one.p,
                "significant": one.significant,
            }
            for one in self.layers
        )


def tcav(
    classifier: Classifier | Any, images: np.ndarray, targets: int | np.ndarray,
    concept: np.ndarray | Sequence[np.ndarray], random_sets: Sequence[np.ndarray], *,
    layers: Sequence[str] | None = None, alpha: float = 0.01, level: float = 0.01, pool: bool = False,
    seed: int = 0,
) -> Tcav:  # fmt: skip
    """Test a concept against random examples in several layers.

    Set i gives a vector from its examples to the concept's, and, for comparison, one from those of set i + 1 (the last:
    set 0) to its own. Of a concept that the model does not use, both kinds of vector score alike. The test of that
    holds its level where each random set meets examples of the concept of its own.

    Args:
        classifier: A `Classifier`, or an `Attributer`, whose classifier is taken.
        images: Inputs of the class, raw (N, H, W, C).
        targets: The class; or (N,), the class of each input, if they are of several.
        concept: Examples of the concept, raw (n, H, W, C), which all random sets meet, as in the article; or as many
            sets of them, with no example in common, as there are random sets.
        random_sets: At least two sets of other examples, each about as many as the concept's.
        layers: Names of layers with spatial outputs, and "logits"; None: the target layer and "logits".
        alpha: As in `train_cav`.
        level: Of the t-test, see `p_of_scores`; the article's is .01.
        pool: As in `activations_and_gradients`.
        seed: Of the classifiers.

    Returns:
        `Tcav`, with `.score`, `.chance` and `.table`.

    Raises:
        AttribevalError: If there are fewer than two random sets, other than as many of the concept, no image, or as
            `train_cav` and `activations_and_gradients`.
    """
    vectors = concept_vectors(classifier, concept, random_sets, layers=layers, alpha=alpha, pool=pool, seed=seed)
    return score_concept(classifier, images, targets, vectors, level=level, pool=pool)


@dataclass(frozen=True, eq=False)
class ConceptVectors:
    """What is learnt of a concept in one layer, whatever class is asked about.

    Attributes:
        layer: Its name.
        concept: Vectors from each random set to the concept, float32 (R, d).
        random: Vectors between random sets, (R, d).
        accuracies: Of the classifiers of `concept`, (R,).
    """

    layer: str
    concept: np.ndarray
    random: np.ndarray
    accuracies: np.ndarray


def concept_vectors(
    classifier: Classifier | Any, concept: np.ndarray | Sequence[np.ndarray], random_sets: Sequence[np.ndarray], *,
    layers: Sequence[str] | None = None, alpha: float = 0.01, pool: bool = False,
    seed: int = 0,
) -> list[ConceptVectors]:  # fmt: skip
    """The first half of `tcav`: learn the vectors, once for all classes and inputs. Arguments as there."""
    classifier = getattr(classifier, "classifier", classifier)
    if len(random_sets) < 2:
        raise AttribevalError(
            f"Expected at least two sets of random examples, for a test against chance. Received: {len(random_sets)}."
        )
    own: list[Any] = list(concept) if np.ndim(concept[0]) == 4 else [concept]
    if len(own) not in (1, len(random_sets)):
        raise AttribevalError(
            f"Expected a set of the concept's examples for each of {len(random_sets)} random sets, or one for all. "
            f"Received: {len(own)}."
        )
    layers = layers or [name for name in (classifier.target_layer, LOGITS) if name is not None]
    found = []
    for layer in layers:
        positives, randoms = (
            [activations_and_gradients(classifier, examples, 0, layer, pool)[0] for examples in sets]
            for sets in (own, random_sets)
        )
        if len(own) == 1:
            vectors, accuracies = vectors_against(positives[0], randoms, alpha=alpha, seed=seed)
        else:
            pairs = enumerate(zip(positives, randoms, strict=True))
            each = [vectors_against(mine, [other], alpha=alpha, seed=seed + i) for i, (mine, other) in pairs]
            vectors, accuracies = (np.concatenate(parts) for parts in zip(*each, strict=True))
        found.append(ConceptVectors(layer, vectors, vectors_among(randoms, alpha=alpha, seed=seed), accuracies))
    return found


def vectors_against(
    positive: np.ndarray, randoms: Sequence[np.ndarray], *, alpha: float = 0.01, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors from each random set to a concept, float32 (R, d), and the accuracies of their classifiers, (R,).

    Both are given by the activations of examples: of the concept, (n, d); of each random set, (m, d).
    """
    cavs = [train_cav(positive, negative, alpha=alpha, seed=seed + i) for i, negative in enumerate(randoms)]
    return np.stack([vector for vector, _ in cavs]), np.array([accuracy for _, accuracy in cavs])


def vectors_among(randoms: Sequence[np.ndarray], *, alpha: float = 0.01, seed: int = 0) -> np.ndarray:
    """Vectors from each random set's successor to itself, float32 (R, d): what chance gives. Arguments as before."""
    pairs = zip(randoms, [*randoms[1:], randoms[0]], strict=True)
    return np.stack([train_cav(one, other, alpha=alpha, seed=seed + i)[0] for i, (one, other) in enumerate(pairs)])


def score_concept(
    classifier: Classifier | Any,
    images: np.ndarray,
    targets: int | np.ndarray,
    vectors: Sequence[ConceptVectors],
    *,
    level: float = 0.01,
    pool: bool = False,
) -> Tcav:
    """The second half of `tcav`: for how many inputs does the logit rise along the vectors? Arguments as there."""
    classifier = getattr(classifier, "classifier", classifier)
    if len(images) == 0:
        raise AttribevalError("Expected at least one input of the class. Received none.")
    found = []
    for of_layer in vectors:
        gradients = activations_and_gradients(classifier, images, targets, of_layer.layer, pool)[1]
        found.append(layer_scores(of_layer, gradients, level))
    return Tcav(tuple(found), targets)


def p_of_scores(scores: np.ndarray, chance: np.ndarray) -> float:
    """Two-sided p of Welch's t-test that a concept's scores and those of random vectors have one mean.

    The article's test. It takes the scores for independent. Where all of them share the concept's examples they are
    not, and more random sets make p smaller without making the concept better known (`docs/statistics.md` has how
    often); where each has examples of its own, p is as large as it should be, or larger.

    Args:
        scores, chance: As in `LayerScores`.

    Returns:
        0 to 1. Where neither has any spread, 1 if they are the same number, else that of the permutation test.
    """
    from scipy import stats

    if np.ptp(scores) == 0 and np.ptp(chance) == 0:
        # No spread, no t. If the two differ, the permutation test says how often chance alone would part them so.
        return 1.0 if scores[0] == chance[0] else min(1.0, 2 / comb(len(scores) + len(chance), len(scores)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of the two has next to no spread: no fault here
        return float(stats.ttest_ind(scores, chance, equal_var=False).pvalue)


def layer_scores(vectors: ConceptVectors, gradients: np.ndarray, level: float) -> LayerScores:
    """TCAV of one layer, from the derivatives of the logits of all inputs there, (N, d)."""
    scores, chance = (
        np.array([tcav_score(gradients, vector) for vector in of]) for of in (vectors.concept, vectors.random)
    )
    p = p_of_scores(scores, chance)
    return LayerScores(vectors.layer, scores, chance, vectors.accuracies, p, bool(p <= level))


def tcav_score(gradients: np.ndarray, vector: np.ndarray) -> float:
    """The share of inputs whose logit rises along a vector (equation 2); an input with derivative 0 counts half."""
    along = directional_derivatives(gradients, vector)
    return float(((along > 0) + 0.5 * (along == 0)).mean())
