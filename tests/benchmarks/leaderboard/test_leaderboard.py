"""The leaderboard: known answers, resumption, processes that share a folder, failures as cells, statistics by loops."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest
from helpers import forks
from helpers.leaderboard import InMiddle, card, made_up
from scipy.stats import kendalltau, permutation_test, rankdata, spearmanr

from attribeval import AttribevalError, Attributer, Evaluator, Result
from attribeval.benchmarks.leaderboard.agreement import kendall_tau, map_correlations, standard_ranks
from attribeval.benchmarks.leaderboard.memory import PeakMemory
from attribeval.benchmarks.leaderboard.plan import choose_benchmarks, choose_methods
from attribeval.benchmarks.leaderboard.procedure import run_leaderboard
from attribeval.benchmarks.leaderboard.summary import average_ranks, summarise
from attribeval.common.seeds import image_seeds
from attribeval.datasets import Samples
from attribeval.methods.card import Card as MethodCard
from attribeval.methods.registry import build_method
from attribeval.metrics import registry
from attribeval.metrics.card import Card
from attribeval.results.comparisons import holm, t_interval
from attribeval.results.over_images import sign_flip_test, wilson_interval


@dataclass(frozen=True)
class DropOfHottest:
    """Logit left when the hottest pixels are black: one pass per image and method, and what is shared once."""

    pixels: int = 20
    card: ClassVar[Card] = card("drop_of_hottest", better="low")

    def prepare(self, subject):
        return subject.share("black", lambda: subject.logits_of(np.zeros_like(subject.images)))

    def score(self, subject, prepared, explained):
        images = subject.images.copy()
        for image, heat in zip(images, explained.heat, strict=True):
            places = np.argsort(heat.ravel(), kind="stable")[-self.pixels :]
            image.reshape(-1, image.shape[-1])[places] = 0
        rows = np.arange(len(subject))
        clean = subject.logits[rows, subject.targets]
        left = subject.logits_of(images)[rows, subject.targets]
        return (left - prepared[rows, subject.targets]) / np.maximum(np.abs(clean - prepared[rows, subject.targets]), 1)


@dataclass(frozen=True)
class SameAgain:
    """1 where explaining the same image again gives the same map; it does not judge images of an even target."""

    card: ClassVar[Card] = card("same_again", family="robustness", needs=("explain",))

    def prepare(self, subject):
        return None

    def score(self, subject, prepared, explained):
        again = explained.explain(subject.images, subject.targets, subject.seeds)
        same = np.isclose(again, explained.values, rtol=1e-5, atol=1e-7).all((1, 2, 3)).astype(np.float64)
        return np.where(subject.targets % 2 == 0, np.nan, same)


BENCHMARKS = ("in_middle", "drop_of_hottest", "same_again")
METHODS = ("gradient", "gradient_x_input", "gradcam")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "BENCHMARKS", {c.card.name: c for c in (InMiddle, DropOfHottest, SameAgain)})


def tiny_net():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=9, seed=4), name="dense"),
        ],
        name="tiny",
    )
    model.layers[-1].bias.assign(-model(tiny_samples().images).numpy().mean(0))  # so that every class is predicted
    return model


def tiny_samples(n=10):
    rng = np.random.default_rng(0)
    images = (rng.uniform(0, 1, (n, 12, 12, 3)) * rng.uniform(0.1, 1, (n, 1, 1, 3))).astype(np.float32)
    return Samples(images, rng.integers(0, 3, n), boxes=[np.array([[0.2, 0.2, 0.8, 0.8]])] * n, name="tiny images")


@pytest.fixture(scope="module")
def attributer():
    return Attributer(tiny_net())


@pytest.fixture(scope="module")
def samples():
    return tiny_samples()


def compare(attributer, samples, methods=METHODS, benchmarks=BENCHMARKS, **options):
    options = {"chunk": 4, "progress": False} | options
    return Evaluator(attributer, samples).compare(methods, benchmarks, **options)


def rows(result, *columns):
    table = result.table.sort_values(["benchmark", "method"]).reset_index(drop=True)
    return table[list(columns)] if columns else table


EXACT = ("method", "benchmark", "value", "low", "high", "images", "rank", "group", "p_random", "p_next", "error")


# ------------------------------------------------------------------------------------------------ the Attributer


def test_answer_is_one_pass_of_logits_and_probabilities(attributer, samples):
    images = samples.load()
    logits, probabilities = attributer.answer(images, batch_size=3)
    np.testing.assert_allclose(logits, attributer.classifier.model(images).numpy(), atol=1e-6)
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-5)
    softmax = keras.Sequential([tiny_net(), keras.layers.Softmax()])
    logits, probabilities = Attributer(softmax).answer(images)
    np.testing.assert_allclose(probabilities, softmax(images).numpy(), atol=1e-6)
    np.testing.assert_allclose(logits, softmax.layers[0](images).numpy(), atol=1e-6)
    assert logits.dtype == probabilities.dtype == np.float32


def test_seeds_per_image_are_those_of_the_images(attributer, samples):
    images = samples.load()
    by_number = attributer.explain(images, "smoothgrad(gradient)", seed=5)
    by_seeds = attributer.explain(images, "smoothgrad(gradient)", seed=image_seeds(images, 5))
    np.testing.assert_array_equal(by_number.values, by_seeds.values)
    assert by_seeds.seed is None and by_number.seed == 5
    elsewhere = attributer.explain(images, "random", seed=np.repeat(image_seeds(images[:1], 5), len(images), 0))
    np.testing.assert_array_equal(elsewhere.values, np.repeat(elsewhere.values[:1], len(images), 0))
    with pytest.raises(AttribevalError, match=r"int32 \(10, 2\).*float64 \(3,\)"):
        attributer.explain(images, "random", seed=np.zeros(3))


# ---------------------------------------------------------------------------------------------------- the table


def test_values_are_those_of_the_metric_on_the_attributers_maps(attributer, samples):
    result = compare(attributer, samples, run_dir=None)
    images = samples.load()
    assert set(result.table["method"]) == {*METHODS, "random", "sobel"}
    assert len(result.table) == 5 * 3
    for method in (*METHODS, "random", "sobel"):
        maps = attributer.explain(images, method)
        built = build_method(method)
        heat = maps.heatmap("sum" if built.card.shares else "abs_sum")
        shares = [np.abs(one[3:-3, 3:-3]).sum() / (np.abs(one).sum() + 1e-3) for one in heat.astype(np.float64)]
        row = result.table[(result.table["method"] == method) & (result.table["benchmark"] == "in_middle")].iloc[0]
        assert row["value"] == pytest.approx(np.mean(shares), rel=1e-6)
        assert row["low"] <= row["value"] <= row["high"]
    predicted = attributer.predict(images).argmax(1)
    same = result.table[result.table["benchmark"] == "same_again"]
    assert (same["value"] == 1).all() and (same["images"] == (predicted % 2 == 1).sum()).all()
    assert 0 < (predicted % 2 == 1).sum() < len(images)
    assert result.settings["top1_accuracy"] == np.mean(predicted == samples.labels)
    labelled = compare(attributer, samples, ["gradient"], ["in_middle"], targets="label")
    expected = attributer.explain(images, "gradient", samples.labels).heatmap().astype(np.float64)
    row = labelled.table[labelled.table["method"] == "gradient"].iloc[0]
    assert row["value"] == pytest.approx(
        np.mean(expected[:, 3:-3, 3:-3].sum((1, 2)) / (expected.sum((1, 2)) + 1e-3)), rel=1e-6
    )


def all_signs(a, b):
    return permutation_test((a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples").pvalue


def test_ranks_groups_and_tests_by_hand(attributer, samples):
    result = compare(attributer, samples)
    names = result.settings["methods"]
    for j, benchmark in enumerate(result.settings["benchmarks"]):
        table = result.table[result.table["benchmark"] == benchmark].set_index("method")
        scores = dict(zip(names, result.arrays["scores"][:, j], strict=True))
        sign = 1 if table["better"].iloc[0] == "high" else -1
        ranks = rankdata([-sign * np.nanmean(scores[name]) for name in names])
        np.testing.assert_allclose(table.loc[names, "rank"], ranks)
        assert (np.diff(table["rank"]) >= 0).all()
        if benchmark == "same_again":
            continue  # all alike: no test tells anything
        others = [name for name in names if name != "random"]
        by_hand = holm(np.array([all_signs(scores[name], scores["random"]) for name in others]))
        np.testing.assert_allclose(table.loc[others, "p_random"], by_hand, rtol=1e-9)
        order = list(table.index)
        by_hand = holm(np.array([all_signs(scores[a], scores[b]) for a, b in pairwise(order)]))
        np.testing.assert_allclose(table["p_next"].to_numpy()[:-1], by_hand, rtol=1e-9)
        assert np.isnan(table["p_next"].iloc[-1]) and np.isnan(table.loc["random", "p_random"])
    ties = result.table[result.table["benchmark"] == "same_again"]
    assert (ties["rank"] == 3).all() and (ties["group"] == "a").all() and (ties["p_random"].dropna() == 1).all()


def test_benchmarks_may_explain_another_model(attributer, samples):
    @dataclass(frozen=True)
    class Halved(SameAgain):
        """1 where half the weights of the last layer give half the gradient."""

        def prepare(self, subject):
            model = tiny_net()
            model.layers[-1].kernel.assign(0.5 * model.layers[-1].kernel)
            return Attributer(model).classifier

        def score(self, subject, prepared, explained):
            other = explained.explain_with(prepared, subject.images, subject.targets, subject.seeds)
            return np.isclose(2 * other, explained.values, rtol=1e-4, atol=1e-7).all((1, 2, 3)).astype(float)

    table = compare(attributer, samples, ["gradient"], {"halved": Halved()}).table.set_index("method")
    assert table.loc["gradient", "value"] == 1 and table.loc["random", "value"] == 0


def test_no_pass_of_the_model_is_wasted(attributer, samples, monkeypatch):
    asked = []
    real = Attributer.answer
    monkeypatch.setattr(
        Attributer, "answer", lambda self, images, **o: asked.append(len(images)) or real(self, images, **o)
    )
    result = compare(attributer, samples)
    # the clean images once, black ones once, and one altered image per image and method
    assert sum(asked) == 10 + 10 + 5 * 10
    of = result.table.set_index(["benchmark", "method"])["passes_per_image"]
    assert of["drop_of_hottest", "gradient"] == 1 and of["in_middle", "gradient"] == 0
    assert result.settings["prepared"]["drop_of_hottest"]["passes_per_image"] == 1
    assert result.settings["cost"]["forward passes of the benchmarks"] == 60


def test_chunks_do_not_change_anything(attributer, samples):
    whole = rows(compare(attributer, samples, chunk=50), *EXACT)
    parts = rows(compare(attributer, samples, chunk=3), *EXACT)
    np.testing.assert_allclose(whole["value"], parts["value"], rtol=1e-5)
    assert list(whole["rank"]) == list(parts["rank"])


def test_images_alone_one_image_and_a_result_on_disk(attributer, samples, tmp_path):
    result = run_leaderboard(
        attributer, samples.load()[:1], ["gradient"], ["in_middle", "drop_of_hottest"], progress=False
    )
    assert (result.table["images"] == 1).all() and result.table["p_random"].isna().all()
    assert result.table["low"].isna().all() and (result.table["group"] == "a").all()
    assert "top1_accuracy" not in result.settings
    assert any("so few images" in sentence for sentence in result.summary)
    again = Result.load(result.save(tmp_path / "result"))
    assert again.summary == result.summary and list(again.table.columns) == list(result.table.columns)
    np.testing.assert_array_equal(again.arrays["tau"], result.arrays["tau"])
    assert average_ranks(again).equals(average_ranks(result))
    with pytest.raises(AttribevalError, match="labels"):
        run_leaderboard(attributer, samples.load(), ["gradient"], ["in_middle"], targets="label")


# --------------------------------------------------------------------------------------------------- the run folder


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(attributer, samples, tmp_path, monkeypatch):
    undisturbed = rows(compare(attributer, samples, run_dir=tmp_path / "undisturbed"), *EXACT)
    calls = []
    real = DropOfHottest.score

    def score(self, *given):
        calls.append(1)
        if len(calls) == 7:  # in the second chunk
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(DropOfHottest, "score", score)
    with pytest.raises(KeyboardInterrupt):
        compare(attributer, samples, run_dir=tmp_path / "run")
    resumed = rows(compare(attributer, samples, run_dir=tmp_path / "run"), *EXACT)
    assert len(calls) == 7 + 3 * 5 - 6  # what was done is not done again
    assert resumed.equals(undisturbed)
    calls.clear()
    assert rows(compare(attributer, samples, run_dir=tmp_path / "run"), *EXACT).equals(undisturbed) and not calls


def test_methods_and_benchmarks_are_added_to_a_run(attributer, samples, tmp_path, monkeypatch):
    whole = compare(attributer, samples, run_dir=tmp_path / "whole")
    compare(attributer, samples, ["gradient"], ["in_middle"], run_dir=tmp_path / "run")
    made = []
    real = Attributer.explain_many
    monkeypatch.setattr(
        Attributer, "explain_many", lambda self, i, m, *a, **o: made.extend(m) or real(self, i, m, *a, **o)
    )
    grown = compare(attributer, samples, benchmarks=("in_middle", "drop_of_hottest"), run_dir=tmp_path / "run")
    assert "gradient" not in made and "sobel" not in made  # from the cache
    for result in (whole, grown):
        result.table = result.table[result.table["benchmark"] != "same_again"]
    assert rows(grown, *EXACT).equals(rows(whole, *EXACT))
    np.testing.assert_array_equal(grown.arrays["maps"], whole.arrays["maps"])


def test_a_changed_setting_or_image_makes_new_cells_beside_the_old(attributer, samples, tmp_path):
    def run(samples, attributer=attributer, run_dir=tmp_path / "run", **options):
        return rows(compare(attributer, samples, ["gradient"], ["in_middle"], run_dir=run_dir, **options), *EXACT)

    first = run(samples)
    brighter = Samples(samples.images + 1, samples.labels, boxes=samples.boxes, name=samples.name)
    halved = Attributer(
        attributer.classifier.model, preprocess=lambda x: x / 2, target_layer=attributer.classifier.target_layer
    )
    for changed in ({"samples": samples, "seed": 1}, {"samples": brighter}, {"samples": samples, "attributer": halved}):
        assert run(**changed).equals(run(**changed | {"run_dir": None}))
    assert run(samples).equals(first)


_WORKER = """
import sys, json
sys.path[:0] = json.loads(sys.argv[1])
from test_leaderboard import *
registry.BENCHMARKS.update({c.card.name: c for c in (InMiddle, DropOfHottest, SameAgain)})
result = compare(Attributer(tiny_net()), tiny_samples(), ["gradient"], BENCHMARKS, chunk=1, run_dir=sys.argv[2])
rows(result, *EXACT).to_csv(sys.argv[3], index=False)
"""


def test_two_processes_share_a_folder(attributer, samples, tmp_path):
    here = json.dumps([str(Path(__file__).parents[i]) for i in (0, 2)])  # this file, and `helpers`
    outputs = [tmp_path / "a.csv", tmp_path / "b.csv"]
    jobs = [
        forks.Popen([sys.executable, "-c", _WORKER, here, str(tmp_path / "run"), str(file)], stderr=forks.PIPE)
        for file in outputs
    ]
    errors = [job.communicate(timeout=300)[1].decode() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], errors
    first, second = (file.read_text() for file in outputs)
    assert first == second
    alone = compare(attributer, samples, ["gradient"], chunk=1)
    rows(alone, *EXACT).to_csv(tmp_path / "alone.csv", index=False)
    assert (tmp_path / "alone.csv").read_text() == first
    assert len(list((tmp_path / "run").glob("*/images-*/*/*.json"))) == 10 * 3 * (3 + 1)


# -------------------------------------------------------------------------------------------------------- failures


@dataclass(frozen=True)
class Breaks:
    """A method that fails on some images, or gives NaN."""

    how: str = "raise"
    card: ClassVar[MethodCard] = MethodCard("breaks", "gradient", "", "", "", "", "", "", signed=True)

    def attribute(self, batch):
        maps = np.ones((len(batch), 12, 12, 1), np.float32)
        if self.how == "raise":
            raise RuntimeError("no such layer")
        if self.how == "nan":
            maps[batch.raw[:, 0, 0, 0] == batch.raw[:, 0, 0, 0].min()] = np.nan
        return maps


@dataclass(frozen=True)
class BadBenchmark:
    where: str
    log: list = field(default_factory=list, compare=False)
    card: ClassVar[Card] = card("bad_benchmark")

    def prepare(self, subject):
        self.log.append(len(subject))
        if self.where == "prepare":
            raise ValueError("cannot prepare")

    def score(self, subject, prepared, explained):
        if self.where == "score":
            raise ValueError("cannot\nscore")
        if self.where == "shape":
            return np.zeros((len(subject), 2))
        return np.full(len(subject), np.inf)


def test_a_method_that_fails_is_a_cell_with_its_reason(attributer, samples, tmp_path):
    methods = {"gradient": build_method("gradient"), "broken": Breaks(), "nan": Breaks("nan")}
    result = compare(attributer, samples, methods, run_dir=tmp_path)
    broken = result.table[result.table["method"] == "broken"]
    assert len(broken) == 3 and broken["value"].isna().all() and broken["rank"].isna().all()
    assert broken["error"].str.contains("images 0 to 3: no maps: RuntimeError: no such layer").all()
    nan = result.table[result.table["method"] == "nan"]
    assert nan["error"].str.contains("not finite for image").all()
    alone = compare(attributer, samples, ["gradient"]).table.set_index(["benchmark", "method"])
    beside = result.table.set_index(["benchmark", "method"])
    assert (beside.loc[alone.index, "value"] == alone["value"]).all()
    assert (beside.loc[alone.index, "rank"] == alone["rank"]).all()
    assert any(sentence.startswith("Failed: ") for sentence in result.summary)
    i = result.settings["methods"].index("broken")
    assert np.isnan(result.arrays["maps"][i]).all()


def test_what_failed_is_tried_again_by_the_next_run(attributer, samples, tmp_path, monkeypatch):
    methods = {"gradient": build_method("gradient"), "broken": Breaks()}
    compare(attributer, samples, methods, run_dir=tmp_path)
    monkeypatch.setattr(Breaks, "attribute", lambda self, batch: np.abs(batch.raw).sum(-1, keepdims=True))
    healed = compare(attributer, samples, methods, run_dir=tmp_path)
    assert (healed.table["error"] == "").all() and healed.table["value"].notna().all()
    fresh = compare(attributer, samples, methods)
    assert rows(healed, *EXACT).equals(rows(fresh, *EXACT))
    np.testing.assert_array_equal(healed.arrays["maps"], fresh.arrays["maps"])


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("prepare", "not prepared: ValueError: cannot prepare"),
        ("score", "ValueError: cannot score"),
        ("shape", r"Expected 4 scores, real numbers \(4,\). Received: float64 \(4, 2\)"),
        ("infinity", "Expected finite scores, or NaN. Received infinity for image 0"),
    ],
)
def test_a_benchmark_that_fails_is_a_cell_with_its_reason(attributer, samples, where, reason):
    bad = BadBenchmark(where)
    result = compare(attributer, samples, ["gradient"], {"bad": bad, "in_middle": InMiddle()})
    cells = result.table[result.table["benchmark"] == "bad"]
    assert cells["value"].isna().all() and cells["error"].str.contains(reason).all()
    assert result.table[result.table["benchmark"] == "in_middle"]["value"].notna().all()
    assert bad.log == [4, 4, 2]  # once per chunk, not once per method


def test_a_chunk_that_fails_leaves_the_others(attributer, samples):
    class Sometimes(InMiddle):
        def score(self, subject, prepared, explained):
            if len(subject) == 2:
                raise MemoryError
            return super().score(subject, prepared, explained)

    result = compare(attributer, samples, ["gradient"], {"sometimes": Sometimes()})
    assert (result.table["images"] == 8).all()
    assert (result.table["error"] == "images 8 to 9: MemoryError (1 of 3 chunks)").all()


def test_a_benchmark_that_keeps_the_models_weights_changed_stops_the_run(samples):
    @dataclass(frozen=True)
    class Vandal:
        card: ClassVar[Card] = card("vandal", needs=("classifier",))

        def prepare(self, subject):
            return None

        def score(self, subject, prepared, explained):
            subject.classifier.model.layers[-1].bias.assign([1.0, 2.0, 3.0])
            raise ValueError

    with pytest.raises(AttribevalError, match="'vandal' to put the model's weights back"):
        compare(Attributer(tiny_net()), samples, ["gradient"], {"vandal": Vandal()})


def test_bad_requests_name_what_is_wrong(attributer, samples):
    with pytest.raises(AttribevalError, match="Did you mean 'in_middle'"):
        compare(attributer, samples, benchmarks=["in_midle"])
    with pytest.raises(AttribevalError, match=r"option of drop_of_hottest.*Valid names: pixels"):
        compare(attributer, samples, benchmarks=["drop_of_hottest(pixel=3)"])
    with pytest.raises(AttribevalError, match="Unknown method"):
        compare(attributer, samples, ["gradcm"])
    with pytest.raises(AttribevalError, match="at least one benchmark"):
        compare(attributer, samples, benchmarks=[])
    with pytest.raises(AttribevalError, match="'random' to be the control's"):
        choose_methods({"random": build_method("gradient")})
    with pytest.raises(AttribevalError, match=r"Unknown targets: .true.\. Valid names: label, predicted"):
        compare(attributer, samples, targets="true")


def test_benchmarks_are_chosen_by_what_the_data_have(samples, monkeypatch):
    @dataclass(frozen=True)
    class NeedsMasks(InMiddle):
        card: ClassVar[Card] = card("needs_masks", needs=("masks",))

    @dataclass(frozen=True)
    class NeedsEither(InMiddle):
        card: ClassVar[Card] = card("needs_either", needs=("boxes", "masks"))

    @dataclass(frozen=True)
    class NeedsModel(InMiddle):
        card: ClassVar[Card] = card("needs_model", needs=("fine-tuned",))

    known = {c.card.name: c for c in (NeedsMasks, NeedsEither, NeedsModel)}
    monkeypatch.setattr(registry, "BENCHMARKS", known)
    assert list(choose_benchmarks(None, samples)) == ["needs_either"]
    with pytest.raises(AttribevalError, match="with masks for the benchmark 'needs_masks'"):
        choose_benchmarks(["needs_masks"], samples)
    with pytest.raises(AttribevalError, match="boxes or masks for the benchmark 'needs_either'"):
        choose_benchmarks(["needs_either"], None)
    assert list(choose_benchmarks(["needs_model"], None)) == ["needs_model"]


# ---------------------------------------------------------------------------------------------- agreement, statistics


def test_kendalls_tau_is_scipys():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, (4, 9, 6)).astype(np.float64)  # many ties
    values[1, 3, 2] = values[2, :4, 0] = np.nan
    values[3, :, 5] = 1.0
    taus = kendall_tau(values)
    for r in range(4):
        for a in range(6):
            for b in range(6):
                both = np.isfinite(values[r, :, a]) & np.isfinite(values[r, :, b])
                expected = kendalltau(values[r, both, a], values[r, both, b]).statistic
                np.testing.assert_allclose(taus[r, a, b], expected, atol=1e-12, err_msg=f"{r} {a} {b}")
    assert np.isnan(taus[3, 5]).all()


def test_correlations_of_maps_are_scipys():
    rng = np.random.default_rng(1)
    heats = [rng.integers(0, 9, (3, 5, 4)).astype(np.float32) for _ in range(3)]
    heats[1][2] = 7  # constant
    correlations = map_correlations(
        [standard_ranks(heats[0]), standard_ranks(heats[1]), None, standard_ranks(heats[2])], 3
    )
    assert correlations.shape == (3, 4, 4) and np.isnan(correlations[:, 2]).all()
    for image in range(3):
        for i, j, a, b in [(0, 1, 0, 1), (0, 3, 0, 2), (1, 3, 1, 2)]:
            expected = (
                np.nan if image == 2 and 1 in (a, b) else spearmanr(heats[a][image].ravel(), heats[b][image].ravel())[0]
            )
            np.testing.assert_allclose(correlations[image, i, j], expected, atol=1e-6)


def test_bootstrap_draws_the_same_images_for_all_methods():
    """Methods that differ by a constant on every image keep their order in every sample."""
    rng = np.random.default_rng(2)
    image = rng.normal(0, 100, 30)
    values = np.stack([np.stack([image + level, -image - level]) for level in (3.0, 2.0, 1.0, 0.0)])
    result = summarise(made_up(values, ["high", "low"]), {"images": 30})
    assert (result.table["high"] - result.table["low"] > 30).all()
    ranks = average_ranks(result)
    ranks = ranks[ranks["family"] == "all"]
    assert list(ranks["value"]) == [1, 2, 3, 4] and (ranks["low"] == ranks["value"]).all()
    assert (ranks["high"] == ranks["value"]).all() and list(ranks["method"]) == ["m0", "m1", "random", "sobel"]
    assert result.arrays["tau"][0, 1] == result.arrays["tau_low"][0, 1] == result.arrays["tau_high"][0, 1] == 1


def test_intervals_are_students_or_wilsons():
    values = np.random.default_rng(3).normal(size=(4, 3, 25))
    result = summarise(made_up(values), {"images": 25}, seed=7)
    table = result.table.set_index(["benchmark", "method"])
    for j in range(3):
        for i, name in enumerate(["m0", "m1", "random", "sobel"]):
            low, high = t_interval(values[i, j])
            np.testing.assert_allclose(
                table.loc[(f"b{j}", name), ["low", "high"]].astype(float), [low, high], rtol=1e-9
            )


def test_images_without_a_score_are_counted_and_left_out():
    values = np.random.default_rng(4).normal(size=(3, 1, 12))
    values[0, 0, :5] = np.nan
    result = summarise(made_up(values), {"images": 12})
    row = result.table.set_index("method").loc["m0"]
    assert row["images"] == 7 and row["value"] == pytest.approx(values[0, 0, 5:].mean())
    expected = holm(
        np.array([sign_flip_test(values[0, 0, 5:], values[1, 0, 5:]), sign_flip_test(values[2, 0], values[1, 0])])
    )
    np.testing.assert_allclose(result.table.set_index("method").loc[["m0", "sobel"], "p_random"], expected)
    assert "Images without a score are left out of means and tests: m0 (b0, 5 images)." in result.summary


def test_a_mean_of_few_images_has_no_rank():
    values = np.random.default_rng(4).normal(size=(4, 2, 12))
    values[0, 0] = 100  # would be first
    values[0, 0, :7] = np.nan
    values[1, 0, :6] = np.nan  # half is enough
    result = summarise(made_up(values), {"images": 12})
    table = result.table[result.table["benchmark"] == result.table["benchmark"].iloc[0]]
    row = table.set_index("method").loc["m0"]
    assert row["value"] == 100 and row["images"] == 5 and np.isnan(row["rank"]) and row["group"] == ""
    assert np.isnan(row["p_random"]) and table["method"].iloc[-1] == "m0"
    assert sorted(table["rank"].dropna()) == [1, 2, 3]
    assert any("Not ranked" in sentence and "m0" in sentence for sentence in result.summary)


def test_a_family_counts_once_in_the_average_of_all():
    values = np.zeros((4, 3, 6))
    values[:, 0] = values[:, 1] = np.arange(4)[:, None]  # faithfulness, twice: m0 is last
    values[:, 2] = -np.arange(4)[:, None]  # robustness: m0 is first
    ranks = average_ranks(summarise(made_up(values), {"images": 6}))
    of = ranks.set_index(["family", "method"])["value"]
    assert of["faithfulness", "m0"] == 4 and of["robustness", "m0"] == 1 and of["all", "m0"] == 2.5
    assert (ranks[ranks["family"] == "all"]["value"] == 2.5).all()


def test_sentences_claim_what_was_shown_and_no_more():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(4, 2, 40))
    values[0] += 5
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "Better than random maps in every benchmark that scored them: m0." in said
    assert "Better than random maps in no benchmark: m1." in said
    assert "In 2 of 2 benchmarks the best method can be told apart" in said
    assert "say nothing of other models" in said
    values[0] -= 10
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "Worse than random maps: m0 (b0), m0 (b1)." in said and "in every benchmark" not in said


def test_better_is_said_of_the_images_that_the_test_is_over():
    """Better on every image that both have, by a mean that is worse, because random lacks the hard images."""
    values = np.random.default_rng(0).normal(0, 0.01, (4, 1, 60))
    values[:, 0, 30:] -= 10  # hard for all
    values[0] += 1
    values[2, 0, 30:] = np.nan  # "random" has no score there
    result = summarise(made_up(values), {"images": 60})
    rows = result.table.set_index("method")
    assert rows.loc["m0", "rank"] > rows.loc["random", "rank"] and rows.loc["m0", "p_random"] < 1e-6
    said = " ".join(result.summary)
    assert "Worse than random maps" not in said
    assert "Better than random maps in every benchmark that scored them: m0." in said


def test_ties_lead_together_and_are_not_told_apart():
    values = np.ones((5, 2, 30))
    values[3:] = 0  # the controls
    values[1:3, 1] = 0.5
    result = summarise(made_up(values), {"images": 30})
    said = " ".join(result.summary)
    assert "Several methods are equal and best in b0 (all)." in said and "by benchmark: m0 (b1)." in said
    assert "In 1 of 2 benchmarks the best method can be told apart" in said
    row = result.table.iloc[0]
    assert (row["low"], row["high"]) == wilson_interval(30, 30)
    alone = " ".join(summarise(made_up(values[2:]), {"images": 30}).summary)
    assert "told apart" not in alone  # there is no other method
    equal = summarise(made_up(np.ones((5, 2, 30))), {"images": 30})
    assert set(equal.table["group"]) == {"a"}
    assert "In 0 of 2 benchmarks" in " ".join(equal.summary)
    assert "benchmarks m0, m1, m2 rank equally, first" in " ".join(equal.summary)


def test_sobel_is_a_control_wherever_random_is():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.1, (4, 1, 40))
    values[0], values[3] = values[0] + 1, values[3] + 1  # m0 does as edges do, both better than noise
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "Better than random maps in every benchmark that scored them: m0." in said
    assert "Better than Sobel edges in no benchmark: m0, m1." in said and "Worse than Sobel edges: m1 (b0)." in said


def test_a_benchmark_without_any_score_is_named():
    values = np.random.default_rng(0).random((4, 3, 40))
    values[:, 1] = np.nan
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "No image has a score in b1, such as where none has a box." in said
    values[0, 1] = 0.5
    assert "No image has a score" not in " ".join(summarise(made_up(values), {"images": 40}).summary)


def test_a_span_of_benchmarks_has_two_ends():
    values = np.ones((4, 3, 40))
    values[2] = values[3] = 0.5  # random, sobel
    values[0, 0] = values[1, 1] = 0.5  # each method is no better than the controls in one benchmark
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "Methods are better than random maps in 2 of 3 benchmarks." in said
    values[1, 0] = 0.5
    said = " ".join(summarise(made_up(values[[0, 1, 1, 2, 3]] + 0), {"images": 40}).summary)
    assert "Methods are better than random maps in 1 to 2 of 3 benchmarks." in said


def test_one_image_is_no_test():
    values = np.arange(4.0)[::-1, None, None]
    result = summarise(made_up(values), {"images": 1})
    assert result.table["p_random"].isna().all() and result.table["low"].isna().sum() == 2
    assert not any("etter than" in sentence or "orse than" in sentence for sentence in result.summary)


def test_cost_is_what_the_maps_cost_when_they_were_made(attributer, samples, tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class Slow:
        card: ClassVar[MethodCard] = MethodCard("slow", "gradient", "", "", "", "", "", "", signed=True)

        def attribute(self, batch):
            time.sleep(0.05 * len(batch))
            block = np.ones(32 * 2**20 // 8)  # 32 MiB
            time.sleep(0.05)
            return np.ones((len(batch), 12, 12, 1), np.float32) * block[0]

    options = {"methods": {"slow": Slow()}, "benchmarks": ["in_middle"], "cache": tmp_path / "maps"}
    cold = compare(attributer, samples, **options).table.set_index("method").loc["slow"]
    warm = compare(attributer, samples, **options).table.set_index("method").loc["slow"]
    assert warm["seconds_per_image"] == cold["seconds_per_image"] >= 0.05
    assert warm["peak_memory_mib"] == cold["peak_memory_mib"]
    if not np.isnan(cold["peak_memory_mib"]):
        assert 20 < cold["peak_memory_mib"] < 200


def test_memory_that_is_not_told_is_nan(monkeypatch, tmp_path):
    monkeypatch.setattr("attribeval.benchmarks.leaderboard.memory._STATM", tmp_path / "none")
    with PeakMemory() as memory:
        pass
    assert np.isnan(memory.mib)


@dataclass(frozen=True)
class FirstOnly:
    """A benchmark that explains more and therefore judges the run's first images alone."""

    images: int = 3
    card: ClassVar[Card] = card("first_only", family="robustness")

    def prepare(self, subject):
        return None

    def score(self, subject, prepared, explained):
        scores = np.full(len(subject), np.nan)
        scores[: self.images] = explained.heat[: self.images].mean((1, 2))
        return scores


@pytest.mark.parametrize("chunk", [1, 2, 5, 25])
def test_the_first_images_are_those_of_the_run_not_of_a_chunk(attributer, samples, chunk):
    result = run_leaderboard(
        attributer, samples, ["gradient"], {"first_only": FirstOnly(3)}, chunk=chunk, progress=False
    )
    scores = result.arrays["scores"][0, 0]
    heat = attributer.explain(samples[:3], "gradient").heatmap().mean((1, 2))
    np.testing.assert_allclose(scores[:3], heat, rtol=1e-5)
    assert np.isnan(scores[3:]).all() and len(scores) > 3
    assert set(result.table["images"]) == {3} and set(result.table["error"]) == {""}


# ------------------------------------------------------------------------------------------------ what people see


def test_the_terminals_board_has_every_cell_once(attributer, samples):
    from attribeval.benchmarks.leaderboard.view.tables import leaderboard_text
    from attribeval.results.numbers import number

    methods = {"gradient": build_method("gradient"), "gradcam": build_method("gradcam"), "broken": Breaks()}
    result = compare(attributer, samples, methods)
    for width in (60, 200):
        text = leaderboard_text(result, width)
        blocks = text.split("\n\n")
        assert all(len(line) <= max(width, 80) for block in blocks[:-1] for line in block.splitlines())
        heads = " ".join(block.splitlines()[0] for block in blocks[:-1])
        assert [heads.count(f"{name} ") for name in BENCHMARKS] == [1, 1, 1]
        for row in result.table.itertuples():
            (block,) = [block for block in blocks[:-1] if row.benchmark in block]
            (line,) = [line for line in block.splitlines() if line.startswith(row.method + " ")]
            assert ("failed" if row.error else number(row.value)) in line
    assert len(leaderboard_text(result, 200).split("\n\n")) < len(leaderboard_text(result, 60).split("\n\n"))


def test_a_board_of_many_benchmarks_goes_on_below():
    values = np.random.default_rng(0).random((4, 30, 20))
    result = summarise(made_up(values), {"images": 20, "benchmarks": [f"b{i}" for i in range(30)]})
    axes = result.plot().axes
    shown = [[label.get_text().split()[0] for label in ax.get_xticklabels()] for ax in axes]
    assert [len(labels) for labels in shown] == [11, 11, 11] and all(labels[0] == "average" for labels in shown)
    assert sorted(name for labels in shown for name in labels[1:]) == sorted(result.settings["benchmarks"])
    assert len({ax.get_xlim() for ax in axes}) == 1  # cells are of one size


def test_the_board_shows_standing_values_and_letters(attributer, samples):
    methods = {"gradient": build_method("gradient"), "gradcam": build_method("gradcam"), "broken": Breaks()}
    result = compare(attributer, samples, methods)
    figure = result.plot()
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    ranks = average_ranks(result)
    assert names == list(ranks[ranks["family"] == "all"]["method"])
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("×") == 3
    lightness = {}
    for patch in ax.patches:
        x, y = patch.get_center()
        lightness[round(x, 2), round(y)] = sum(patch.get_facecolor()[:3])
    column = [label.get_text() for label in ax.get_xticklabels()].index("drop_of_hottest ↓")
    x = round(ax.get_xticks()[column], 2)
    of = result.table[result.table["benchmark"] == "drop_of_hottest"].set_index("method")["rank"].dropna()
    by_rank = [lightness[x, names.index(name)] for name in of.sort_values().index]
    assert by_rank == sorted(by_rank)  # the better, the darker


def test_pictures_and_page_hold_the_numbers(attributer, samples, tmp_path):
    from attribeval.plots import more_pictures

    result = compare(attributer, samples)
    pictures = more_pictures(result)
    assert list(pictures) == ["Agreement between benchmarks", "Agreement between maps", "Cost and average rank"]
    texts = [text.get_text() for text in pictures["Agreement between maps"].axes[0].texts]
    assert len(texts) == 5 * 4 / 2
    page = result.report(tmp_path / "board.html").read_text()
    assert "Leaderboard of methods" in page and "in_middle ↑" in page.replace("<wbr>", "")
    for sentence in result.summary:
        assert sentence.split(":")[0].replace("'", "&#39;").replace(" %", "\u00a0%") in page
    failed = compare(attributer, samples, {"broken": Breaks()}, ["in_middle"])
    page = failed.report(tmp_path / "failed.html").read_text()
    assert "broken × in_middle" in page and "no maps: RuntimeError: no such layer" in page
    one = compare(attributer, samples, ["gradient"], ["in_middle"])
    assert "Agreement between benchmarks" not in more_pictures(one)
    assert one.report(tmp_path / "one.html").stat().st_size > 10000


@pytest.mark.parametrize("name", ["drop_of_hottest", "in_middle"])  # low is better, high is better
def test_points_of_a_benchmark_stand_at_the_values_of_the_table(attributer, samples, name):
    from matplotlib.collections import LineCollection

    from attribeval.benchmarks.leaderboard.view.by_benchmark import plot_benchmark

    result = compare(attributer, samples, {"gradient": build_method("gradient"), "broken": Breaks()})
    of = result.table[result.table["benchmark"] == name].set_index("method").drop("broken")
    figure = plot_benchmark(result, name)
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    points = {names[round(line.get_ydata()[0])]: line.get_xdata()[0] for line in ax.lines}
    assert points == of["value"].to_dict()
    bars = [one.get_segments()[0] for one in ax.collections if isinstance(one, LineCollection)]
    intervals = {names[round(bar[0, 1])]: tuple(bar[:, 0]) for bar in bars}
    assert intervals == {method: (row["low"], row["high"]) for method, row in of.iterrows()}
    assert names == list(of.sort_values("rank").index)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first is on top
    assert ("← better" if name == "drop_of_hottest" else "better →") in ax.get_xlabel()
    assert "no number: broken" in figure.get_supxlabel()
    assert {label.get_text() for label in ax.get_yticklabels() if label.get_style() == "italic"} == {"random", "sobel"}


def test_the_picture_of_a_benchmark_says_what_it_needs(attributer, samples, monkeypatch):
    from attribeval.benchmarks.leaderboard.view.by_benchmark import plot_benchmark

    result = compare(attributer, samples, ["gradient"], ["in_middle"])
    with pytest.raises(AttribevalError, match="in_middle"):
        plot_benchmark(result, "in_midle")
    with pytest.raises(AttribevalError, match="rows"):
        plot_benchmark(Result("leaderboard", result.table[:0], result.settings, [], {}), "in_middle")
    monkeypatch.setattr(InMiddle, "score", lambda *given: 1 / 0)
    result = compare(attributer, samples, ["gradient"], ["in_middle"])
    with pytest.raises(AttribevalError, match="ZeroDivisionError"):
        plot_benchmark(result, "in_middle")


def test_the_command(tmp_path, capsys, monkeypatch):
    from attribeval.cli import main

    monkeypatch.setattr(registry, "_CLASSES", (InMiddle, DropOfHottest, SameAgain))
    assert main(["bench", "--list"]) == 0
    listed = capsys.readouterr().out
    for name in BENCHMARKS:
        assert f"  {name} (" in listed
    words = ["bench", "--model", "digit_objects", "--limit", "3", "--methods", "gradient", "--benchmarks", "in_middle",
             "drop_of_hottest(pixels=5)", "--run-dir", str(tmp_path / "run"), "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "drop_of_hottest(pixels=5) ↓" in out and out.rstrip().endswith("report.html")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"table.csv", "result.json", "leaderboard.png", "report.html", "cost_and_average_rank.png"} <= files
    assert len(Result.load(tmp_path / "out").table) == 3 * 2
    monkeypatch.setattr(InMiddle, "score", lambda *given: 1 / 0)
    assert main([*words[:-4], "--no-cache"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert main(["bench", "--benchmarks", "in_middle"]) == 2
    assert main([*words, "--cache", "x", "--no-cache"]) == 2
    assert main(["bench", "--model", "digit_objects", "--benchmarks", "in_midle"]) == 2
    assert "Did you mean 'in_middle'" in capsys.readouterr().err


@pytest.mark.parametrize("benchmarks", [1, 2, 5])
def test_what_the_marks_mean_is_not_cut_off_below_a_small_board(benchmarks):
    from attribeval.benchmarks.leaderboard.view.board import plot_leaderboard

    names = {"methods": ["m0", "m1", "random", "sobel"], "benchmarks": [f"b{j}" for j in range(benchmarks)]}
    values = np.random.default_rng(0).random((4, benchmarks, 30))
    figure = plot_leaderboard(summarise(made_up(values), {"images": 30} | names))
    figure.canvas.draw()
    said = figure._supxlabel.get_window_extent()
    assert said.x0 > 0 and said.x1 < figure.bbox.width and said.y0 >= 0
