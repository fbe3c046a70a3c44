"""From records to the answer: hand-worked areas, effects put in on purpose, and what must not matter."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from helpers.roar import FRACTIONS, LOSSES, cell, synthetic
from scipy import stats

from attribeval.benchmarks.roar.cells import cells_table
from attribeval.benchmarks.roar.summary import summarise
from attribeval.benchmarks.roar.verdict import areas, curves, trapezoid
from attribeval.errors import AttribevalError
from attribeval.results.comparisons import holm
from attribeval.results.result import Result
from attribeval.runs.failures import AGAIN


def row(table: pd.DataFrame, **wanted) -> pd.Series:
    for name, value in wanted.items():
        table = table[table[name] == value]
    (index,) = table.index
    return table.loc[index]


# -- areas -------------------------------------------------------------------------------------------------------------


def two_points() -> list[dict]:
    accuracies = {  # (repeat, fraction) → random, method
        (0, 0.25): (0.8, 0.7), (0, 0.75): (0.6, 0.2),
        (1, 0.25): (0.7, 0.7), (1, 0.75): (0.5, 0.3),
    }  # fmt: skip
    records = []
    for (repeat, fraction), (random, method) in accuracies.items():
        records.append(cell("control", "random", "remove", fraction, repeat, random))
        records.append(cell("method", "M", "remove", fraction, repeat, method))
    return records


def test_area_by_hand():
    # Gains .1 and .4 in repeat 0: ½·¼·.1 + ½·½·(.1+.4) + ½·¼·.4 = .0125 + .125 + .05; 0 and .2 in repeat 1: .05 + .025.
    found = row(areas(two_points()), estimator="M")
    assert found["area"] == pytest.approx((0.1875 + 0.075) / 2)
    assert found["repeats"] == 2
    # The interval of two numbers: mean ∓ 12.7062 · half their distance.
    half = 12.7062 * (0.1875 - 0.075) / 2
    assert (found["low"], found["high"]) == (
        pytest.approx(0.13125 - half, abs=1e-5),
        pytest.approx(0.13125 + half, 1e-4),
    )
    assert found["p"] == pytest.approx(1 - 2 / math.pi * math.atan(0.13125 / (0.1125 / 2)))
    chance = row(areas(two_points()), estimator="random")
    assert (chance["area"], chance["low"], chance["high"], chance["verdict"]) == (0, 0, 0, "")


def test_trapezoid_is_the_mean_gain_over_all_fractions():
    fractions, gain = np.array([0.1, 0.35, 0.8]), np.array([[0.2, -0.1, 0.4], [0.5, 0.5, 0.5]])
    fine = np.linspace(0, 1, 200_001)
    mean = [np.interp(fine, [0, *fractions, 1], [0, *g, 0]).mean() for g in gain]
    np.testing.assert_allclose(trapezoid(fractions, gain), mean, atol=1e-5)


def test_keeping_a_fraction_mirrors_removing_the_rest():
    mirrored = [
        r | {"mode": "keep", "fraction": 1 - r["fraction"], "accuracy": 1 - r["accuracy"]} for r in two_points()
    ]
    removed, kept = row(areas(two_points()), estimator="M"), row(areas(mirrored), estimator="M")
    for name in ("area", "low", "high", "p"):
        assert kept[name] == pytest.approx(removed[name])


def test_racu_is_madsens_ratio_and_only_there_if_everything_was_measured():
    records = two_points()
    assert np.isnan(row(areas(records), estimator="M")["racu"])
    for repeat, (whole, floor) in enumerate([(0.9, 0.1), (0.8, 0.1)]):
        records.append(cell("unmodified", "", "none", 0.0, repeat, whole))
        records.append(cell("control", "random", "remove", 1.0, repeat, floor))
    x = [0, 0.25, 0.75, 1]
    gained, possible = 0.0, 0.0
    for gain, random in [([0, 0.1, 0.4, 0], [0.9, 0.8, 0.6, 0.1]), ([0, 0, 0.2, 0], [0.8, 0.7, 0.5, 0.1])]:
        for i in range(3):
            gained += 0.5 * (x[i + 1] - x[i]) * (gain[i] + gain[i + 1])
            possible += 0.5 * (x[i + 1] - x[i]) * (random[i] - 0.1 + random[i + 1] - 0.1)
    found = row(areas(records), estimator="M")
    assert found["racu"] == pytest.approx(gained / possible)
    assert found["area"] == pytest.approx(0.13125)  # the end that was measured changes nothing else


def test_papers_food101_gives_the_papers_answer():
    """Hooker et al. 2019, table 2: squared ensembles remove better than random, base estimators and SG do not."""
    fractions = [0.1, 0.3, 0.5, 0.7, 0.9]
    published = {
        "random": [80.66, 78.30, 75.80, 72.98, 68.37],
        "GRAD": [83.79, 83.50, 83.09, 82.48, 78.36],
        "IG": [84.01, 83.95, 83.78, 83.52, 80.87],
        "SG-GRAD": [83.97, 84.00, 83.97, 83.83, 83.14],
        "SG-SQ-GRAD": [79.29, 75.83, 64.83, 38.88, 8.34],
        "SG-SQ-IG": [79.73, 76.73, 70.98, 59.55, 27.81],
        "VAR-GRAD": [79.55, 75.67, 67.40, 52.05, 15.69],
    }
    records = [
        cell("control" if name == "random" else "method", name, "remove", fraction, 0, accuracy / 100)
        for name, accuracies in published.items()
        for fraction, accuracy in zip(fractions, accuracies, strict=True)
    ]
    table = areas(records).set_index("estimator")
    assert list(table.index) == ["SG-SQ-GRAD", "VAR-GRAD", "SG-SQ-IG", "random", "GRAD", "IG", "SG-GRAD"]
    # By hand: ends of half width .1, inner steps of .2: .1 (d1 + d5) / 2 + .2 ((d1 + d5) / 2 + d2 + d3 + d4).
    d1, d2, d3, d4, d5 = (80.66 - 79.29, 78.30 - 75.83, 75.80 - 64.83, 72.98 - 38.88, 68.37 - 8.34)
    by_hand = 0.1 * (d1 + d5) / 2 + 0.2 * ((d1 + d5) / 2 + d2 + d3 + d4)
    assert table.loc["SG-SQ-GRAD", "area"] == pytest.approx(by_hand / 100)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_effects_put_in_are_found_and_no_others():
    table = areas(synthetic())
    inner = np.array(FRACTIONS)
    for mode in ("remove", "keep"):
        removed = inner if mode == "remove" else 1 - inner
        for name, loss in LOSSES.items():
            found = row(table, mode=mode, estimator=name)
            assert found["area"] == pytest.approx(float(trapezoid(inner, loss * removed)), abs=0.004)
            if name != "random":
                verdict = "better" if loss > 0 else "worse" if loss < 0 else "not distinguishable"
                assert found["verdict"].startswith(verdict)
        order = list(table["estimator"][table["mode"] == mode])
        assert order[:2] == ["GOOD", "FAIR"] and order[-2:] == ["sobel", "BAD"]
        letters = table[table["mode"] == mode].set_index("estimator")["group"]
        assert set(letters["LIKE"]) & set(letters["random"])
        assert not set(letters["GOOD"]) & set(letters["FAIR"])


def test_curves_hold_the_plain_statistics():
    records = synthetic()
    table = curves(records)
    assert len(table) == 1 + 2 * len(LOSSES) * len(FRACTIONS)
    mine = [r["accuracy"] for r in records if (r["estimator"], r["mode"], r["fraction"]) == ("BAD", "keep", 0.6)]
    chance = [r["accuracy"] for r in records if (r["estimator"], r["mode"], r["fraction"]) == ("random", "keep", 0.6)]
    found = row(table, estimator="BAD", mode="keep", fraction=0.6)
    assert found["accuracy"] == pytest.approx(np.mean(mine))
    assert found["std"] == pytest.approx(stats.tstd(mine))
    interval = stats.t.interval(0.95, 3, np.mean(mine), stats.sem(mine))
    assert (found["low"], found["high"]) == (pytest.approx(interval[0]), pytest.approx(interval[1]))
    assert found["difference"] == pytest.approx(np.mean(mine) - np.mean(chance))
    assert found["p"] == pytest.approx(stats.ttest_rel(mine, chance).pvalue)
    assert found["without_retraining"] == pytest.approx(0.9 - 0.8 * 0.4)
    assert (found["repeats"], found["pairs"], found["verdict"]) == (4, 4, "worse than chance")
    assert row(table, kind="unmodified")["verdict"] == ""


def test_holm_runs_over_methods_and_fractions_of_a_mode():
    records = synthetic()
    records += [
        cell("max_filter", "max3(BAD)", "remove", f, r, 0.5 + 0.01 * r + f * r / 9) for f in FRACTIONS for r in range(4)
    ]
    table = curves(records)
    for mode in ("remove", "keep"):
        family = table[(table["mode"] == mode) & table["kind"].isin(("method", "control"))]
        family = family[family["estimator"] != "random"]
        assert len(family) == 15
        np.testing.assert_allclose(family["p_holm"], holm(family["p"].to_numpy()))
    filtered = table[table["kind"] == "max_filter"]
    np.testing.assert_allclose(filtered["p_holm"], holm(filtered["p"].to_numpy()))
    assert row(areas(records), estimator="max3(BAD)")["group"] == ""


def test_order_of_records_and_names_of_repeats_do_not_matter():
    records = synthetic()
    records.append(cell("method", "GOOD", "remove", 0.1, 0, None))
    other = {0: 7, 1: 0, 2: 3, 3: 1}
    changed = [r | {"repeat": other[r["repeat"]]} for r in records]
    np.random.default_rng(5).shuffle(changed)
    for answer in (areas, curves):
        pd.testing.assert_frame_equal(answer(changed), answer(records), rtol=1e-9)


def test_pairing_is_by_repeat():
    """Swapping random's repeats leaves every mean alone and takes the certainty away."""
    records = synthetic(modes=("remove",))
    swapped = [r | {"repeat": (r["repeat"] + 1) % 4} if r["estimator"] == "random" else r for r in records]
    paired, unpaired = (row(areas(r), estimator="FAIR") for r in (records, swapped))
    assert paired["area"] == pytest.approx(unpaired["area"])
    assert paired["p"] < 1e-3 < unpaired["p"]


# -- unfinished and broken runs ----------------------------------------------------------------------------------------


def test_an_incomplete_repeat_counts_where_it_is_whole_and_nowhere_else():
    records = [r for r in synthetic(modes=("remove",)) if r["name"] != "method-FAIR-remove-0.6-2"]
    area = row(areas(records), estimator="FAIR")
    assert area["repeats"] == 3
    without = [r for r in synthetic(modes=("remove",)) if r["repeat"] != 2]
    assert area["area"] == pytest.approx(row(areas(without), estimator="FAIR")["area"])
    table = curves(records)
    assert [row(table, estimator="FAIR", fraction=f)["repeats"] for f in FRACTIONS] == [4, 3, 4]
    # random lacks a cell: the method keeps its curve, the pairs are fewer.
    records = [r for r in synthetic(modes=("remove",)) if r["name"] != "control-random-remove-0.9-0"]
    found = row(curves(records), estimator="GOOD", fraction=0.9)
    assert (found["repeats"], found["pairs"]) == (4, 3)
    assert row(areas(records), estimator="GOOD")["repeats"] == 3


def test_nothing_is_claimed_without_a_second_repeat_or_without_random():
    table = areas(synthetic(repeats=1))
    assert set(table["verdict"][table["estimator"] != "random"]) == {"not tested"}
    assert table["low"].isna().all() and table["p_holm"].isna().all()
    assert row(table, mode="remove", estimator="GOOD")["area"] > 0.05
    table = areas([r for r in synthetic() if r["estimator"] != "random"])
    assert set(table["verdict"]) == {"not measured"} and table["area"].isna().all()
    table = curves([r for r in synthetic() if r["estimator"] != "random"])
    assert table["difference"].isna().all() and table["accuracy"].notna().all()


def test_a_method_that_always_fails_has_a_row_that_says_so():
    records = synthetic(modes=("remove",))
    records += [cell("method", "BROKEN", "remove", f, r, None) for f in FRACTIONS for r in range(4)]
    answer = summarise(records, {})
    found = row(answer.table, method="BROKEN", metric="area vs random")
    assert (found["verdict"], found["repeats"]) == ("not measured", 0) and np.isnan(found["value"])
    rows = answer.table[answer.table["method"] == "BROKEN"]
    assert sorted(rows["fraction"].dropna()) == FRACTIONS and rows["value"].isna().all()
    assert (rows["error"] == f"ResourceExhaustedError: no memory. {AGAIN}").all()
    assert (answer.table["error"][answer.table["method"] != "BROKEN"] == "").all()
    assert answer.table["method"].iloc[0] == "GOOD"
    (said,) = [s for s in answer.summary if "Failed" in s]
    assert "4 of " in said and "BROKEN (ResourceExhaustedError: no memory)" in said
    assert (
        "Remove and retrain, not measured: BROKEN (no repeat in which it and random have every fraction)."
        in answer.summary
    )


def test_the_ends_alone_are_no_curve():
    records = [cell("control", "random", "remove", 1.0, r, 0.1) for r in range(3)]
    records += [cell("method", "M", "remove", 1.0, r, 0.1) for r in range(3)]
    assert set(areas(records)["repeats"]) == {0}


def test_bad_records_are_named():
    good = cell("method", "M", "remove", 0.3, 0, 0.5)
    with pytest.raises(AttribevalError, match=r"without accuracy.*method-M-remove-0.3-0"):
        cells_table([{name: value for name, value in good.items() if name != "accuracy"}])
    for field, value in (("mode", "removed"), ("kind", "m"), ("status", "ok"), ("accuracy", 50.0), ("fraction", -1)):
        with pytest.raises(AttribevalError, match=rf"{field}.*method-M-remove-0.3-0"):
            cells_table([good | {field: value}])
    assert len(cells_table([{n: v for n, v in good.items() if n != "accuracy"} | {"status": "failed"}])) == 1
    with pytest.raises(AttribevalError, match=r"accuracy from 0 to 1. Received nan"):
        cells_table([good | {"accuracy": float("nan")}])
    with pytest.raises(AttribevalError, match=r"two of 'method-M-remove-0.3-0'"):
        cells_table([good, good])
    with pytest.raises(AttribevalError, match=r"finished cell. Received 1 failed"):
        summarise([cell("method", "M", "remove", 0.3, 0, None)], {})


# -- the result --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answer() -> Result:
    records = synthetic()
    for repeat in range(4):
        for fraction in FRACTIONS:
            plain = next(r for r in records if r["name"] == f"method-BAD-remove-{fraction}-{repeat}")["accuracy"]
            lower = plain - 0.05 - 0.001 * repeat
            records.append(cell("max_filter", "max3(BAD)", "remove", fraction, repeat, lower))
        records.append(cell("leakage", "mask of BAD", "remove", 0.9, repeat, 0.35 + 0.01 * repeat))
    records = json.loads(json.dumps(records))
    return summarise(records, {"seed": 3}, planned=[r["name"] for r in records] + ["one more"])


def test_table_has_a_row_per_measurement_best_first(answer):
    table = answer.table
    assert len(table) == 13 + 1 + 36 + 3 + 1 + 3  # and of BAD's masks: the leakage, and two gains without it
    assert list(table["method"][:2]) == ["GOOD", "FAIR"]
    assert table["value"][:6].is_monotonic_decreasing
    accuracy = table[table["metric"] == "accuracy"]
    assert list(accuracy["fraction"][:3]) == FRACTIONS and set(accuracy["method"][:3]) == {"GOOD"}
    assert accuracy["method"].iloc[-1] == "unmodified"
    assert row(table, method="GOOD", mode="remove", metric="area vs random")["group"] == "a"


def test_result_survives_the_disk(answer, tmp_path):
    loaded = Result.load(answer.save(tmp_path))
    pd.testing.assert_frame_equal(loaded.table, answer.table, check_dtype=False)
    assert loaded.summary == answer.summary and loaded.settings == {"seed": 3, "level": 0.95}
    by_repeat = loaded.arrays["keep/GOOD/accuracy"]
    assert by_repeat.shape == (4, 3)
    kept = answer.table[(answer.table["method"] == "GOOD") & (answer.table["mode"] == "keep")]
    np.testing.assert_allclose(by_repeat.mean(0), kept[kept["metric"] == "accuracy"]["value"])


def test_sentences_say_the_numbers(answer):
    said = answer.summary
    expected = []
    for mode, title in (("remove", "Remove and retrain"), ("keep", "Keep and retrain")):
        gains = {
            name: f"{100 * row(answer.table, method=name, mode=mode, metric='area vs random')['value']:+.1f} points"
            for name in ("GOOD", "FAIR", "BAD", "sobel")
        }
        told = {name: f"{name} ({gain}{', a control' if name == 'sobel' else ''})" for name, gain in gains.items()}
        expected += [
            f"{title}, better than chance: {told['GOOD']}, {told['FAIR']}.",
            f"{title}, not distinguishable from chance: LIKE (0.0 points).",
            f"{title}, worse than chance: {told['sobel']}, {told['BAD']}.",
            f"{title}: all methods better than chance are better than Sobel edges, too.",
        ]
    assert said[:8] == [sentence.replace("-", "−") for sentence in expected]
    unmodified = row(answer.table, kind="unmodified")["value"]
    assert f"Trained on unmodified images, the model is right on {100 * unmodified:.1f} % of the test images." in said
    (retraining,) = [s for s in said if "at random" in s and s.startswith("With")]
    chance = row(answer.table, method="random", mode="remove", fraction=0.9)
    assert "With 90 %" in retraining and f"{100 * chance['value']:.1f} %" in retraining and "on 18.0 %" in retraining
    (leak,) = [s for s in said if s.startswith("Class leakage")]
    assert "most at 90 %: 36.5 % against 10.0 %" in leak
    (blur,) = [s for s in said if s.startswith("Blur artefact (remove)")]
    assert "max3(BAD) +5.2 points (95 % interval +4.9 to +5.4, p < 0.001)" in blur
    assert any(s.startswith("1 of ") and "not trained yet" in s for s in said)
    assert not any("failed" in s for s in said)


def test_edges_are_a_control_wherever_random_is():
    """Better than random, but as edges are: the repeats do not tell them apart."""
    records = synthetic(modes=("remove",))
    for one in records:
        if one["estimator"] == "sobel":
            good = next(r for r in records if r["name"] == one["name"].replace("control-sobel", "method-FAIR"))
            one["accuracy"] = good["accuracy"] + 0.001 * (-1) ** one["repeat"]
    said = summarise(records, {}).summary
    (edges,) = [one for one in said if "Sobel edges" in one]
    assert edges.startswith("Remove and retrain, better than chance, but not shown") and edges.endswith(": FAIR.")


def test_recursive_rows_are_a_family_of_their_own():
    records = synthetic(modes=("remove",))
    before = areas(records)
    for r in [r for r in records if r["estimator"] in ("BAD", "GOOD")]:
        lower = r["accuracy"] - 0.03 + 0.001 * r["repeat"]
        records.append(cell("recursive", f"recursive({r['estimator']})", "remove", r["fraction"], r["repeat"], lower))
    table = areas(records)
    pd.testing.assert_frame_equal(table[table["kind"] != "recursive"].reset_index(drop=True), before)
    mine = table[table["kind"] == "recursive"]
    np.testing.assert_allclose(mine["p_holm"], holm(mine["p"].to_numpy()))
    assert set(mine["group"]) == {""}
    (said,) = [s for s in summarise(records, {}).summary if s.startswith("Importance computed anew")]
    assert "recursive(GOOD) is better than chance (remove: gain +" in said and "; recursive(BAD) is worse" in said


# -- what the run could have shown -------------------------------------------------------------------------------------


def test_the_first_line_says_that_the_premise_fails():
    broken = [r | {"accuracy": 0.15} if r["kind"] == "unmodified" else r for r in synthetic(repeats=4)]
    said = summarise(broken, {}).summary[0]
    assert said.startswith("The premise of retraining does NOT hold") and "(15.0 % of the test images right" in said
    assert "is 10.0 %" in said and "repeat" not in said
    for repeats, words in ((1, "there is 1 repeat, fewer than 3"), (2, "there are 2 repeats, fewer than 3")):
        first = summarise(synthetic(repeats=repeats), {}).summary[0]
        assert "does NOT hold" in first and words in first and "near chance" not in first
    assert summarise(synthetic(repeats=3), {}).summary[0].startswith("Remove and retrain, better than chance: ")


def retraining(differences: list[float]) -> str:
    records = [cell("control", "random", "remove", 0.9, r, 0.5 + d, without_retraining=0.5)
               for r, d in enumerate(differences)]  # fmt: skip
    (said,) = [s for s in summarise(records, {}).summary if s.startswith("With 90 %")]
    return said


def test_a_kind_of_image_it_never_saw_is_claimed_by_a_test():
    assert "never saw" not in retraining([0.1, -0.08, 0.02]) and "no difference shown (p = " in retraining([0.1, -0.08])
    assert "(one repeat: not tested)" in retraining([0.3])
    assert "never saw, not to information that is gone (p < 0.001)" in retraining([0.3, 0.32, 0.29])
    worse = retraining([-0.3, -0.32, -0.29])
    assert "never saw" not in worse and worse.endswith("on 50.0 % (p < 0.001).")


def test_the_gain_that_could_have_been_shown_is_shown_in_four_of_five_runs():
    """One method, one test: runs simulated with that gain and that spread."""
    from attribeval.benchmarks.roar.premise import _shown, power

    n, spread = 3, 2.0  # repeats, points
    half = stats.t.ppf(0.975, n - 1) * spread / 100 / np.sqrt(n)
    table = pd.DataFrame([{"kind": "method", "estimator": "M", "mode": "remove", "area": 0.0, "low": -half,
                           "high": half, "repeats": n}])  # fmt: skip
    (said,) = power(table, 0.95)
    needed = float(said.split("about ")[1].split(" points")[0])
    gains = np.random.default_rng(0).normal(needed, spread, (20_000, n))
    assert (stats.ttest_1samp(gains, 0, axis=1).pvalue <= 0.05).mean() == pytest.approx(0.8, abs=0.015)
    assert "With 3 repeats" in said and "corrected for 1 test;" in said
    for free, alpha in ((1, 0.05), (2, 0.01), (9, 0.005)):
        assert stats.nct.sf(stats.t.isf(alpha / 2, free), free, _shown(free, alpha)) == pytest.approx(0.8, abs=1e-5)
    assert power(table.assign(repeats=1, low=np.nan, high=np.nan), 0.95) == []
    assert any("a gain must be about" in sentence for sentence in summarise(synthetic(), {}).summary)


def test_a_row_says_how_many_of_its_trainings_failed():
    records = synthetic(modes=("remove",))
    for record in records:
        if record["estimator"] == "BAD" and record["fraction"] == 0.6 and record["repeat"] == 2:
            told = "Traceback (most recent call last):\n  File\nRuntimeError: it was the weather"
            record |= {"status": "failed", "error": told}
    table = summarise(records, {}).table
    one = row(table, method="BAD", metric="accuracy", fraction=0.6)
    area = row(table, method="BAD", metric="area vs random")
    assert one["error"] == f"RuntimeError: it was the weather (1 of 4 trainings). {AGAIN}" and one["repeats"] == 3
    assert area["error"] == f"RuntimeError: it was the weather (1 of 12 trainings). {AGAIN}"
    assert (table["error"] != "").sum() == 2
