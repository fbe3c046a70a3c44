"""Which nets BAM trains: a small one for small images, or the article's ResNet-50 from ImageNet weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any

from attribeval import _tf as tf
from attribeval.concepts.activations import LOGITS
from attribeval.errors import AttribevalError, unknown
from attribeval.models.small_net import small_net
from attribeval.training.recipe import Recipe

Builder = Callable[[tuple[int, int, int], int], Any]


@dataclass(frozen=True)
class Net:
    """How BAM's models are made and trained.

    Attributes:
        build: A function of the image shape (H, W, C) and the number of classes that returns an uncompiled Keras
            classifier, with its starting weights.
        recipe: The training. Of `augment` only `flip` may be set.
        series_recipe: That of the f_k, which have fewer images; None: the same.
        preprocess: Name of the preprocessing between raw pixels and the model, or None.
        concept_layers: Where TCAV looks: names of layers with spatial outputs, and "logits"; None: the last spatial
            layer and the logits.
    """

    build: Builder
    recipe: Recipe
    series_recipe: Recipe | None = None
    preprocess: str | None = None
    concept_layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for recipe in (self.recipe, self.series_recipe):
            augment = None if recipe is None else recipe.augment
            if augment is not None and (augment.crop is not None or augment.shift):
                raise AttribevalError(
                    "Expected a recipe that mirrors at most: crops and shifts could cut the object away. Received: "
                    f"{augment}."
                )


def resnet50(weights: str | PathLike | None = "imagenet") -> Builder:
    """The article's net (appendix D): ResNet-50, all layers trained on from ImageNet weights, with a new head.

    Args:
        weights: "imagenet" (Keras downloads them), a weights file without top, or None (random).

    Returns:
        A builder. It raises `AttribevalError` if the weights cannot be had.
    """

    def build(shape: tuple[int, int, int], classes: int) -> Any:
        given = weights if weights is None else str(weights)
        try:
            body = tf.keras.applications.ResNet50(
                include_top=False, weights=given, input_shape=tuple(shape), pooling="avg"
            )
        except Exception as error:  # urllib, OSError or Keras' own, by Keras version
            raise AttribevalError(
                f"Could not have the weights {given!r} of ResNet50 ({type(error).__name__}: {error}). Without a "
                "network, fetch keras.applications' file without top elsewhere and pass its path, or use random "
                "weights (None), or the small net."
            ) from error
        outputs = tf.keras.layers.Dense(classes, activation="softmax", name="predictions")(body.output)
        return tf.keras.Model(body.input, outputs, name="resnet50")

    return build


_RESNET_BLOCKS = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
NETS: dict[str, Callable[..., Net]] = {
    "small": lambda: Net(small_net, Recipe(steps=1500), Recipe(steps=500), concept_layers=("relu3", "relu4", LOGITS)),
    "resnet50": lambda weights="imagenet": Net(
        resnet50(weights),
        Recipe(epochs=10, batch_size=64, optimizer="sgd", learning_rate=0.01, schedule="cosine", weight_decay=1e-4),
        preprocess="caffe",
        concept_layers=(*_RESNET_BLOCKS, LOGITS),
    ),
}


def find_net(net: str | Net, **options: Any) -> Net:
    """A net by its name, or itself.

    Raises:
        AttribevalError: If the name is unknown.
    """
    if isinstance(net, Net):
        return net
    if net not in NETS:
        raise unknown("net of BAM", str(net), NETS)
    return NETS[net](**options)
