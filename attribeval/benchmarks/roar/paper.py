"""How the paper treats each data set: network, recipe, preprocessing, crop (Hooker et al. 2019, section 6.1).

Images are resized to a short side of 256 and cut to the centred 224 before they are ranked and filled, as the released
code does; the recipe's crops and flips come after the fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Geometry = Literal["resized", "cropped"]
GEOMETRIES = ("resized", "cropped")


@dataclass(frozen=True)
class Treatment:
    """What is done with a data set where nothing else is asked for.

    Attributes:
        recipe: Name of a preset of `training.recipe.RECIPES`.
        builder: "small", or a network of `models.zoo.NETWORKS`.
        preprocess: Between raw images and a network of `NETWORKS`; None: as the network's published weights have it.
        geometry: "resized": the whole image squashed to the model's size; "cropped": as above.
    """

    recipe: str = "small"
    builder: str = "small"
    preprocess: str | None = None
    geometry: Geometry = "resized"


# CUB is not in the paper: it is treated as Birdsnap, which is as fine-grained and of birds, too. CIFAR-10 is not in it
# either: the package's recipe for it, with the small net.
TREATMENTS = {
    "imagenet": Treatment("imagenet", "resnet50", "torch", "cropped"),
    "birdsnap": Treatment("birdsnap", "resnet50", "torch", "cropped"),
    "food101": Treatment("food101", "resnet50", "torch", "cropped"),
    "cub": Treatment("birdsnap", "resnet50", "torch", "cropped"),
    "cifar10": Treatment("cifar10"),
}


def short_side(side: int) -> int:
    """What the short side is resized to before a square of `side` is cut out: 256 for 224."""
    return round(side * 256 / 224)
