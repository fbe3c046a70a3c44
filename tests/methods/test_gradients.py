"""What the gradient family promises: batches, memory, grey images, options."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.known import (
    known_x,  # noqa: F401
)

from attribeval import AttribevalError, Attributer
from attribeval.methods.registry import build_method
from attribeval.models import fields

FAMILY = ["gradient", "gradient_x_input", "guided_backprop", "deconvnet", "IG", "blur_ig", "guided_ig"]


@pytest.mark.parametrize("method", FAMILY)
def test_batch_size_does_not_change_a_map(small_model, images, method):
    attributer = Attributer(small_model)
    options = {"steps": 6} if "steps" in vars(build_method(method)) else {}
    kept = images.copy()
    maps = {size: attributer.explain(images, method, batch_size=size, **options).values for size in (1, 4, 9)}
    for size in (4, 9):
        scale = np.abs(maps[1]).max(axis=(1, 2, 3), keepdims=True)
        assert (np.abs(maps[size] - maps[1]) <= 1e-5 * scale).all()
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("method", ["integrated_gradients", "blur_ig", "guided_ig", "expected_gradients"])
def test_live_points_are_bounded_and_nothing_is_traced_twice(small_model, images, method, monkeypatch):
    seen = []
    plain = fields.gradient_and_scores

    def counted(classifier, x, *args, **kwargs):
        seen.append(int(x.shape[0]))
        return plain(classifier, x, *args, **kwargs)

    monkeypatch.setattr(fields, "gradient_and_scores", counted)
    attributer = Attributer(small_model, batch_size=4)
    traces = []
    trace = attributer.classifier.trace
    monkeypatch.setattr(attributer.classifier, "trace", lambda x: traces.append(x) or trace(x))
    options = {"samples": 30, "references": images[:2]} if method == "expected_gradients" else {"steps": 30}
    attributer.explain(images, method, **options)
    assert max(seen) <= 4 and sum(seen) == 30 * len(images)
    attributer.explain(images[:5], method, 3, batch_size=3, **options)
    assert len(traces) == 1


@pytest.mark.parametrize("method", FAMILY)
def test_a_grey_image_gives_finite_maps(small_model, method):
    grey = np.full((1, 32, 32, 3), 0.5, np.float32)
    attributer = Attributer(small_model)
    has_baseline = "baseline" in vars(build_method(method))
    for options in [{"baseline": name} for name in ("mean", "random", "blur")] if has_baseline else [{}]:
        maps = attributer.explain(grey, method, **options).values
        assert np.isfinite(maps).all()
        assert np.abs(maps).max() < 1e-6 or not options  # grey is its own mean and blur


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("IG", {"steps": 0}, "steps to be an int of 1 or more"),
        ("IG", {"steps": 2.5}, "steps"),
        ("IG", {"steps": 1, "rule": "trapezoid"}, "2 or more"),
        ("IG", {"rule": "simpson"}, "gauss_legendre"),
        ("IG", {"baseline": "white"}, "Unknown baseline: 'white'"),
        ("IG", {"baseline": np.zeros((4, 4, 3))}, r"baseline of shape \(32, 32, 3\).*Received: \(4, 4, 3\)"),
        ("IG", {"baseline": float("nan")}, "finite"),
        ("IG", {"baseline": object()}, "array of numbers"),
        ("blur_ig", {"max_sigma": 0}, "max_sigma"),
        ("blur_ig", {"steps": 0}, "steps"),
        ("guided_ig", {"fraction": 0}, "fraction above 0"),
        ("guided_ig", {"max_distance": 1.5}, "max_distance from 0 to 1"),
        ("expected_gradients", {}, "Received none: write explain"),
        ("expected_gradients", {"references": np.zeros((32, 32, 3))}, "references"),
        ("expected_gradients", {"references": np.zeros((2, 8, 8, 3))}, "references of shape"),
        ("expected_gradients", {"references": np.zeros((2, 32, 32, 3)), "samples": 0}, "samples"),
    ],
)
def test_bad_options(small_model, images, method, options, message):
    with pytest.raises(AttribevalError, match=message):
        Attributer(small_model).explain(images, method, **options)


def test_arrays_as_options_are_copied_compared_by_value_and_written_down(small_model, images):
    array = np.zeros((32, 32, 3), np.float32)
    one, two = build_method("IG", {"baseline": array}), build_method("IG", {"baseline": array + 1})
    assert one == build_method("IG", {"baseline": array.copy()}) and hash(one) == hash(one) and one != two
    array[:] = 7
    assert (one.baseline.values == 0).all()
    maps = Attributer(small_model).explain_many(images, {"one": one, "two": two, "black": build_method("IG")})
    np.testing.assert_array_equal(maps["one"].values, maps["black"].values)
    assert np.abs(maps["one"].values - maps["two"].values).max() > 0
    written = maps["one"].options
    assert written["baseline"]["shape"] == [32, 32, 3] and len(written["baseline"]["hash"]) == 16
    assert written["baseline"] != maps["two"].options["baseline"]
