"""Sanity checks: similarities against libraries and slow rewrites, curves with known answers, resumption, bad input."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr
from scipy.stats import t as student

from attribeval import AttribevalError, Attributer, Evaluator, Result
from attribeval.benchmarks.sanity import procedure
from attribeval.benchmarks.sanity.data_randomisation import run_data_randomisation, train_pair
from attribeval.benchmarks.sanity.procedure import run_sanity
from attribeval.benchmarks.sanity.summary import interval
from attribeval.benchmarks.sanity.view.tables import sanity_text
from attribeval.cli import main
from attribeval.common.seeds import image_seeds
from attribeval.datasets import Samples, imagenet
from attribeval.methods.registry import build_method
from attribeval.metrics.registry import build_benchmark
from attribeval.metrics.sanity.randomisation import Randomisation, likeness_to_random_model
from attribeval.metrics.sanity.similarity import (
    SIMILARITIES,
    choose_similarities,
    hog_correlation,
    spearman,
    spearman_absolute,
    ssim,
)
from attribeval.metrics.subject import Explained, Subject
from attribeval.models.randomised import randomised, weighted_layers
from attribeval.plots import more_pictures

FUNCTIONS = {"spearman_abs": spearman_absolute, "spearman": spearman, "ssim": ssim, "hog": hog_correlation}


@pytest.fixture(scope="module")
def maps():
    """Two sets of four related maps, one of whole numbers with many ties."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 50, 52))
    b = 0.6 * a + rng.normal(size=a.shape)
    a[3], b[3] = np.round(a[3]), np.round(b[3])
    return a, b


# -- similarities ------------------------------------------------------------------------------------------------------


def test_spearman_is_scipys_and_pearsons_of_mean_ranks(maps):
    a, b = maps
    for i, (signed, absolute) in enumerate(zip(spearman(a, b), spearman_absolute(a, b), strict=True)):
        assert signed == pytest.approx(spearmanr(a[i].ravel(), b[i].ravel()).statistic, abs=1e-9)
        ranks = [rankdata(np.abs(one[i])) for one in (a, b)]
        assert absolute == pytest.approx(pearsonr(*ranks).statistic, abs=1e-9)
    assert spearman(a, b).dtype == np.float64


def test_channels_are_summed_for_the_sign_and_their_sizes_for_the_absolute_value(maps):
    a, b = (one.reshape(2, 2, 50, 52).transpose(0, 2, 3, 1) for one in maps)  # (2, H, W, 2)
    np.testing.assert_allclose(spearman(a, b), spearman(a.sum(-1), b.sum(-1)))
    np.testing.assert_allclose(spearman_absolute(a, b), spearman(np.abs(a).sum(-1), np.abs(b).sum(-1)))
    np.testing.assert_allclose(ssim(a, b), ssim(a.sum(-1), b.sum(-1)))
    assert spearman_absolute(a, b) != pytest.approx(spearman_absolute(a.sum(-1), b.sum(-1)))


def slow_ssim(x, y):
    """Wang et al. 2004, equation 13, window by window, with unbiased covariances; borders left out."""
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = ((one - one.min()) / (one.max() - one.min()) for one in (x, y))
    values = []
    for r in range(5, x.shape[0] - 5):
        for c in range(5, x.shape[1] - 5):
            p, q = (one[r - 5 : r + 6, c - 5 : c + 6] for one in (x, y))
            mp, mq = (window * p).sum(), (window * q).sum()
            unbiased = 121 / 120
            vp = unbiased * ((window * p * p).sum() - mp**2)
            vq = unbiased * ((window * q * q).sum() - mq**2)
            vpq = unbiased * ((window * p * q).sum() - mp * mq)
            values.append((2 * mp * mq + 1e-4) * (2 * vpq + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return np.mean(values)


def test_ssim_against_the_definition_written_slowly(maps):
    a, b = (one[:2, :20, :24] for one in maps)
    np.testing.assert_allclose(ssim(a, b), [slow_ssim(x, y) for x, y in zip(a, b, strict=True)], atol=1e-5)


def slow_hog(image):
    """Dalal & Triggs 2005: cells of 16, unsigned orientations in 9 bins, blocks of 3 × 3 cells, L2-Hys."""
    gy, gx = np.zeros_like(image), np.zeros_like(image)
    gy[1:-1], gx[:, 1:-1] = image[2:] - image[:-2], image[:, 2:] - image[:, :-2]
    size, angle = np.hypot(gx, gy), np.rad2deg(np.arctan2(gy, gx)) % 180
    rows, columns = image.shape[0] // 16, image.shape[1] // 16
    cells = np.zeros((rows, columns, 9))
    for r in range(rows):
        for c in range(columns):
            place = np.s_[16 * r : 16 * r + 16, 16 * c : 16 * c + 16]
            for s, t in zip(size[place].ravel(), angle[place].ravel(), strict=True):
                cells[r, c, min(int(t // 20), 8)] += s / 256
    blocks = []
    for r in range(rows - 2):
        for c in range(columns - 2):
            block = cells[r : r + 3, c : c + 3].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 1e-10))
    return np.concatenate(blocks)


def test_hog_against_the_definition_written_slowly(maps):
    a, b = (np.repeat(np.repeat(one[:2], 2, 1), 2, 2)[:, :64, :64] for one in maps)
    for i, value in enumerate(hog_correlation(a, b)):
        x, y = ((one[i] - one[i].min()) / (one[i].max() - one[i].min()) for one in (a, b))
        assert value == pytest.approx(spearmanr(slow_hog(x), slow_hog(y)).statistic, abs=0.01)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_known_answers(name, maps):
    a, b = maps
    function = FUNCTIONS[name]
    np.testing.assert_allclose(function(a, a), 1, atol=1e-6)
    np.testing.assert_allclose(function(a, 3 * a if name == "spearman_abs" else 3 * a - 7), 1, atol=1e-4)  # no scale
    np.testing.assert_allclose(function(a, b), function(b, a), atol=1e-9)
    np.testing.assert_allclose(function(a[1:2], b[1:2]), function(a, b)[1:2], atol=1e-12)  # one at a time
    np.testing.assert_allclose(function(a.astype(np.float32), b.astype(np.float32)), function(a, b), atol=1e-4)
    constant = a.copy()
    constant[2] = 0.3
    assert np.isnan(function(constant, b)).tolist() == [False, False, True, False]
    assert np.isnan(function(b, constant)).tolist() == [False, False, True, False]
    expected = {"spearman": -1, "spearman_abs": 1}
    if name in expected:
        np.testing.assert_allclose(function(a, -a), expected[name], atol=1e-9)
    assert np.abs(spearman(a, np.random.default_rng(9).normal(size=a.shape))).max() < 0.1
    broken = a.copy()
    broken[1, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match="infinity in map 1"):
        function(broken, b)
    with pytest.raises(AttribevalError, match="same shape"):
        function(a, b[:2])


def test_choice_of_similarities():
    assert choose_similarities(None, (224, 224)) == (["spearman_abs", "spearman", "ssim", "hog"], [])
    assert choose_similarities(None, (16, 20)) == (["spearman_abs", "spearman", "ssim"], ["hog"])
    assert choose_similarities(None, (8, 90)) == (["spearman_abs", "spearman"], ["ssim", "hog"])
    assert choose_similarities("ssim", (16, 16)) == (["ssim"], [])
    with pytest.raises(AttribevalError, match=r"48 pixels a side or more for hog\. Received: 16 × 20"):
        choose_similarities(["hog"], (16, 20))
    with pytest.raises(AttribevalError, match="Unknown similarity: 'sim'"):
        choose_similarities(["sim"], (64, 64))
    for names in ([], ["ssim", "ssim"]):
        with pytest.raises(AttribevalError, match="each once"):
            choose_similarities(names, (64, 64))
    with pytest.raises(AttribevalError, match="11 pixels"):
        ssim(np.random.default_rng(0).random((1, 8, 8)), np.random.default_rng(1).random((1, 8, 8)))


def test_interval_leaves_out_what_is_undefined():
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.1, (3, 200))
    values[1, 50:] = np.nan
    values[2] = np.nan
    value, low, high = interval(values)
    assert value[:2] == pytest.approx([values[0].mean(), values[1, :50].mean()])
    error = np.array([values[0].std() / np.sqrt(200), values[1, :50].std() / np.sqrt(50)])
    np.testing.assert_allclose(high[:2] - low[:2], 2 * 1.96 * error, rtol=0.04)
    for row, known in ((0, values[0]), (1, values[1, :50])):
        expected = student.interval(0.95, len(known) - 1, known.mean(), known.std(ddof=1) / np.sqrt(len(known)))
        assert (low[row], high[row]) == pytest.approx(expected)
    one = interval(np.array([[0.5, np.nan]]))
    assert one[0] == 0.5 and np.isnan(one[1:]).all()  # one image has no interval, not one of width 0
    assert np.isnan([value[2], low[2], high[2]]).all()


# -- the procedure -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attributer():
    """A linear model of two hidden convolutions without rectifiers, of 16 × 16 images, nested."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    body = keras.Sequential(
        [keras.Input((16, 16, 2)), layers.Conv2D(4, 3, padding="same", name="low"), layers.BatchNormalization(name="n"),
         layers.ReLU(), layers.Conv2D(5, 3, padding="same", activation="relu", name="high")], name="body",
    )  # fmt: skip
    inputs = keras.Input((16, 16, 2))
    x = layers.GlobalAveragePooling2D()(body(inputs))
    return Attributer(keras.Model(inputs, layers.Dense(3, name="head")(x), name="tiny"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).normal(size=(5, 16, 16, 2)).astype(np.float32)


LAYERS = ["head", "body/high", "body/n", "body/low"]


def test_curves_against_the_steps_done_by_hand(attributer, images):
    before = [w.numpy().tobytes() for w in attributer.classifier.model.weights]
    result = run_sanity(attributer, images, ["gradient", "gradcam"], seed=4, progress=False)
    assert [w.numpy().tobytes() for w in attributer.classifier.model.weights] == before
    table = result.table
    assert sorted(set(table["method"])) == ["gradcam", "gradient", "random", "sobel"]
    assert len(table) == 4 * 2 * 4 * 3  # methods, modes, layers, similarities: no HOG of 16 × 16
    assert result.settings["left_out"] == ["hog"] and "HOG" in " ".join(result.summary)
    targets = attributer.predict(images).argmax(1)
    trained = attributer.explain(images, "gradient", targets, seed=4).values
    for mode in ("cascading", "independent"):
        for step, layer in enumerate(LAYERS, start=1):
            chosen = LAYERS[:step] if mode == "cascading" else [layer]
            with randomised(attributer.classifier, chosen, seed=4):
                maps = attributer.explain(images, "gradient", targets, seed=4).values
            for name, function in FUNCTIONS.items():
                if name == "hog":
                    continue
                expected = function(trained, maps)
                got = result.arrays[f"gradient|{mode}|{name}"]
                assert got.shape == (4, 5)
                np.testing.assert_allclose(got[step - 1], expected, atol=1e-4)
                row = table[(table["method"] == "gradient") & (table["mode"] == mode) & (table["metric"] == name)]
                row = row[row["layer"] == layer].iloc[0]
                assert row["step"] == step and row["value"] == pytest.approx(np.nanmean(expected), abs=1e-4)
                assert row["low"] <= row["value"] <= row["high"] and row["images"] == np.isfinite(expected).sum()
    # The first step is the same in both modes, and was measured once.
    first = [result.arrays[f"gradcam|{mode}|spearman"][0] for mode in ("cascading", "independent")]
    np.testing.assert_array_equal(*first)


def test_sobel_never_changes_and_random_is_what_unrelated_maps_have(attributer, images):
    result = run_sanity(attributer, images, ["gradient"], progress=False)
    for mode in ("cascading", "independent"):
        for name in result.settings["similarities"]:
            np.testing.assert_allclose(result.arrays[f"sobel|{mode}|{name}"], 1, atol=1e-6)
        noise = result.arrays[f"random|{mode}|spearman"]
        assert np.abs(noise).max() < 0.3 and abs(noise.mean()) < 0.05  # 256 pixels: standard error .06
        assert len(np.unique(noise)) == noise.size  # drawn anew for every model and image
    kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
    assert kinds == {"gradient": "method", "sobel": "control", "random": "control"}


def test_same_seed_same_curve_whatever_the_batch_and_the_other_methods(attributer, images):
    name = "smoothgrad(gradient, samples=3)"
    one = run_sanity(attributer, images, [name], layers=2, seed=1, progress=False)
    two = run_sanity(attributer, images, ["gradient", name], layers=2, seed=1, batch_size=2, progress=False)
    other = run_sanity(attributer, images, [name], layers=2, seed=2, progress=False)
    key = f"{name}|cascading|spearman"
    np.testing.assert_allclose(one.arrays[key], two.arrays[key], atol=1e-3)
    assert not np.allclose(one.arrays[key], other.arrays[key], atol=1e-2)
    order = dict.fromkeys(one.table["step"])
    assert list(order) == [1, 4]  # two stops of four layers, the last at the input


def test_stops(attributer, images):
    def steps(layers, mode="cascading"):
        result = run_sanity(attributer, images[:2], ["sobel"], layers=layers, modes=[mode], similarities=["spearman"],
                            progress=False)  # fmt: skip
        rows = result.table[result.table["method"] == "sobel"]
        return list(zip(rows["step"], rows["layer"], strict=True))

    everything = list(enumerate(LAYERS, start=1))
    assert steps(None) == steps(99) == everything
    assert steps(1) == everything[3:]
    assert steps(3) == [everything[i] for i in (0, 2, 3)]
    assert steps(["low", "head"]) == [everything[0], everything[3]]
    assert steps("body/high", "independent") == [everything[1]]


def test_statistics_go_back_only_if_asked(attributer, images):
    norm = attributer.classifier.model.get_layer("body").get_layer("n")
    norm.moving_variance.assign([4.0, 0.1, 9.0, 1.0])
    curves = [
        run_sanity(attributer, images, ["gradient"], layers=["low"], statistics=statistics, progress=False)
        for statistics in (False, True)
    ]
    first, second = (curve.arrays["gradient|cascading|spearman_abs"] for curve in curves)
    assert not np.allclose(first, second, atol=1e-3)
    np.testing.assert_array_equal(norm.moving_variance.numpy(), np.float32([4.0, 0.1, 9.0, 1.0]))


def test_resumption_computes_what_is_missing_alone(attributer, images, tmp_path, monkeypatch):
    monkeypatch.setattr(procedure, "_CHUNK", 2)  # 2, 2 and 1 images
    expected = run_sanity(attributer, images, ["gradient", "gradcam"], layers=2, progress=False)
    asked: list[tuple[str, ...]] = []
    plain = Attributer.explain_many

    def explain_many(self, raw, methods, *args, **options):
        asked.append((*methods, len(raw)))
        if len(asked) == stop_at:
            raise KeyboardInterrupt
        return plain(self, raw, methods, *args, **options)

    monkeypatch.setattr(Attributer, "explain_many", explain_many)
    stop_at = 9
    options = {"layers": 2, "run_dir": tmp_path / "run", "progress": False}
    fingerprint = attributer.classifier.fingerprint()
    with pytest.raises(KeyboardInterrupt):
        run_sanity(attributer, images, ["gradient", "gradcam"], **options)
    assert attributer.classifier.fingerprint() == fingerprint
    first = len(asked) - 1  # the last one gave nothing
    stop_at = None
    result = run_sanity(attributer, images, ["gradient", "gradcam"], **options)
    # A chunk: its own maps, and for three sets of layers (head, all, low) noise apart from the others: 7 calls.
    assert len(asked) - 1 - first == 21 - 8 + 1  # 8 were done; the maps of the second chunk's own had to be made again
    for name, values in expected.arrays.items():
        np.testing.assert_array_equal(result.arrays[name], values)
    columns = [column for column in expected.table if column != "seconds_per_image"]
    pd.testing.assert_frame_equal(result.table[columns], expected.table[columns])
    asked.clear()
    again = run_sanity(attributer, images, ["gradient", "gradcam"], **options)
    assert asked == [] and again.arrays.keys() == expected.arrays.keys()
    run_sanity(attributer, images, ["gradient", "gradient_x_input"], **options)
    assert {name for call in asked for name in call[:-1]} == {"gradient_x_input"}  # the others are there


def test_a_method_that_fails_is_a_row_that_says_why(attributer, images):
    @dataclasses.dataclass(frozen=True)
    class Broken:
        """Explains the trained model only."""

        card = dataclasses.replace(build_method("gradient").card, name="broken")
        trained: float

        def attribute(self, batch):
            if batch.classifier.model.get_layer("head").weights[0].numpy().sum() != self.trained:
                raise AttribevalError("No map of this model.")
            return batch.gradient()

    broken = Broken(attributer.classifier.model.get_layer("head").weights[0].numpy().sum())
    result = run_sanity(attributer, images, {"broken": broken, "gradient": build_method("gradient")}, progress=False)
    rows = result.table[result.table["method"] == "broken"]
    lost = rows[(rows["mode"] == "cascading") | (rows["layer"] == "head")]
    told = lost[lost["step"] == 1]["error"]
    assert lost["value"].isna().all() and told.str.fullmatch(r"images 0 to \d+: 'head' made random: No map of.*").all()
    kept = rows.drop(lost.index)  # other layers alone are random: the head is the trained one, and all goes well
    assert kept["value"].notna().any() and (kept["error"] == "").all()
    assert any(s.startswith("Failed: ") and "broken ('head' made random" in s for s in result.summary)
    fine = result.table[result.table["method"] == "gradient"]
    assert fine["value"].notna().all() and (fine["error"] == "").all()
    assert "broken" in sanity_text(result)


def test_a_map_without_the_model_is_named_and_one_with_it_is_not(attributer, images):
    """The image itself never changes; the gradient of a linear model has nothing of the image."""
    result = run_sanity(attributer, images, ["input", "gradient"], progress=False)
    assert result.table["kind"][result.table["method"] == "input"].iloc[0] == "control"

    @dataclasses.dataclass(frozen=True)
    class Image:
        """The image, but no control by its card."""

        card = dataclasses.replace(build_method("gradient").card, name="image")

        def attribute(self, batch):
            return batch.x

    methods = {"image": Image(), "gradient": build_method("gradient")}
    more = np.random.default_rng(3).normal(size=(9, 16, 16, 2)).astype(np.float32)  # five show nothing at 5 %
    sentences = run_sanity(attributer, more, methods, progress=False).summary
    (stubborn,) = [one for one in sentences if "Nearer to Sobel" in one and "signed" in one]
    assert "image (to the end)" in stubborn and "gradient" not in stubborn
    assert any(
        one.startswith("With all 4 layers random still more alike") and "image 1.000" in one for one in sentences
    )
    assert any("gradient reacts most" in one and "image least (1.000; p" in one for one in sentences)


def test_bad_input(attributer, images):
    for options, message in [
        ({"methods": []}, "at least one method"),
        ({"methods": ["grad_cam_"]}, "Unknown method"),
        ({"modes": ["cascade"]}, "Unknown modes: 'cascade'. Did you mean 'cascading'"),
        ({"modes": []}, "each once"),
        ({"layers": 0}, "layers to be an int of 1 or more"),
        ({"layers": ["conv"]}, "Unknown layer with weights: 'conv'"),
        ({"layers": []}, "Received no name"),
        ({"similarities": ["hog"]}, "48 pixels"),
    ]:
        with pytest.raises(AttribevalError, match=message):
            run_sanity(attributer, images, **{"methods": ["gradient"], "progress": False} | options)
    bad = images.copy()
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(AttribevalError, match=r"image 1\b"):
        run_sanity(attributer, bad, ["gradient"], progress=False)


def test_evaluator_pictures_and_page(attributer, images, tmp_path):
    samples = Samples(images, np.zeros(5, int), name="noise")
    result = Evaluator(attributer, samples).sanity(["gradient", "gradcam"], progress=False)
    saved = Result.load(result.save(tmp_path / "result"))
    np.testing.assert_array_equal(saved.arrays["examples/maps"], result.arrays["examples/maps"])
    assert saved.arrays["examples/maps"].shape == (4, 5, 16, 16)
    assert list(saved.arrays["examples/layers"]) == ["trained", *LAYERS]
    figure = saved.plot()
    left = figure.axes[0]
    (line,) = [one for one in left.lines if one.get_label() == "gradient"]
    rows = result.table[(result.table["method"] == "gradient") & (result.table["mode"] == "cascading")]
    rows = rows[rows["metric"] == "spearman_abs"]
    np.testing.assert_allclose(line.get_ydata(), [1, *rows["value"]])
    assert [text.get_text() for text in left.get_xticklabels()] == ["trained", "head", "high", "n", "low"]
    pictures = more_pictures(saved)
    assert len(pictures) == 3 and "figure 2" in next(iter(pictures))
    text = sanity_text(saved)
    assert text.count("sobel") == 2 and "never" in text and "halved at" in text
    page = saved.report(tmp_path / "page.html").read_text()
    assert "Sanity checks: random weights" in page and "halved at" in page


def test_command(tmp_path, capsys):
    words = ["sanity", "--model", "digit_objects", "--limit", "2", "--methods", "gradient", "--layers", "2", "--modes",
             "cascading", "--run-dir", str(tmp_path / "run"), "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "All layers random" in text and "2 images are few" in text
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"table.csv", "sanity.png", "maps_along_the_cascade.png", "report.html"} <= names
    assert main([*words, "--permuted", "digit_objects"]) == 2
    assert "belong to random weights" in capsys.readouterr().err
    assert main(["sanity", "--model", "digit_objects", "--limit", "0"]) == 2


# -- the leaderboard's number ------------------------------------------------------------------------------------------


def subject_of(attributer, images, name):
    method = build_method(name)
    targets = attributer.predict(images).argmax(1)
    asked = []

    def explain(raw, targets, seeds):
        from attribeval import _tf as tf
        from attribeval.methods.batch import Batch

        asked.append(len(raw))
        classifier = attributer.classifier
        batch = Batch(classifier, classifier.prepare(raw), raw, tf.constant(targets.astype(np.int32)), seeds, 8)
        return np.asarray(method.attribute(batch), np.float32)

    seeds = image_seeds(images, 0)
    subject = Subject(images, targets, lambda raw: (None, None), seeds, classifier=attributer.classifier)
    values = explain(images, targets, seeds)
    asked.clear()
    return subject, Explained(values, np.abs(values).sum(-1), explain), asked


@pytest.mark.parametrize(("top", "layers"), [(None, LAYERS), (2, LAYERS[:2]), (1, ["head"])])
def test_randomisation_is_the_end_of_the_cascade(attributer, images, top, layers):
    benchmark = build_benchmark("randomisation", {"images": 3} | ({} if top is None else {"top": top}))
    assert benchmark == Randomisation(top=top, images=3)
    subject, explained, asked = subject_of(attributer, images, "gradient")
    fingerprint = attributer.classifier.fingerprint()
    scores = benchmark.score(subject, benchmark.prepare(subject), explained)
    assert attributer.classifier.fingerprint() == fingerprint and asked == [3]
    with randomised(attributer.classifier, layers):
        maps = attributer.explain(images, "gradient", subject.targets).values
    expected = np.abs([spearmanr(*(np.abs(one[i]).sum(-1).ravel() for one in (explained.values, maps))).statistic
                       for i in range(3)])  # fmt: skip
    np.testing.assert_allclose(scores[:3], expected, atol=1e-4)
    assert np.isnan(scores[3:]).all() and len(scores) == 5


@pytest.mark.parametrize("name", ["sobel", "random", "input"])
def test_maps_that_look_at_no_model_have_one(name, attributer, images):
    benchmark = Randomisation()
    subject, explained, _ = subject_of(attributer, images, name)
    np.testing.assert_allclose(benchmark.score(subject, benchmark.prepare(subject), explained), 1, atol=1e-6)


def test_likeness_is_without_sign_and_options_are_checked(attributer, images):
    map_ = np.random.default_rng(0).random((1, 8, 8))
    np.testing.assert_allclose(likeness_to_random_model(map_, 1 - map_), 1)
    assert np.isnan(likeness_to_random_model(map_, np.ones_like(map_))).all()
    for options in ({"top": 0}, {"images": 0}):
        with pytest.raises(AttribevalError, match="1 or more"):
            Randomisation(**options)
    blind = Subject(images, np.zeros(5, int), lambda raw: (None, None), image_seeds(images, 0))
    with pytest.raises(AttribevalError, match="the model itself"):
        Randomisation().prepare(blind)
    assert len(Randomisation(top=99).prepare(subject_of(attributer, images, "sobel")[0])) == 4
    assert len(weighted_layers(attributer.classifier)) == 4


# -- permuted labels ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    return train_pair(images=40, test_images=6, size=24, steps=60, batch_size=20, seed=2)


def test_both_models_start_alike_and_learn_their_own_labels(pair):
    assert pair.accuracy["true"] > 0.9 and pair.accuracy["permuted"] > 0.9
    assert set(pair.accuracy) == {"true", "permuted", "true_test", "permuted_test"}
    again = train_pair(images=40, test_images=6, size=24, steps=60, batch_size=20, seed=2)
    np.testing.assert_allclose(again.true.predict(pair.test), pair.true.predict(pair.test), atol=1e-3)
    with pytest.raises(AttribevalError, match="steps"):
        train_pair(steps=0)


def test_maps_of_both_models_are_compared(pair, attributer):
    result = run_data_randomisation(pair.true, pair.permuted, pair.test, ["gradient"], accuracy=pair.accuracy,
                                    progress=False)  # fmt: skip
    targets = pair.true.predict(pair.test).argmax(1)
    maps = [one.explain(pair.test, "gradient", targets).values for one in (pair.true, pair.permuted)]
    np.testing.assert_allclose(result.arrays["gradient|labels|spearman"][0], spearman(*maps), atol=1e-4)
    np.testing.assert_allclose(result.arrays["sobel|labels|ssim"], 1, atol=1e-6)
    assert abs(result.arrays["random|labels|spearman"]).max() < 0.2
    assert any("alike" in one or "unlike" in one for one in result.summary)
    assert result.plot().axes and "permuted labels" in sanity_text(result)
    untrained = run_data_randomisation(pair.true, pair.permuted, pair.test, ["gradient"], accuracy={"permuted": 0.3},
                                       progress=False)  # fmt: skip
    assert "knows 30.0 % of its permuted labels" in untrained.summary[0]
    same = run_data_randomisation(pair.true, pair.true, pair.test, ["gradient"], progress=False)
    np.testing.assert_allclose(same.arrays["gradient|labels|spearman_abs"], 1, atol=1e-6)
    with pytest.raises(AttribevalError, match="same images and classes"):
        run_data_randomisation(pair.true, attributer, pair.test, progress=False)


# -- the finding, on real nets -----------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("net", "preprocess", "top"), [("mobilenet_075_imagenet", "mobilenet", 28),
                                                        ("squeezenet_1_0_imagenet", "squeezenet", 13)])  # fmt: skip
def test_guided_backprop_does_not_notice_that_the_upper_half_is_random(net, preprocess, top, real_data):
    """Adebayo et al. 2018: guided backprop is invariant to the upper layers; the gradient is not."""
    attributer = Attributer(real_data / "models" / f"{net}.keras", preprocess=preprocess)
    found = [layer.path for layer in weighted_layers(attributer.classifier)]
    fingerprint = attributer.classifier.fingerprint()
    result = Evaluator(attributer, imagenet(real_data / "ILSVRC", limit=4)).sanity(
        ["gradient", "guided_backprop"], modes=["cascading"], layers=[found[0], found[top - 1]], progress=False
    )
    assert attributer.classifier.fingerprint() == fingerprint
    rows = result.table[result.table["metric"] == "spearman"].set_index(["method", "step"])
    for step in (1, top):
        assert rows.loc[("guided_backprop", step), "value"] > 0.6
        assert abs(rows.loc[("gradient", step), "value"]) < 0.2
    ssims = result.table[result.table["metric"] == "ssim"].set_index(["method", "step"])
    assert ssims.loc[("guided_backprop", top), "value"] > ssims.loc[("gradient", top), "value"] + 0.2
