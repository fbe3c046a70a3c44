"""Agreement of cheap scores with retraining: correlations written again, planted answers, and runs that do not fit."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attribeval import AttribevalError, Evaluator, Result
from attribeval.benchmarks.agreement.correlation import correlate, spearman
from attribeval.benchmarks.agreement.procedure import _called
from attribeval.benchmarks.registry import STUDIES, part
from attribeval.cli import main
from attribeval.methods.registry import build_method, written
from attribeval.results.judgement import Judgement

METHODS = ["gradient", "smoothgrad_squared(gradient)", "vargrad(gradient)", "gradcam", "layercam", "guided_backprop",
           "integrated_gradients", "deeplift", "random", "sobel"]  # fmt: skip
PAPER = ["GRAD", "SG-SQ-GRAD", "VAR-GRAD", "gradcam", "layercam", "GB", "IG", "deeplift", "random", "sobel"]
KINDS = ["method"] * 8 + ["control"] * 2
TRUTH = np.array([2.0, 7, 6, 5, 4, 1, 3, 0, -3, 9])  # the controls are at the ends


def board(scores: dict[str, tuple[str, np.ndarray]], methods=METHODS, kinds=KINDS) -> Result:
    """Benchmarks by name: which is better, and (methods, images)."""
    table = pd.DataFrame({"method": methods, "kind": kinds, "benchmark": "any", "value": 0.0, "low": 0.0, "high": 0.0})
    settings = {
        "model": "net", "dataset": "digits", "images": 50, "cost": {"maps_seconds": 2.5, "scoring_seconds": 1.0},
        "kinds": dict(zip(methods, kinds, strict=True)), "better": {name: one[0] for name, one in scores.items()},
    }  # fmt: skip
    return Result("leaderboard", table, settings, [], {"scores": np.stack([v for _, v in scores.values()], 1)})


def roar(loss: np.ndarray, methods=PAPER, kinds=KINDS, repeats=5) -> Result:
    """A method of quality q takes q points of accuracy when its pixels are removed, and keeps q when they are kept."""
    rng = np.random.default_rng(3)
    arrays = {}
    for mode, sign in (("remove", -1), ("keep", 1)):
        for name, quality in zip(methods, loss, strict=True):
            start = 0.5 + rng.normal(0, 1e-4, (repeats, 1))
            arrays[f"{mode}/{name}/accuracy"] = start + sign * 0.02 * quality * np.array([[0.5, 1.0]])
    table = pd.DataFrame({"method": methods, "kind": kinds, "metric": "area vs random"})
    return Result("roar", table, {"model": {"classes": 3}, "data": {"name": "digits"}}, [], arrays)


def noisy(values, seed, images=50, spread=0.01):
    return values[:, None] + np.random.default_rng(seed).normal(0, spread, (len(values), images))


def test_spearman_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (2, 40, 9))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(spearman(one, other), expected, atol=1e-12)
    assert np.isnan(spearman(np.ones((1, 4)), np.arange(4.0)[None])).all()


def test_partial_takes_from_each_rank_its_familys_mean():
    rng = np.random.default_rng(1)
    one, other, groups = rng.normal(size=8), rng.normal(size=8), [0, 0, 0, 1, 1, 2, 3, 3]
    left = []
    for values in (one, other):
        ranks = [sum(w < v for w in values) + 1 for v in values]
        means = {g: np.mean([r for r, h in zip(ranks, groups, strict=True) if g == h]) for g in groups}
        left.append([r - means[g] for r, g in zip(ranks, groups, strict=True)])
    expected = np.corrcoef(*left)[0, 1]
    found = spearman(one[None], other[None], np.array([groups]))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(spearman(one[None], other[None], np.arange(8)[None])).all()  # each a family of its own


def judgement(values, better="high", units="images") -> Judgement:
    names = [f"m{i}" for i in range(len(values))]
    return Judgement("s", "cheap", better, units, names, np.zeros(len(values), bool), np.asarray(values, float))


def test_p_is_the_share_of_all_orders():
    one, other = np.array([3.0, 1, 2, 5, 4]), np.array([2.0, 1, 3, 5, 4])
    rho = stats.spearmanr(one, other).statistic
    every = [stats.spearmanr(one, order).statistic for order in itertools.permutations(other)]
    exact = np.mean(np.abs(every) >= abs(rho) - 1e-12)
    found = correlate(judgement(one[:, None]), judgement(other[:, None]), list("abcde"), 100, 0.95, 0)
    assert found.value == pytest.approx(rho) and found.p == pytest.approx(exact, abs=0.015)


def test_interval_is_that_of_a_bootstrap_over_methods_images_and_repeats():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=12)
    cheap, dear = noisy(truth, 6, images=8, spread=2.0), noisy(truth, 7, images=4, spread=1.0)
    cheap[3, :5] = np.nan
    found = correlate(judgement(cheap), judgement(dear, units="repeats"), list("aaaaaabbbbbb"), 10_000, 0.9, 0)
    slow = []
    for _ in range(2000):
        methods, images, repeats = rng.integers(0, 12, 12), rng.integers(0, 8, 8), rng.integers(0, 4, 4)
        drawn = [cheap[m][images] for m in methods]
        whole = [np.nanmean(cheap[m]) for m in methods]
        first = [w if np.isnan(d).all() else np.nanmean(d) for d, w in zip(drawn, whole, strict=True)]
        slow.append(stats.spearmanr(first, [dear[m][repeats].mean() for m in methods]).statistic)
    np.testing.assert_allclose([found.low, found.high], np.quantile(slow, [0.05, 0.95]), atol=0.05)
    assert found.low < found.value < found.high


def test_what_is_planted_is_found(tmp_path):
    """One score is the judge's order, one its reverse, one knows the families alone, one nothing."""
    family = np.array([0.0, 3, 3, 2, 2, 0, 0, 0, 0, 0])
    scores = {
        "same": ("high", noisy(TRUTH, 0)),
        "reverse": ("high", noisy(-TRUTH, 1)),
        "low is better": ("low", noisy(-TRUTH, 2)),
        "families": ("high", noisy(family, 3, spread=1e-6)),
    }
    board(scores).save(tmp_path / "board")
    roar(TRUTH).save(tmp_path / "roar")
    result = Evaluator.agreement([tmp_path / "board", str(tmp_path / "roar")])
    rows = result.table[result.table["judge"] == "ROAR"].set_index("score")
    assert rows.loc[["same", "low is better"], "value"].tolist() == [1, 1] and rows.loc["reverse", "value"] == -1
    assert (rows["methods"] == 8).all() and (rows["judge_units"] == "5 repeats").all()
    assert rows.loc["same", ["low", "high"]].tolist() == [1, 1] and rows.loc["same", "p_holm"] < 0.01
    assert rows.loc["families", "value"] > 0.7 and abs(rows.loc["families", "partial"]) < rows.loc["families", "value"]
    assert list(result.table["judge"].unique()) == ["ROAR", "KAR"]
    assert result.summary[0].startswith("ROAR: methods are ranked as by it by")
    assert "the other way round by reverse (ρ -1.00)" in result.summary[0]
    assert any("trained by the study" in line for line in result.summary)  # another model judged
    known = result.arrays[f"same|{tmp_path / 'board'}|ROAR"]
    np.testing.assert_allclose(known[:, 0], scores["same"][1][:8].mean(1))
    assert result.settings["methods"][f"same|{tmp_path / 'board'}|ROAR"] == METHODS[:8]
    with_controls = Evaluator.agreement([board(scores), roar(TRUTH)], controls=True)
    assert (with_controls.table["methods"] == 10).all()


def test_of_the_runs_is_said_what_their_records_say():
    scores = {"same": ("high", noisy(TRUTH, 0))}
    one, other, retrained = board(scores), board(scores), roar(TRUTH)
    retrained.settings["data"]["name"] = "digits_train/digits"  # of which the board has the test images
    one.settings |= {"weights": "w1", "model": "a"}
    other.settings |= {"weights": "w1", "model": "b"}  # one model under two names
    said = "\n".join(Evaluator.agreement([one, other, retrained]).summary)
    assert "different" not in said and "models trained by the study (roar)" in said
    other.settings |= {"weights": "w2", "model": "a", "dataset": "letters"}
    said = "\n".join(Evaluator.agreement([one, other, retrained]).summary)
    assert "different models (leaderboard: a, weights w1; leaderboard 2: a, weights w2)" in said
    assert "different images (leaderboard: digits; leaderboard 2: letters; roar: digits)" in said


def test_methods_are_matched_by_what_they_are():
    given = ["IG", "ig(steps=25)", "integrated_gradients(steps=7, rule=right)", "SG-GB", "mine", "mine(", "square(IG)"]
    names = [_called(label) for label in given]
    assert names[0] == ("integrated_gradients", build_method("IG").card.family)
    for label, (name, family) in zip(given[:4], names, strict=False):
        assert (name, family) == (written(build_method(label)), build_method(label).card.family)
    assert names[4:] == [(label, label) for label in given[4:]]


def test_nothing_is_told_where_nothing_is():
    rng = np.random.default_rng(11)
    scores = {f"s{i}": ("high", noisy(rng.permutation(TRUTH), i)) for i in range(5)}
    result = Evaluator.agreement([board(scores), roar(TRUTH)])
    assert result.summary[0] == "ROAR: no relation can be told for any of the 5 scores."
    assert "With 8 methods and 5 scores a judge, a correlation must be beyond ±0.83" in "\n".join(result.summary)


def test_bam_is_judge_of_cheap_scores_and_judged_by_retraining():
    arrays = {f"{name}/MCS": noisy(np.array([q]), i)[0] for i, (name, q) in enumerate(zip(METHODS, TRUTH, strict=True))}
    bam = Result("bam", pd.DataFrame({"method": METHODS, "kind": KINDS, "metric": "MCS"}), {}, [], arrays)
    result = Evaluator.agreement([board({"same": ("high", noisy(TRUTH, 0))}), bam, roar(TRUTH)])
    pairs = set(zip(result.table["score"], result.table["judge"], strict=True))
    assert pairs == {("same", "MCS"), ("same", "ROAR"), ("same", "KAR"), ("MCS", "ROAR"), ("MCS", "KAR")}
    assert (result.table["value"] == 1).all()


def test_sanity_and_wsol_are_read():
    curves = {
        f"{m}|cascading|ssim": np.tile(noisy(np.array([q]), 1, 6), (3, 1)) for m, q in zip(METHODS, -TRUTH, strict=True)
    }
    table = pd.DataFrame({"method": METHODS, "kind": KINDS, "metric": "ssim"})
    sanity = Result("sanity", table, {"modes": ["cascading"], "similarities": ["ssim"]}, [], curves)
    boxes = pd.DataFrame({"method": [*METHODS, "whole image"], "kind": [*KINDS, "baseline"], "metric": "MaxBoxAcc"})
    hits = {f"{m}/MaxBoxAcc/images": noisy(np.array([q]), 1, 6)[0] for m, q in zip(METHODS, TRUTH, strict=True)}
    wsol = Result("wsol", boxes, {}, [], hits | {"whole image/MaxBoxAcc/images": np.ones(6)})
    table = Evaluator.agreement([sanity, wsol, roar(TRUTH)]).table
    assert set(table["score"]) == {"cascading, ssim", "MaxBoxAcc"} and (table["value"] == 1).all()
    assert (table["units"] == "6 images").all()


def test_every_study_that_measures_methods_says_how_it_judges():
    assert [name for name in STUDIES if part(name, "judgements") is None] == ["agreement"]


def test_too_few_methods_is_a_row_with_its_reason():
    few = slice(0, 3)
    one = board({"same": ("high", noisy(TRUTH[few], 0))}, METHODS[few], KINDS[few])
    result = Evaluator.agreement([one, roar(TRUTH)])
    assert result.table["value"].isna().all() and set(result.table["error"]) == {
        "3 methods are in both runs, 4 are needed"
    }
    assert result.summary[0].startswith("ROAR: no score has 4 methods in common with it")


def test_a_method_without_a_score_is_left_out():
    values = noisy(TRUTH, 0)
    values[0] = np.nan
    table = Evaluator.agreement([board({"same": ("high", values)}), roar(TRUTH)]).table
    assert (table["methods"] == 7).all() and (table["value"] == 1).all()


def test_page_table_picture_and_command(tmp_path, capsys):
    board({"same": ("high", noisy(TRUTH, 0)), "reverse": ("high", noisy(-TRUTH, 1))}).save(tmp_path / "board")
    roar(TRUTH).save(tmp_path / "roar")
    words = ["agreement", str(tmp_path / "board"), str(tmp_path / "roar"), "--resamples", "200"]
    assert main([*words, "--dry-run"]) == 0
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "same · leaderboard" in printed and "ROAR" in printed and "KAR" in printed
    result = Result.load(tmp_path / "out")
    assert result.settings["resamples"] == 200
    assert "Agreement with retraining" in (tmp_path / "out" / "report.html").read_text()
    panels = result.plot().axes
    assert [ax.get_title() for ax in panels] == ["ROAR", "KAR"]
    drawn = {line.get_xdata()[0] for line in panels[0].lines if line.get_marker() == "o"}
    assert {1.0, -1.0} <= drawn


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (lambda: [], "Received: no result"),
        (lambda: [board({"s": ("high", noisy(TRUTH, 0))})], "Received: 1 of leaderboard"),
        (lambda: [roar(TRUTH)], "which is judged. Received: 1 of roar"),
        (lambda: [3], "Received: int"),
    ],
)
def test_runs_that_cannot_judge_are_refused(runs, said):
    with pytest.raises(AttribevalError, match=said):
        Evaluator.agreement(runs())


def test_options_are_checked(tmp_path):
    for option in ({"level": 1.5}, {"resamples": 3}):
        with pytest.raises(AttribevalError, match=f"Expected {next(iter(option))}"):
            Evaluator.agreement([roar(TRUTH)], **option)
    with pytest.raises(AttribevalError, match="Expected"):
        Evaluator.agreement([tmp_path / "nothing"])
