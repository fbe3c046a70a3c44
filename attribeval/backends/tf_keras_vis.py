"""Gradient and Grad-CAM by tf-keras-vis (eager; flat functional models only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch


def _visualiser(cls: type, batch: Batch) -> Any:
    """A tf-keras-vis object on a copy of the model whose last activation is linear, checked to give our logits."""
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    classifier = batch.classifier
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


@dataclass(frozen=True)
class Gradient:
    """`tf_keras_vis.saliency.Saliency` without its |·|, its maximum over channels and its normalisation."""

    def attribute(self, batch: Batch) -> Any:
        """Return d logit / d input, (B, H, W, C)."""
        from tf_keras_vis.saliency import Saliency

        saliency = batch.share(("tf_keras_vis", "saliency"), lambda: _visualiser(Saliency, batch))
        return saliency(
            _score(batch.targets), batch.x, keepdims=True, gradient_modifier=lambda g: g, normalize_map=False
        )


@dataclass(frozen=True)
class GradCAM:
    """`tf_keras_vis.gradcam.Gradcam` on the layer that we would take, before its normalisation and its zoom.

    Attributes:
        layer: Name of the layer; None takes the last spatial output.
    """

    layer: str | None = None

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, resized bilinearly by us, (B, H, W, 1)."""
        from tf_keras_vis.gradcam import Gradcam

        layer = self.layer or batch.classifier.target_layer
        if layer is None or layer not in {one.name for one in batch.classifier.model.layers}:
            raise AttribevalError(
                f"tf_keras_vis finds only layers of the model itself, not of nested models. Received: {layer!r}: "
                "use our own engine (backend=None)."
            )
        gradcam = batch.share(("tf_keras_vis", "gradcam"), lambda: _visualiser(Gradcam, batch))
        coarse = gradcam(
            _score(batch.targets),
            batch.x,
            penultimate_layer=layer,
            seek_penultimate_conv_layer=False,  # or the last convolution silently takes its place
            expand_cam=False,
            normalize_cam=False,
        )
        return batch.resize(tf.convert_to_tensor(np.asarray(coarse))[..., None])
