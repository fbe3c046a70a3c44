"""What masks alone tell of the class, and gains without it: written again slowly, and planted where it is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from helpers.roar import FRACTIONS, cell, synthetic
from scipy import stats

from attribeval import Evaluator
from attribeval.benchmarks.roar.cells import cells_table
from attribeval.benchmarks.roar.leakage import debiased, entropy_of, fano, leaks
from attribeval.benchmarks.roar.summary import summarise
from attribeval.benchmarks.roar.verdict import areas, areas_without_retraining
from attribeval.benchmarks.roar.view.tables import roar_text, wide_table
from attribeval.datasets import Samples, TrainTest
from attribeval.results.comparisons import holm
from attribeval.results.numbers import gain_text
from attribeval.training.recipe import Recipe

CLASSES, SIZE = 4, 8


def leaking(with_random: bool = True, modes=("remove", "keep"), repeats: int = 4) -> list[dict]:
    """BAD's masks tell of the class, the more the larger they are; GOOD's and random's do not."""
    records, rng = synthetic(repeats, modes), np.random.default_rng(1)
    for fraction, repeat in itertools.product(FRACTIONS, range(repeats)):
        start = rng.normal(0, 0.01)  # one class is frequent: a model without any information is right on 30 %
        for name, above in (("random", 0.0), ("GOOD", 0.0), ("BAD", 0.25 * fraction)):
            if name == "random" and not with_random:
                continue
            accuracy = 0.3 + above + start + rng.normal(0, 0.002)
            records.append(cell("leakage", f"mask of {name}", modes[0], fraction, repeat, accuracy))
    return records


def slow_area(accuracy, other) -> np.ndarray:
    """By repeat: trapezoids between (fraction, difference), which is 0 at both ends."""
    out = []
    for repeat in range(4):
        points = [(0.0, 0.0), *((f, accuracy(f, repeat) - other(f, repeat)) for f in FRACTIONS), (1.0, 0.0)]
        out.append(sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points)))
    return np.array(out)


def lookup(records, kind, estimator, mode):
    found = {(r["fraction"], r["repeat"]): r["accuracy"] for r in records
             if (r["kind"], r["estimator"], r["mode"]) == (kind, estimator, mode)}  # fmt: skip
    return lambda fraction, repeat: found[fraction, repeat]


def test_leakage_is_the_area_between_models_of_masks():
    records = leaking()
    table = leaks(cells_table(records), entropy=math.log2(10)).set_index("estimator")
    assert list(table.index) == ["BAD", "GOOD"] and set(table["mode"]) == {"remove"}
    chance = lookup(records, "leakage", "mask of random", "remove")
    ps = []
    for name in table.index:
        by_hand = slow_area(lookup(records, "leakage", f"mask of {name}", "remove"), chance)
        assert table.loc[name, "leakage"] == pytest.approx(by_hand.mean())
        interval = stats.t.interval(0.95, 3, by_hand.mean(), stats.sem(by_hand))
        np.testing.assert_allclose(table.loc[name, ["low", "high"]].astype(float), interval)
        ps.append(stats.ttest_1samp(by_hand, 0).pvalue)
    np.testing.assert_allclose(table["p_holm"].astype(float), holm(np.array(ps)))
    assert list(table["verdict"]) == ["leaks", "no leak found"]
    mine = [r["accuracy"] for r in records if r["estimator"] == "mask of BAD" and r["fraction"] == 0.9]
    assert table.loc["BAD", "accuracy"] == pytest.approx(np.mean(mine)) and table.loc["BAD", "fraction"] == 0.9
    assert table.loc["BAD", "bits"] == pytest.approx(fano(np.mean(mine), 10, math.log2(10)))


def test_debiased_gains_are_gains_of_accuracies_less_those_of_masks():
    records = leaking()
    table = debiased(cells_table(records)).set_index(["mode", "estimator"])
    assert {name for _, name in table.index} == {"random", "GOOD", "BAD"}  # those whose masks were asked
    leak = leaks(cells_table(records)).set_index("estimator")["leakage"]
    plain = areas(records).set_index(["mode", "estimator"])["area"]
    for mode, sign in (("remove", -1), ("keep", 1)):
        for name in ("GOOD", "BAD"):
            mine, its = lookup(records, "method", name, mode), lookup(records, "leakage", f"mask of {name}", "remove")
            chance = lookup(records, "control", "random", mode)
            random = lookup(records, "leakage", "mask of random", "remove")
            by_hand = sign * slow_area(
                lambda f, r, mine=mine, its=its: mine(f, r) - its(f, r),
                lambda f, r, chance=chance, random=random: chance(f, r) - random(f, r),
            )
            assert table.loc[(mode, name), "area"] == pytest.approx(by_hand.mean())
            assert table.loc[(mode, name), "area"] == pytest.approx(plain[mode, name] - sign * leak[name])
            assert table.loc[(mode, name), "p"] == pytest.approx(stats.ttest_1samp(by_hand, 0).pvalue)


def test_a_leak_may_turn_the_verdict_and_it_is_said():
    """BAD is worse than random in ROAR by 15 points a unit, its masks tell 25: without them it is better."""
    result = summarise(leaking(modes=("remove",)), {"class_entropy": math.log2(10)})
    (leak, remains) = [s for s in result.summary if s.startswith(("Class leakage", "Remove and retrain, debiased"))]
    rows = result.table.set_index(["metric", "method"])["value"]
    bad = rows["leakage", "mask of BAD"]
    assert f"mask of BAD {gain_text(bad)} (95 % interval +" in leak and "leaks, p < 0.001" in leak
    assert "of the 3.32 bits of the class; mask of GOOD" in leak and "no leak found, p = " in leak
    assert "BAD from worse than chance to better than chance" in remains
    assert f"BAD {gain_text(rows['debiased area vs random', 'BAD'])}" in remains and "in the same order" in remains
    wide = wide_table(result).set_index("method")
    assert wide.loc["BAD", "masks tell (points)"] == pytest.approx(100 * bad)
    assert np.isnan(wide.loc["FAIR", "debiased gain (points)"])
    block = roar_text(result).split("Class leakage")[1].splitlines()
    assert block[2].split()[:3] == ["masks", "they", "tell"]
    assert [line.split("  ")[0] for line in block[4:]] == ["mask of BAD", "mask of GOOD", "mask of random"]


def test_guessing_is_no_leak_one_repeat_no_test_and_a_missing_mask_no_number():
    records = leaking(with_random=False, modes=("remove",))
    table = leaks(cells_table(records)).set_index("estimator")
    assert table.loc["BAD", "chance"] == 0.1 and np.isnan(table.loc["BAD", "bits"])  # one in ten classes
    flat = [r | {"accuracy": 0.1 + 0.01 * (r["repeat"] - 1.5)} if r["kind"] == "leakage" else r for r in records]
    assert set(leaks(cells_table(flat))["verdict"]) == {"no leak found"}
    one_repeat = [r for r in leaking() if r["repeat"] == 0]
    assert set(leaks(cells_table(one_repeat))["verdict"]) == {"not tested"}
    (said,) = [s for s in summarise(one_repeat, {}).summary if s.startswith("Class leakage")]
    assert said.count("(not tested)") == 2
    lost = [r for r in leaking() if (r["estimator"], r["fraction"], r["repeat"]) != ("mask of BAD", 0.6, 2)]
    assert debiased(cells_table(lost)).set_index(["mode", "estimator"]).loc[("remove", "BAD"), "repeats"] == 3
    pd.testing.assert_frame_equal(leaks(cells_table(synthetic())), leaks(cells_table([])))
    assert not any("leak" in sentence for sentence in summarise(synthetic(), {}).summary)


def test_fano_holds_for_channels_whose_information_is_known():
    """A guess that is wrong in a share e, evenly among the other classes, has exactly Fano's information."""
    for classes, wrong in ((2, 0.1), (4, 0.3), (10, 0.0), (10, 0.5)):
        joint = np.full((classes, classes), wrong / (classes - 1) / classes)
        np.fill_diagonal(joint, (1 - wrong) / classes)
        filled = joint[joint > 0]
        known = float((filled * np.log2(filled * classes**2)).sum())
        assert fano(1 - wrong, classes, math.log2(classes)) == pytest.approx(known)
    assert fano(0.1, 10, math.log2(10)) == fano(0.02, 10, math.log2(10)) == 0
    assert entropy_of(np.array([0, 0, 1, 3])) == pytest.approx(1.5)


def net():
    import keras

    layers = keras.layers
    return keras.Sequential([keras.Input((SIZE, SIZE, 1)), layers.Rescaling(1 / 255), layers.Flatten(),
                             layers.Dense(CLASSES, activation="softmax")])  # fmt: skip


def test_masks_that_spell_the_class_leak_it_whole_and_random_ones_nothing(tmp_path):
    """Maps that mark the quarter of the class, on images that are noise: the masks alone tell everything, and what the
    retrained model knows it has from them."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(SIZE * SIZE), SIZE)
    quarter = (2 * (rows // 4) + columns // 4).reshape(SIZE, SIZE, 1)
    parts, spelt = [], []
    for count in (120, 80):
        labels = np.arange(count) % CLASSES
        parts.append(Samples(rng.integers(0, 120, (count, SIZE, SIZE, 1)).astype(np.uint8), labels, name="noise"))
        spelt.append(rng.random((count, SIZE, SIZE, 1)) + (quarter == labels[:, None, None, None]))
    result = Evaluator.roar(
        net, TrainTest(*parts), {"spelt": tuple(spelt), "random": "random"}, run_dir=tmp_path, checkpoint=net(),
        fractions=[0.25], modes=["remove"], repeats=1, controls=["leakage"], fill=255.0, progress=False,
        recipe=Recipe(epochs=8, batch_size=20, learning_rate=0.1), strategy=tf.distribute.get_strategy(),
    )  # fmt: skip
    accuracy = result.table[result.table["metric"] == "accuracy"].set_index("method")["value"]
    assert accuracy["mask of spelt"] == 1 and accuracy["spelt"] > 0.95
    assert abs(accuracy["mask of random"] - 1 / CLASSES) < 0.15
    rows = result.table.set_index(["metric", "method"])
    assert rows.loc[("leakage", "mask of spelt"), "bits"] == 2 == result.settings["class_entropy"]
    gain, without = (rows.loc[(metric, "spelt"), "value"] for metric in ("area vs random", "debiased area vs random"))
    assert gain < -0.2 and abs(without) < 0.1  # worse than random, though nothing is known that the mask does not tell


def test_order_with_and_without_retraining():
    """Gains without retraining from hand-made areas, and ρ of both orders; ROAD is named where its imputation fills."""
    untrained = {"random": 0.5, "GOOD": 0.3, "FAIR": 0.1, "LIKE": 0.5, "BAD": 0.7, "sobel": 0.6}
    records = synthetic(modes=("remove",))
    for record in records:
        if record["estimator"]:
            record["without_retraining"] = untrained[record["estimator"]] - 0.1 * record["fraction"]
    table = areas_without_retraining(cells_table(records)).set_index("estimator")
    for name, accuracy in untrained.items():
        assert table.loc[name, "area"] == pytest.approx((0.5 - accuracy) * (0.3 / 2 + 0.6 + 0.1 / 2))
    gains = areas(records).set_index("estimator")["area"].drop("random")
    rho = stats.spearmanr(gains, -pd.Series(untrained)[gains.index]).statistic
    for fill, named in (("mean", False), ("linear", True)):
        (said,) = [s for s in summarise(records, {"fill": fill}).summary if "that are retrained" in s]
        assert said.endswith(f"have Spearman's ρ = {rho:.3f}.") and ("ROAD-retrained" in said) == named
        assert "gains of 5 methods and controls" in said
