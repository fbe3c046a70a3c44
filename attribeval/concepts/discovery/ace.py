"""ACE: concepts as clusters of superpixels, their importance by TCAV (Ghorbani et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.common.options import check_count, check_share
from attribeval.concepts.activations import activations_and_gradients, directional_derivatives
from attribeval.concepts.cav import LEAST
from attribeval.concepts.discovery.found import Concepts, one_target
from attribeval.concepts.discovery.layer import layer_of
from attribeval.concepts.discovery.pieces import Superpixels, superpixels
from attribeval.concepts.tcav import ConceptVectors, layer_scores, vectors_against, vectors_among
from attribeval.errors import AttribevalError

_COLUMNS = ("tcav", "chance", "p", "significant", "gain", "accuracy", "segments", "images")


@dataclass(eq=False, repr=False)
class Ace(Concepts):
    """What `ace` found. `columns` are, per concept:

    * tcav: share of the images of the class whose score rises along the concept's vector, mean over random sets;
      chance: the same of vectors between random sets;
    * p: of the two alike (`tcav.p_of_scores`); significant: whether p is below the level. Those that are come first;
    * gain: what the score gains, to first order, from random examples to the concept's along a vector,
      E[∇h · v] v · (mean of the concept − mean of the set), mean over vectors v, in score units; it orders concepts
      with the same tcav;
    * accuracy: of the vectors' classifiers, held out;
    * segments, images: how many segments the cluster has, and from how many images.

    Attributes:
        segments: All superpixels.
        clusters: Cluster of each, int (M,); −1 for clusters that the filters refuse, else the concept's number.
        activations: Of each, mean over places, float32 (M, channels).
    """

    segments: Superpixels = field(repr=False)
    clusters: np.ndarray = field(repr=False)
    activations: np.ndarray = field(repr=False)

    def facts(self) -> dict[str, str]:
        """Also how many superpixels there are, and how many of them in concepts."""
        return super().facts() | {"superpixels": f"{len(self.segments)}, {(self.clusters >= 0).sum()} in concepts"}


def ace(
    attributer: Attributer, images: Any, target: int | str, others: Any, *,
    layer: str | None = None, segments: Sequence[int] = (15, 50, 80), clusters: int = 25, most: int = 40,
    random_sets: int = 20, level: float = 0.01,
    seed: int = 0, progress: bool | None = None,
) -> Ace:  # fmt: skip
    """Find what a class is made of: superpixels that a layer finds alike, tested by TCAV (ACE, Ghorbani et al. 2019).

    Superpixels of the images at several resolutions, each alone on the images' mean colour and enlarged, are clustered
    by k-means on the layer's activations (mean over places). Clusters stay that are of more than half of the images; or
    of more than a quarter and have more segments than there are images; or have more than twice as many. The `most`
    segments nearest to a centre are a concept's examples for `tcav`, against random sets of segments of other images:
    these are cut in the same way, so that a vector says "this segment", not "a segment" (the authors' code takes whole
    images). Concepts that TCAV does not tell from random ones are marked, and come last; the article drops them.

    Args:
        attributer: The model.
        images: Images of the class, as `Attributer.explain` takes them; the article takes 50.
        target: The class, by index or name.
        others: Images of other classes, for the random sets.
        layer: A layer with an output (batch, height, width, channels); None: the target layer.
        segments: About how many superpixels, at each resolution.
        clusters: Of k-means, 2 or more.
        most: Examples of a concept, and of a random set, at most; 6 or more. Smaller clusters than 6 are refused.
        random_sets: 2 or more.
        level: Of TCAV's test.
        seed: Of k-means, random sets and classifiers; 0 or more.
        progress: Show a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        `Ace`, with `.table()` and `.plot()`; it may hold no concept, where no cluster passes the filters.

    Raises:
        AttribevalError: If there are fewer superpixels than clusters, or than two random sets need; for bad images,
            class, layer or options.
    """
    for name, value, least in (
        ("clusters", clusters, 2), ("most", most, LEAST), ("random_sets", random_sets, 2), ("seed", seed, 0)
    ):  # fmt: skip
        check_count(name, value, least)
    if isinstance(segments, str) or not isinstance(segments, Sequence) or not segments:
        raise AttribevalError(f"Expected segments as numbers of superpixels, such as (15, 50). Received: {segments!r}.")
    for count in segments:
        check_count("segments", count, 2)
    check_share("level", level)
    raw, other = attributer.read(images), attributer.read(others)
    index, class_name = one_target(attributer, target)
    one = layer_of(attributer, layer)
    pieces, foreign = superpixels(raw, segments), superpixels(other, segments)
    with progress_bars.bar(len(pieces) + len(foreign), "ACE", progress, unit="segment") as bar:
        activations = one.pooled(len(pieces), lambda some: pieces[some].cut(raw), bar.update)
        negatives = one.pooled(len(foreign), lambda some: foreign[some].cut(other), bar.update)
    found = _clusters(activations, pieces.items, len(raw), clusters, seed)
    sets = _random_sets(negatives, most, random_sets, seed)
    gradients = activations_and_gradients(attributer.classifier, raw, index, one.name, pool=True)[1]
    among = vectors_among(sets, seed=seed)
    rows = []
    for members in found:
        vectors, accuracies = vectors_against(activations[members[:most]], sets, seed=seed)
        scores = layer_scores(ConceptVectors(one.name, vectors, among, accuracies), gradients, level)
        gain = _gain(gradients, vectors, activations[members[:most]], sets)
        sizes = len(members), len(set(pieces.items[members]))
        means = scores.scores.mean(), scores.chance.mean()
        rows.append((*means, scores.p, scores.significant, gain, scores.accuracies.mean(), *sizes))
    table = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    order = sorted(range(len(table)), key=lambda k: (not table[k]["significant"], -table[k]["tcav"], -table[k]["gain"]))
    concepts = np.full(len(pieces), -1)
    for number, k in enumerate(order):
        concepts[found[k]] = number
    return Ace(
        method="ace",
        model=attributer.classifier.name,
        layer=one.name,
        target=index,
        class_name=class_name,
        columns={name: np.array([table[k][name] for k in order]) for name in _COLUMNS},
        examples=tuple(pieces[found[k]] for k in order),
        images=raw,
        segments=pieces,
        clusters=concepts,
        activations=activations,
    )


def _clusters(activations: np.ndarray, items: np.ndarray, images: int, clusters: int, seed: int) -> list[np.ndarray]:
    """Members of each cluster that passes the filters, those nearest to its centre first."""
    from sklearn.cluster import KMeans

    if len(activations) < clusters:
        raise AttribevalError(
            f"Expected at least as many superpixels as clusters. Received: {len(activations)} for {clusters}: give "
            "more images, or ask for fewer clusters."
        )
    labels = KMeans(clusters, n_init=10, random_state=seed).fit_predict(activations)
    found = []
    for label in range(clusters):
        (members,) = np.nonzero(labels == label)
        if len(members) >= LEAST and is_frequent(len(members), len(set(items[members])), images):
            mine = activations[members]
            found.append(members[np.argsort(np.linalg.norm(mine - mine.mean(0), axis=1), kind="stable")])
    return found


def is_frequent(segments: int, seen_in: int, images: int) -> bool:
    """Whether a cluster stays (Ghorbani et al. 2019, supplement): frequent, fairly frequent and large, or very large.

    Its segments are `seen_in` so many of all images.
    """
    return seen_in > images / 2 or (seen_in > images / 4 and segments > images) or segments > 2 * images


def _random_sets(activations: np.ndarray, size: int, sets: int, seed: int) -> list[np.ndarray]:
    if len(activations) < 2 * size:
        raise AttribevalError(
            f"Expected at least {2 * size} superpixels of other images, for random sets of {size}. Received: "
            f"{len(activations)}: give more of others, or a smaller most."
        )
    generator = np.random.default_rng([seed, 1])
    return [activations[generator.choice(len(activations), size, replace=False)] for _ in range(sets)]


def _gain(gradients: np.ndarray, vectors: np.ndarray, concept: np.ndarray, sets: list[np.ndarray]) -> float:
    """See `Ace`."""
    slopes = np.array([directional_derivatives(gradients, vector).mean() for vector in vectors])
    away = [(concept.mean(0) - one.mean(0)) @ vector for one, vector in zip(sets, vectors, strict=True)]
    return float(np.mean(slopes * away))
