"""Score-CAM: its formula written slowly, and tf-keras-vis."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cams import (  # noqa: F401
    SIZE,
    TARGETS,
    assert_close,
    built,
    by_tape,
    cams_images,
    cams_vgg_like,
    features,
    flatten_head,
    gap_head,
    layers,
    logits_model,
    upsampled,
)

from attribeval import Attributer


def slow_scorecam(model, images, targets, weights, channels=None):
    a = by_tape(model, images, targets)[0]
    inner, kernel, bias = logits_model(model)
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        spread = [a[b, :, :, k].std() for k in range(a.shape[3])]
        chosen = sorted(range(a.shape[3]), key=lambda k: -spread[k])[:channels]
        scores = {}
        for k in chosen:
            mask = upsampled(a[b : b + 1, :, :, k], SIZE)[0]
            if mask.max() == mask.min():
                continue
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            seen = (images[b] * mask[..., None]).astype(np.float32)[None]
            logits = np.asarray(inner([seen])[1] @ kernel + bias, np.float64)[0]
            probability = np.exp(logits[targets[b]]) / np.exp(logits).sum()
            scores[k] = logits[targets[b]] if weights == "softmax" else probability
        if weights == "softmax":
            total = sum(np.exp(s) for s in scores.values())
            scores = {k: np.exp(s) / total for k, s in scores.items()}
        for k, s in scores.items():
            out[b] += s * a[b, :, :, k]
    return np.maximum(out, 0)


@pytest.mark.parametrize("weights", ["probability", "softmax"])
@pytest.mark.parametrize("channels", [None, 2])
def test_scorecam_equals_its_formula(vgg_like, images, weights, channels):
    ours = Attributer(vgg_like).explain(images, "scorecam", TARGETS, weights=weights, max_channels=channels).values
    assert_close(ours, upsampled(slow_scorecam(vgg_like, images, TARGETS, weights, channels), SIZE))


@pytest.mark.parametrize("model", ["vgg_like", "small_model"])
def test_scorecam_agrees_with_tf_keras_vis(model, images, request):
    attributer = Attributer(request.getfixturevalue(model))
    full = "early" if model == "vgg_like" else "relu1"  # as large as the image: both leave the channels as they are
    for options, tolerance in ({"layer": full}, 1e-4), ({"layer": full, "max_channels": 3}, 1e-4), ({}, 0.05):
        few = images[:1] if "max_channels" in options else images  # it mixes up the channels of a batch
        ours = attributer.explain(few, "scorecam", 1, **options).values
        theirs = attributer.explain(few, "scorecam", 1, backend="tf_keras_vis", **options).values
        assert_close(ours, theirs, tolerance)


def test_scorecam_leaves_out_constant_channels(images):
    """A dead channel and a constant one: no mask, no weight, no number that is not finite."""
    model = built(gap_head)
    kernel, bias = model.get_layer("late").get_weights()
    kernel[..., 0], bias[0] = 0, 0
    kernel[..., 1], bias[1] = 0, 3
    model.get_layer("late").set_weights([kernel, bias])
    ours = Attributer(model).explain(images, "scorecam", TARGETS).values
    assert_close(ours, upsampled(slow_scorecam(model, images, TARGETS, "probability"), SIZE))
    for weights in "probability", "softmax":
        grey = Attributer(model).explain(np.zeros_like(images[:1]), "scorecam", weights=weights).values
        assert np.isfinite(grey).all()
