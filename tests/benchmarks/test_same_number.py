"""One name, one number: what two studies score of the same maps agrees, for every method of the registry."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.contract import NAMES
from scipy.ndimage import gaussian_filter

from attribeval import Attributer, Evaluator
from attribeval.attributions import Attributions
from attribeval.benchmarks.wsol.procedure import run_wsol
from attribeval.datasets import Samples
from attribeval.methods.function import method
from attribeval.methods.given import methods_of, ranking
from attribeval.metrics.localisation.energy_in_box import energy_inside

SIZE = 24
# The same question by the names of both studies; the data have boxes and masks, and objects do not fill their boxes.
PAIRS = {
    "EnergyInBox": "energy_in_box",
    "RelevanceMass": "energy_in_box(truth=masks)",
    "RelevanceRank": "relevance_rank",
    "PointingGame": "pointing_game(tolerance=2)",
    "CAM20max": "box_iou",
}


def test_every_localisation_score_is_the_same_in_both_studies():
    keras.utils.set_random_seed(3)
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(6, 3, activation="relu", name="low"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu", name="high"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, name="head"),
        ]
    )
    rng = np.random.default_rng(0)
    images = (gaussian_filter(rng.normal(size=(3, SIZE, SIZE, 3)), (0, 2, 2, 0)) * 6).astype(np.float32)
    boxes, masks = [], np.zeros((3, SIZE, SIZE), bool)
    for mask in masks:
        x, y = rng.integers(0, 10, 2)
        mask[y : y + 11, x : x + 12] = 1
        mask[y : y + 6, x : x + 7] = 0
        boxes.append(np.array([[x, y, x + 12, y + 11]]) / SIZE)
    data = Samples(images, np.array([0, 2, 0]), boxes=boxes, masks=masks)  # a class has more images than the other
    regions = [np.outer(mask.any(1), mask.any(0)) for mask in masks]  # the boxes' pixels
    attributer = Attributer(net)
    of_lrp = attributer.explain(images, "lrp")
    signed = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)
    methods = {
        **methods_of(NAMES),
        "maps of lrp": of_lrp,
        "maps of nobody": signed,
        "shares": method(shares=True)(lambda images, targets: np.sin(5 * images)),
    }
    wsol = Evaluator(attributer, data).wsol(methods, metrics=list(PAIRS), tolerance=2, targets="predicted", seed=5)
    board = Evaluator(attributer, data).compare(methods, list(PAIRS.values()), seed=5)
    assert not (board.table["error"] != "").any()
    names = board.settings["methods"]
    assert set(names) >= {*methods, "random", "sobel"}
    for name in names:
        for j, metric in enumerate(PAIRS):
            one, other = wsol.arrays[f"{name}/{metric}/images"], board.arrays["scores"][names.index(name), j]
            other = other >= 0.5 if metric == "CAM20max" else other
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=f"{name}: {metric}")
    # Both ask masks where there are some; of boxes alone the numbers are others, and of masks alone they are these.
    kept = {name: wsol.arrays[f"lrp/{name}/images"].mean() for name in ("RelevanceRank", "PointingGame")}
    for truth in ("boxes", "masks"):
        some = Samples(images, data.labels, **{truth: boxes if truth == "boxes" else masks})
        one = Evaluator(attributer, some).wsol(["lrp"], metrics=list(kept), tolerance=0, targets="predicted")
        ours = ["relevance_rank", "pointing_game(tolerance=1e-9)"]
        other = Evaluator(attributer, some).compare(["lrp"], ours).table.set_index(["method", "benchmark"])["value"]
        found = one.table.set_index(["method", "metric"])["value"]
        assert found["lrp", "RelevanceRank"] == pytest.approx(other["lrp", ours[0]])
        assert found["lrp", "PointingGame"] == pytest.approx(other["lrp", ours[1]])
        assert (found["lrp", "RelevanceRank"] == pytest.approx(kept["RelevanceRank"])) == (truth == "masks")
    # The reading itself: shares are summed, the sizes of all other values.
    for name, values, read in (
        ("lrp", of_lrp.values, lambda one: one.sum(-1)),
        ("shares", np.sin(5 * images), lambda one: one.sum(-1)),
        ("maps of nobody", signed, lambda one: np.abs(one).sum(-1)),
    ):
        expected = [energy_inside(read(one), region) for one, region in zip(values, regions, strict=True)]
        np.testing.assert_allclose(wsol.arrays[f"{name}/EnergyInBox/images"], expected, rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(wsol.arrays["maps of lrp/EnergyInBox/images"], wsol.arrays["lrp/EnergyInBox/images"])


def test_the_reading_is_part_of_what_a_number_is_kept_under(tmp_path):
    """The same values, once as shares of a score and once as sizes, are two numbers in one folder."""
    net = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
    values = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
    data = Samples(values, np.zeros(4, int), boxes=[np.array([[0.0, 0.0, 0.5, 0.5]])] * 4)
    maps = Attributions(values, np.zeros(4, np.int32), "lrp")
    assert ranking(methods_of({"m": maps})["m"]) == "sum"
    found = []
    for given in (values, maps, values):
        result = run_wsol(Attributer(net), data, {"m": given}, metrics=["EnergyInBox"], run_dir=tmp_path)
        found.append(result.arrays["m/EnergyInBox/images"])
    for one, read in zip(found, (lambda v: np.abs(v).sum(-1), lambda v: v.sum(-1), lambda v: np.abs(v).sum(-1)),
                         strict=True):  # fmt: skip
        inside = np.zeros((8, 8), bool)
        inside[:4, :4] = True
        np.testing.assert_allclose(one, [energy_inside(read(v), inside) for v in values], rtol=1e-5)
