"""What a sanity check may claim from few images, on curves made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attribeval.benchmarks.sanity.summary import Curve, summarise
from attribeval.benchmarks.sanity.view.tables import wide_table
from attribeval.results.comparisons import holm
from attribeval.results.over_images import sign_flip_test

STEPS, LAYERS = [1, 2, 3], ["head", "high", "low"]


def result(methods, n, seed=0, modes=("cascading", "independent")):
    """Curves of methods, (3, N) by name, beside noise about 0 and Sobel."""
    rng = np.random.default_rng(seed)
    values = {**methods, "random": rng.normal(0, 0.1, (3, n)), "sobel": np.ones((3, n))}
    curves = [
        Curve(name, "control" if name in ("random", "sobel") else "method", mode, STEPS, LAYERS,
              {"spearman_abs": of_images}, np.full(3, 0.01))
        for name, of_images in values.items() for mode in modes
    ]  # fmt: skip
    settings = {"similarities": ["spearman_abs"], "modes": list(modes), "images": n, "left_out": [],
                "unchanged_layers": []}  # fmt: skip
    return summarise(curves, settings)


def test_one_image_gives_no_verdict():
    found = result({"alike": np.full((3, 1), 0.9), "unlike": np.full((3, 1), -0.9)}, 1)
    text = " ".join(found.summary)
    assert "not tested against noise, with fewer than 2 images" in text and "1 image is few" in text
    for claim in ("still more alike", "less alike", "Nearer to Sobel", "not told from"):
        assert claim not in text
    assert (
        "To one random layer at a time: unlike −0.900 and alike 0.900 on average" in text and "reacts most" not in text
    )
    assert "not tested, with fewer than 2 images)" in text
    same = " ".join(result({"one": np.full((3, 5), 0.4), "other": np.full((3, 5), 0.4)}, 5).summary)
    assert "all methods react alike" in same and "reacts most" not in same
    assert found.table["low"].isna().all()
    assert set(wide_table(found)["halved at"]) == {""}


@pytest.mark.parametrize("n", [3, 8, 30])
def test_noise_is_told_from_noise_in_five_per_cent(n):
    """A method whose maps are noise, too; the intervals of a bootstrap beside each other claimed far more."""
    runs = 120
    claims = {"alike than noise": 0, "Nearer to Sobel": 0, "; p": 0}
    for seed in range(runs):
        rng = np.random.default_rng([seed, n])
        methods = {name: rng.normal(0, 0.1, (3, n)) for name in ("one", "other")}
        summary = " ".join(result(methods, n, [seed, 7]).summary)
        for claim in claims:
            claims[claim] += claim in summary
    assert max(claims.values()) / runs <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs), claims


def test_what_is_there_is_found_with_its_corrected_p():
    rng = np.random.default_rng(1)
    n = 12
    methods = {"stubborn": rng.normal(0.9, 0.05, (3, n)), "fine": rng.normal(0, 0.1, (3, n))}
    methods["against"] = rng.normal(-0.5, 0.1, (3, n))
    methods["half"] = np.concatenate([rng.normal(0.9, 0.05, (2, n)), rng.normal(0.2, 0.05, (1, n))])
    found = result(methods, n)
    said = found.summary
    (alike,) = [one for one in said if "still more alike than noise" in one]
    assert "stubborn" in alike and "half" in alike and "fine" not in alike and "p corrected for 4 methods" in alike
    (less,) = [one for one in said if "less alike than noise" in one]
    assert "against" in less and "stubborn" not in less
    (told,) = [one for one in said if "not told from noise" in one]
    assert "fine" in told and "half" not in told
    (nearer,) = [one for one in said if "Nearer to Sobel" in one]
    assert "stubborn (to the end)" in nearer and "half (until high, 2 of 3)" in nearer and "fine" not in nearer
    (single,) = [one for one in said if "reacts most" in one]
    assert "against reacts most" in single and "stubborn least" in single and "no difference shown" not in single
    means = {name: values.mean(0) for name, values in methods.items()}
    names = list(means)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    p = holm(np.array([sign_flip_test(means[a], means[b]) for a, b in pairs]))
    assert f"{p[pairs.index(('stubborn', 'against'))]:.3f}" in single


def test_images_without_a_number_are_left_out_of_the_test():
    values = np.full((3, 14), 0.8) + np.random.default_rng(0).normal(0, 0.05, (3, 14))
    values[:, :4] = np.nan
    found = result({"some": values}, 14)
    assert (found.table["images"][found.table["method"] == "some"] == 10).all()
    text = " ".join(found.summary)
    assert "still more alike than noise" in text and "nan" not in text and "some 10" in text


def test_five_images_are_said_to_show_nothing():
    text = " ".join(result({"alike": np.full((3, 5), 0.9)}, 5).summary)
    assert "5 images cannot show any difference at 5 %" in text and "0.062" in text
    assert "still more alike" not in text
