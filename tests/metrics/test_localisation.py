"""Localisation, one number per image: the cases by hand, and agreement with the procedure that has the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from attribeval.benchmarks.wsol.measure import measure
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.box_iou import BoxIoU, box_iou
from attribeval.metrics.localisation.energy_in_box import EnergyInBox, energy_in_box
from attribeval.metrics.localisation.pointing_game import PointingGame, pointing_game
from attribeval.metrics.localisation.relevance_rank_accuracy import RelevanceRank, relevance_rank_accuracy
from attribeval.metrics.subject import Explained, Subject

SIZE = (8, 10)
# In relative coordinates; the second image has two boxes, the third none.
BOXES = [np.array([[0.2, 0.25, 0.5, 0.75]]), np.array([[0, 0, 0.3, 0.5], [0.6, 0.5, 1, 1]]), np.zeros((0, 4))]
ALL = [PointingGame(tolerance=1), EnergyInBox(), RelevanceRank(), BoxIoU()]


def subject(boxes=BOXES, masks=None):
    images = np.zeros((len(boxes or masks), *SIZE, 1), np.float32)
    samples = Samples(images, np.zeros(len(images), int), boxes=boxes, masks=masks)
    seeds = np.zeros((len(images), 2), np.int32)
    return Subject(images, samples.labels, answer=None, seeds=seeds, samples=samples)


def run(benchmark, subject, heat):
    explained = Explained(np.asarray(heat, np.float32)[..., None], np.asarray(heat), explain=None)
    return benchmark.score(subject, benchmark.prepare(subject), explained)


def test_by_hand():
    heat = np.zeros((3, *SIZE))
    heat[0, 2:6, 2:5] = 1  # exactly the box: columns 2 to 4, rows 2 to 5
    heat[1, 4, 5] = 3  # one pixel left of the second box, whose corner is column 6, row 4
    heat[1, 0, 0] = 0.5
    found = [run(benchmark, subject(), heat) for benchmark in ALL]
    assert np.isnan(found)[:, 2].all()
    assert [scores[0] for scores in found] == [1, 1, 1, 1]
    assert found[0][1] == 1  # within a tolerance of 1
    assert run(PointingGame(tolerance=0.5), subject(), heat)[1] == 0
    assert found[1][1] == pytest.approx(0.5 / 3.5)
    assert found[3][1] == 0  # above 20 % of 3 there is column 5 alone, which meets neither box
    # K = 12 + 16 of 80 pixels. One of the two positive ones is inside; of the 78 zeros 27 are, and 26 are taken.
    assert found[2][1] == pytest.approx((1 + 26 * 27 / 78) / 28)


def test_they_equal_the_wsol_procedure():
    rng = np.random.default_rng(0)
    heat = rng.normal(size=(2, *SIZE))
    heat[1] = np.round(heat[1])  # ties
    one = subject(BOXES[:2])
    truth = one.samples.boxes_at(SIZE)
    measured = measure(heat, truth, None, {"energy", "rank", "pointing", "cam_maximum"}, iou=0.2, tolerance=1)
    for benchmark, name in zip(ALL, ["pointing", "energy", "rank"], strict=False):
        np.testing.assert_array_equal(run(benchmark, one, heat), measured[name])
    np.testing.assert_array_equal(run(BoxIoU(), one, heat) >= 0.2, measured["cam_maximum"])


def test_masks():
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 1, 1:3] = True  # the second has no object
    heat = np.arange(160.0).reshape(2, *SIZE)
    one = subject(None, masks)
    energy = run(EnergyInBox(truth="masks"), one, heat)
    assert energy[0] == pytest.approx((11 + 12) / heat[0].sum())
    assert np.isnan(energy[1])
    with pytest.raises(AttribevalError, match="no boxes"):
        run(EnergyInBox(), one, heat)
    # What asks for the object itself takes its mask, be there boxes or not: the K hottest pixels are the last ones.
    for both in (one, subject(BOXES[:2], masks)):
        np.testing.assert_array_equal(run(RelevanceRank(), both, heat), [0, np.nan])
        np.testing.assert_array_equal(run(PointingGame(tolerance=8), both, heat), [0, np.nan])
        np.testing.assert_array_equal(run(PointingGame(tolerance=9.3), both, heat), [1, np.nan])  # √(6² + 7²) away
    in_box = run(RelevanceRank(truth="boxes"), subject(BOXES[:2], masks), heat)
    assert in_box[1] > 0


def test_constant_maps_get_chance():
    heat = np.ones((3, *SIZE))
    share = 12 / 80
    assert run(EnergyInBox(), subject(), heat)[0] == pytest.approx(share)
    assert run(RelevanceRank(), subject(), heat)[0] == pytest.approx(share)
    assert run(PointingGame(tolerance=0.5), subject(), heat)[0] == pytest.approx(share)
    assert run(BoxIoU(), subject(), heat)[0] == pytest.approx(share)  # the whole image
    assert run(BoxIoU(), subject(), 0 * heat)[0] == 0


def test_regions_are_made_once():
    one = subject()
    assert PointingGame().prepare(one) is EnergyInBox().prepare(one) is RelevanceRank().prepare(one)
    assert one.passes == 0


def test_bad_input():
    heat = np.ones((2, *SIZE))
    heat[1, 0, 0] = np.inf
    regions = np.ones((2, *SIZE), bool)
    for metric in (pointing_game, energy_in_box, relevance_rank_accuracy):
        with pytest.raises(AttribevalError, match="map 1"):
            metric(heat, regions)
        with pytest.raises(AttribevalError, match="bools"):
            metric(heat[:1], regions)
        with pytest.raises(AttribevalError, match="bools"):
            metric(heat[:1], np.ones((1, *SIZE)))
    with pytest.raises(AttribevalError, match="map 1"):
        box_iou(heat, BOXES[:2])
    with pytest.raises(AttribevalError, match="one truth per map"):
        box_iou(heat[:1], BOXES)
    with pytest.raises(AttribevalError, match="images alone"):
        images = np.zeros((1, *SIZE, 1), np.float32)
        PointingGame().prepare(Subject(images, np.zeros(1, int), None, np.zeros((1, 2), np.int32)))
    for wrong in (lambda: PointingGame(tolerance=0), lambda: EnergyInBox(truth="box"), lambda: BoxIoU(reading="otsu")):
        with pytest.raises(AttribevalError, match="Expected"):
            wrong()
