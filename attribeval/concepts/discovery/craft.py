"""CRAFT: concepts as non-negative factors of a layer's activations (Fel et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.common.options import check_count
from attribeval.concepts.discovery.factorisation import coefficients, factorise, owed_by_images
from attribeval.concepts.discovery.found import Concepts, one_target
from attribeval.concepts.discovery.layer import Layer, layer_of
from attribeval.concepts.discovery.pieces import Pieces, random_crops
from attribeval.datasets.images import resize
from attribeval.errors import AttribevalError
from attribeval.results.over_images import mean_interval

_CLEAREST = 0.1  # share of the pieces that stand for a concept when it is split: above the 90th percentile


@dataclass(frozen=True)
class Settings:
    """What a factorisation is made by; `craft` describes each."""

    concepts: int
    designs: int
    seed: int
    progress: bool | None

    def __post_init__(self) -> None:
        check_count("concepts", self.concepts, 2)
        check_count("designs", self.designs, 2)
        check_count("seed", self.seed, 0)
        if self.designs & (self.designs - 1):
            raise AttribevalError(f"Expected designs to be a power of 2. Received: {self.designs}.")


@dataclass(eq=False, repr=False)
class Craft(Concepts):
    """What `craft` found. `columns` are, per concept:

    * importance: total Sobol' index of the class's score, mean over images; low, high: its 95 % interval over images
      (Student's t), the concepts taken as given;
    * effect: what the score would lose without the concept, in score units, mean over images; negative: it speaks
      against the class.

    Attributes:
        directions: W, float64 (k, channels), not negative, rows of length 1.
        weights: U of the pieces, float64 (M, k), for the pieces in `pieces`.
        pieces: The crops that were factorised.
        error: ‖A − U W‖ / ‖A‖ of the pieces, 0 to 1: how much of the activations is no concept.
        indices: Total Sobol' indices, float64 (N, k), per image.
        scores: The class's score of each image, (N,): as it is in column 0, and made from concepts alone in column 1.
        attributer: The model.
        settings: What made it.
    """

    directions: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    pieces: Pieces = field(repr=False)
    error: float
    indices: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    attributer: Attributer = field(repr=False)
    settings: Settings = field(repr=False)

    def facts(self) -> dict[str, str]:
        """Also how much of activations and score the concepts leave out."""
        whole, made = self.scores.mean(0)
        return super().facts() | {
            "left out of activations": f"{self.error:.0%} of their length",
            "score": f"{whole:.3g}, of the concepts alone {made:.3g}",
        }

    def weights_of(self, images: Any) -> np.ndarray:
        """How strongly each concept shows at each place of a layer's output.

        At a place with activations a, u = argmin ‖a − u W‖ over u ≥ 0: exact, and of the image as it is. The article
        instead explains the pooled coefficient by implicit differentiation through an attribution method.

        Args:
            images: As `Attributer.explain` takes them.

        Returns:
            float64 (N, h, w, k).
        """
        raw = self.attributer.read(images)
        return coefficients(Layer(self.attributer, self.layer).activations(raw), self.directions)

    def maps(self, concept: int, images: Any = None) -> Attributions:
        """Where images show a concept: `weights_of`, enlarged bilinearly.

        Args:
            concept: Its number.
            images: As `Attributer.explain` takes them; None: those that it was found in.

        Returns:
            Maps (N, H, W, 1), not negative, in units of activation, to be drawn and scored like those of any method.

        Raises:
            AttribevalError: If there is no such concept.
        """
        self.checked(concept)
        raw = self.images if images is None else self.attributer.read(images)
        small = self.weights_of(raw)[..., concept, None]
        return Attributions.from_array(
            np.stack([resize(one, raw.shape[1:3]) for one in small]),
            self.target,
            method=f"craft concept {concept}",
            model=self.model,
            options={"layer": self.layer, "concepts": len(self), "seed": self.settings.seed},
            class_names=self.attributer.classifier.class_names,
        )

    def split(self, concept: int, layer: str, concepts: int = 5) -> Craft:
        """What a concept is made of: the same in an earlier layer, of the tenth of the pieces that show it best.

        Args:
            concept: Its number.
            layer: An earlier layer with activations of 0 or more.
            concepts: Parts to look for.

        Returns:
            The parts; importance is of the class's score of these pieces, seen as images.

        Raises:
            AttribevalError: As `craft`; or if there is no such concept.
        """
        order = np.argsort(-self.weights[:, self.checked(concept)], kind="stable")
        best = self.pieces[order[: max(2, round(_CLEAREST * len(order)))]]
        settings = Settings(concepts, self.settings.designs, self.settings.seed, self.settings.progress)
        about = (self.target, self.class_name)
        return _found(Layer(self.attributer, layer), self.images, best, best.cut(self.images), about, settings)


def craft(
    attributer: Attributer, images: Any, target: int | str, *,
    layer: str | None = None, concepts: int = 10, crops: int = 16, crop_share: float = 0.3, designs: int = 32,
    seed: int = 0, progress: bool | None = None,
) -> Craft:  # fmt: skip
    """Find what a class is made of in a layer, and how much each part matters (CRAFT, Fel et al. 2023).

    Random crops of the images, enlarged, give activations A (mean over places); non-negative matrix factorisation
    A ≈ U W gives concepts, the rows of W. Of each image, coefficients U at each place are faded by masks M, one number
    per concept, and h((U ⊙ M) W), the score that the layers behind make of it, varies: a concept's importance is its
    total Sobol' index, the share of this variance in which it has a part, mean over images.

    Args:
        attributer: The model.
        images: Images of the class, as `Attributer.explain` takes them; hundreds rather than tens.
        target: The class, by index or name.
        layer: A layer with activations of 0 or more and an output (batch, height, width, channels), through which all
            of the score passes; None: the target layer.
        concepts: How many to look for, 2 or more.
        crops: Crops of each image.
        crop_share: Side of a crop as a share of the image's, above 0 and up to 1.
        designs: N, a power of 2: the layers behind see N (k + 1) + k + 1 masks per image.
        seed: Of crops, factorisation and masks; 0 or more.
        progress: Show a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        `Craft`, the most important concept first, with `.table()`, `.plot()`, `.maps(concept)` and
        `.split(concept, layer)`.

    Raises:
        AttribevalError: If activations are negative, or the score can go around the layer; for bad images, class, layer
            or options.
    """
    settings = Settings(concepts, designs, seed, progress)
    check_count("crops", crops, 1)
    if not isinstance(crop_share, (int, float)) or not 0 < crop_share <= 1:
        raise AttribevalError(f"Expected 0 < crop_share <= 1. Received: {crop_share!r}.")
    raw = attributer.read(images)
    pieces = random_crops(len(raw), raw.shape[1:3], crops, crop_share, seed)
    return _found(layer_of(attributer, layer), raw, pieces, raw, one_target(attributer, target), settings)


def _found(
    layer: Layer, images: np.ndarray, pieces: Pieces, explained: np.ndarray, about: tuple[int, str], settings: Settings
) -> Craft:
    """Factorise the pieces' activations, and measure what the scores of the images explained owe to each factor."""
    target, class_name = about
    with progress_bars.bar(len(pieces) + len(explained), "CRAFT", settings.progress) as bar:
        activations = layer.pooled(len(pieces), lambda some: pieces[some].cut(images), bar.update)
        u, w = factorise(activations, settings.concepts, settings.seed)
        indices, effects, scores = owed_by_images(
            layer, explained, w, target, settings.designs, settings.seed, bar.update
        )
    order = np.lexsort((-np.abs(effects.mean(0)), -indices.mean(0)))
    intervals = np.array([mean_interval(indices[:, k]) for k in order])
    columns = {
        "importance": indices.mean(0)[order],
        "low": intervals[:, 0],
        "high": intervals[:, 1],
        "effect": effects.mean(0)[order],
    }
    return Craft(
        method="craft",
        model=layer.attributer.classifier.name,
        layer=layer.name,
        target=target,
        class_name=class_name,
        columns=columns,
        examples=tuple(pieces[np.argsort(-u[:, k], kind="stable")] for k in order),
        images=images,
        directions=w[order],
        weights=u[:, order],
        pieces=pieces,
        error=float(np.linalg.norm(activations - u @ w) / np.linalg.norm(activations)),
        indices=indices[:, order],
        scores=scores,
        attributer=layer.attributer,
        settings=settings,
    )
