"""Gradient, SmoothGrad and class activation maps by tf-keras-vis (eager; flat functional models only)."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval import _tf as tf
from attribeval.backends.columns import check_columns
from attribeval.common.options import check_count, check_positive
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch


def _visualiser(kind: str, batch: Batch) -> Any:
    """A tf-keras-vis object ("module.Class"), made once per batch."""
    module, name = kind.split(".")
    cls = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)
    return batch.share(("tf_keras_vis", kind), lambda: _made(cls, batch))


def _made(cls: type, batch: Batch) -> Any:
    """One on a copy of the model whose last activation is linear, checked to give our logits."""
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    classifier = batch.classifier
    check_columns(classifier, "tf_keras_vis")
    if not getattr(classifier.model, "inputs", None):
        raise AttribevalError("tf_keras_vis needs a functional or sequential model. Received a subclassed one.")
    model = classifier.model
    modifier = ReplaceToLinear() if classifier.link and classifier.score == "logit" else None
    if modifier is not None and isinstance(model.layers[-1], tf.keras.layers.Softmax):
        model, modifier = tf.keras.Model(model.inputs, model.layers[-1].input), None
    if isinstance(model, tf.keras.Sequential):  # has no `output_names`, which ReplaceToLinear reads
        model = tf.keras.Model(model.inputs, model.outputs)
    visualiser = cls(model, model_modifier=modifier, clone=True)
    theirs = np.asarray(visualiser.model(batch.x[:1], training=False))
    ours = np.asarray(classifier.forward(batch.x[:1])[0])
    if not np.allclose(theirs, ours, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(ours).max()))):
        raise AttribevalError(
            "tf_keras_vis could not strip the activation of this model (it sets `activation` of the last layer, which "
            "must be a Dense, Activation or Softmax layer): use our own engine (backend=None)."
        )
    return visualiser


def _score(targets: Any) -> Any:
    from tf_keras_vis.utils.scores import CategoricalScore

    return CategoricalScore(np.asarray(targets).tolist())


def _saliency(batch: Batch, **smooth: Any) -> Any:
    return _visualiser("saliency.Saliency", batch)(
        _score(batch.targets), batch.x, keepdims=True, gradient_modifier=lambda g: g, normalize_map=False, **smooth
    )


@dataclass(frozen=True)
class Gradient:
    """`tf_keras_vis.saliency.Saliency` without its |·|, its maximum over channels and its normalisation."""

    def attribute(self, batch: Batch) -> Any:
        """Return d logit / d input, (B, H, W, C)."""
        return _saliency(batch)


@dataclass(frozen=True)
class SmoothGrad:
    """`tf_keras_vis.saliency.Saliency` with `smooth_samples`, without its |·|, its maximum and its normalisation.

    Its noise comes from NumPy's global generator, so the user's seed does not reach it.

    Attributes:
        samples: Noisy copies per image.
        sigma: Standard deviation of the noise, as a share of each image's own (max − min).
    """

    samples: int = 15
    sigma: float = 0.15

    def __post_init__(self) -> None:
        check_count("samples", self.samples, 1)
        check_positive("sigma", self.sigma)

    def attribute(self, batch: Batch) -> Any:
        """Return the mean gradient of noisy copies, (B, H, W, C)."""
        return _saliency(batch, smooth_samples=self.samples, smooth_noise=self.sigma)


def _cam(batch: Batch, visualiser: Any, layer: str | None, score: Any, **options: Any) -> Any:
    """A class activation map on the layer that we would take, before its normalisation and its zoom, resized by us."""
    layer = layer or batch.classifier.target_layer
    if layer is None or layer not in {one.name for one in batch.classifier.model.layers}:
        raise AttribevalError(
            f"tf_keras_vis finds only layers of the model itself, not of nested models. Received: {layer!r}: "
            "use our own engine (backend=None)."
        )
    coarse = visualiser(
        score,
        batch.x,
        penultimate_layer=layer,
        seek_penultimate_conv_layer=False,  # or the last convolution silently takes its place
        expand_cam=False,
        normalize_cam=False,
        **options,
    )
    return batch.resize(tf.convert_to_tensor(np.asarray(coarse))[..., None])


@dataclass(frozen=True)
class GradCAM:
    """`tf_keras_vis.gradcam.Gradcam`.

    Attributes:
        layer: Name of the layer; None takes the last spatial output.
    """

    kind: ClassVar[str] = "gradcam.Gradcam"
    layer: str | None = None

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1)."""
        return _cam(batch, _visualiser(self.kind, batch), self.layer, _score(batch.targets))


@dataclass(frozen=True)
class LayerCAM(GradCAM):
    """`tf_keras_vis.layercam.Layercam`; option as of `GradCAM`."""

    kind: ClassVar[str] = "layercam.Layercam"


@dataclass(frozen=True)
class GradCAMPlusPlus(GradCAM):
    """`tf_keras_vis.gradcam_plus_plus.GradcamPlusPlus`, whose α are divided by their sum over all places.

    Behind global average pooling this is our `alphas="normalised"`; on other heads neither of ours. The score is given
    less its value at the image, so that its factor exp(score), which overflows, is 1, as in our map.
    """

    kind: ClassVar[str] = "gradcam_plus_plus.GradcamPlusPlus"

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1)."""

        def score(output: Any) -> Any:
            scores = tf.gather(output, batch.targets, axis=1, batch_dims=1)
            return scores - tf.stop_gradient(scores)

        return _cam(batch, _visualiser(self.kind, batch), self.layer, score)


@dataclass(frozen=True)
class ScoreCAM(GradCAM):
    """`tf_keras_vis.scorecam.Scorecam`: weights are probabilities, all masked images are in memory at once.

    It upsamples channels with the corner pixels aligned, we with the pixel centres; so the two agree closely, and to
    rounding where the layer is as large as the image. With `max_channels` it takes the channels that any image of the
    batch ranks high, so its maps depend on the batch; ours do not.

    Attributes:
        max_channels: Look only at the channels with the largest standard deviation; None looks at all.
    """

    kind: ClassVar[str] = "scorecam.Scorecam"
    max_channels: int | None = None

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1)."""
        classifier = batch.classifier
        if classifier.score != "logit" or classifier.link == "sigmoid":
            raise AttribevalError(
                "tf_keras_vis takes a softmax of the scores in Score-CAM, so it needs logits of one softmax. "
                f"Received: score={classifier.score!r} of a model that ends in {classifier.link}: "
                "use our own engine (backend=None)."
            )
        scorecam = _visualiser(self.kind, batch)
        scorecam.model.predict = functools.partial(type(scorecam.model).predict, scorecam.model, verbose=0)  # its copy
        return _cam(
            batch, scorecam, self.layer, _score(batch.targets), batch_size=batch.capacity, max_N=self.max_channels
        )
