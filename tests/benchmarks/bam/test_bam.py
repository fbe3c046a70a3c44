"""BAM from end to end on a small set: cached, resumed, the same in any order; models, figure 2, series, pictures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from attribeval import Evaluator
from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.models import (
    OBJECT,
    SCENE,
    SCENE_ONLY,
    _rows,
    k_name,
    train_models,
    training_sets,
)
from attribeval.benchmarks.bam.nets import Net, find_net
from attribeval.benchmarks.bam.procedure import run_bam
from attribeval.benchmarks.bam.region import heat, region_average
from attribeval.benchmarks.bam.relative_importance import answers, feature_items, relative_importance
from attribeval.datasets.bam import Bam, BamPart
from attribeval.errors import AttribevalError
from attribeval.results.result import Result
from attribeval.runs.store import Store
from attribeval.training.augment import Augment
from attribeval.training.recipe import Recipe


@pytest.fixture(scope="module")
def data() -> Bam:
    """Three scenes of plain colours, two objects of shapes: what each model needs is known, and learnt at once."""
    rng = np.random.default_rng(0)

    def part(name: str, n: int) -> BamPart:
        objects, scenes = np.arange(n) % 2, np.arange(n) // 2 % 3
        colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
        scene_only = np.clip(colours[scenes][:, None, None] + rng.normal(0, 25, (n, 16, 16, 3)), 0, 255).astype(
            np.uint8
        )
        masks = np.zeros((n, 16, 16), bool)
        for i in range(n):
            y, x = rng.integers(0, 8, 2)
            if objects[i]:
                masks[i, y : y + 8, x : x + 2] = masks[i, y : y + 2, x : x + 8] = True
            else:
                masks[i, y + 1 : y + 7, x + 1 : x + 7] = True
        images = np.where(masks[..., None], np.uint8(255 * np.arange(2)[objects])[:, None, None, None], scene_only)
        return BamPart(name, images, scene_only, masks, objects, scenes, ("block", "corner"), ("red", "green", "blue"))

    return Bam(part("train", 720), part("test", 240))


def _build(shape, classes):
    from attribeval.models.small_net import small_net

    return small_net(shape, classes, widths=(8, 12))


NET = Net(_build, Recipe(steps=60, batch_size=32), Recipe(steps=40, batch_size=32), concept_layers=("relu2", "logits"))
KS = (1 / 3, 2 / 3, 1)
METHODS = ("gradcam", "gradient", "occlusion(window=4, stride=4)")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("bam")


@pytest.fixture(scope="module")
def result(data, run_dir) -> Result:
    return run_bam(data, METHODS, run_dir=run_dir, net=NET, ks=KS, images=150, robust_images=20, patch_images=30,
                   slow_images=5, series_images=12, random_sets=4, progress=False)  # fmt: skip


def test_the_models_need_what_the_article_says(result):
    rows = {(r["model"], r["tested_on"]): r["accuracy"] for r in result.settings["accuracy"]}
    assert rows["f_o", "object in scene"] > 0.95 and rows["f_o", "scene alone"] < 0.55  # chance is 1/2
    assert rows["f_s", "object in scene"] > 0.95 and rows["f_s", "scene alone"] > 0.9
    assert rows["f_s", "object on grey"] < 0.6  # chance is 1/3
    assert rows["f_∅s", "scene alone"] > 0.95
    checks = [holds for _, holds in result.settings["checks"]]
    assert checks[:3] == [True, True, True]


def test_known_answers_in_the_table(result):
    cell = result.table.set_index(["method", "metric"])
    assert cell.loc[("random", "MCS"), "value"] == cell.loc[("sobel", "MCS"), "value"] == 0  # they know no model
    idr = cell.loc[("random", "IDR")]
    assert idr["low"] < 0.5 < idr["high"]
    assert set(result.table["method"]) == {*METHODS, "random", "sobel", "tcav"}
    assert cell.loc[(METHODS[2], "IDR"), "images"] <= 5  # a slow method, on fewer images
    assert (METHODS[2], "MCSMoved") not in cell.index and ("gradient", "MCSMoved") in cell.index
    assert np.isfinite(cell.loc[("gradient", "IDR"), "deviation"])  # 150 images: more than 100 count
    assert np.isnan(cell.loc[("gradient", "IDRMoved"), "deviation"])
    assert ("tcav", "IDR") not in cell.index and ("tcav", "IIR") not in cell.index
    (of_tcav,) = [sentence for sentence in result.summary if sentence.startswith("TCAV of")]
    assert "passes far more often than p says" in of_tcav  # what its test does not hold is said where it is read
    patches = result.settings["patches"]
    assert patches["change"] < 0.7 * patches["change_before"]


def test_the_table_agrees_with_maps_scored_by_hand(result, data, run_dir):
    models = train_models(training_sets(data, KS, 0, None), NET, Store(run_dir, "bam"))
    test, items = data.test, np.arange(150)
    g, right = {}, {}
    for name, kind in ((OBJECT, "composite"), (SCENE, "composite"), (SCENE, "scene_only")):
        images = test.load(kind, items).astype(np.float32)
        maps = Attributer(models[name].classifier).explain(images, "gradient", progress=False)
        g[name, kind] = region_average(heat(maps.values), test.masks[items])
        right[name, kind] = maps.targets == test.labels("object" if name == OBJECT else "scene")[items]
    cell = result.table.set_index(["method", "metric"])
    both = right[OBJECT, "composite"] & right[SCENE, "composite"]
    mcs = (g[OBJECT, "composite"] - g[SCENE, "composite"])[both].mean()
    assert cell.loc[("gradient", "MCS"), "value"] == pytest.approx(mcs, abs=1e-6)
    both = right[SCENE, "composite"] & right[SCENE, "scene_only"]
    idr = (g[SCENE, "composite"] < g[SCENE, "scene_only"])[both].mean()
    assert cell.loc[("gradient", "IDR"), "value"] == pytest.approx(idr, abs=1e-9)
    assert cell.loc[("gradient", "IDR"), "images"] == both.sum()


def test_a_second_call_computes_nothing_again_and_other_methods_are_added(result, data, run_dir, monkeypatch):
    from attribeval.benchmarks.bam import gather, models, scoring

    def refuse(*args, **kwargs):
        raise RuntimeError("this was there already")

    asked = []

    class Counting(Attributer):
        def explain_many(self, images, methods, *args, **kwargs):
            asked.append(set(methods))
            return super().explain_many(images, methods, *args, **kwargs)

    monkeypatch.setattr(models, "train", refuse)
    monkeypatch.setattr(gather, "insignificant_patches", refuse)
    monkeypatch.setattr(scoring, "Attributer", Counting)
    options = dict(run_dir=run_dir, net=NET, ks=KS, images=150, robust_images=20, patch_images=30, slow_images=5,
                   series_images=12, random_sets=4, progress=False)  # fmt: skip
    again = Evaluator.bam(data, METHODS, **options)
    assert asked == []
    assert again.table.drop(columns="seconds_per_image").equals(result.table.drop(columns="seconds_per_image"))
    more = run_bam(data, ["gradient", "gradient_x_input"], **options)
    assert asked and all(of_one == {"gradient_x_input"} for of_one in asked)
    one, other = (r.table.set_index(["method", "metric"])["value"] for r in (more, result))
    assert one["gradient", "MCS"] == other["gradient", "MCS"]


def test_damaged_files_are_noticed_and_made_again(result, data, run_dir):
    kinds = ("models/scene-*.weights.h5", "models/object-*.json", "averages/gradcam/*.npz", "patches/*.npz",
             "concepts/*.npz")  # fmt: skip
    for kind in kinds:
        file = sorted(run_dir.glob(kind))[0]
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 1
        file.write_bytes(whole)
    options = dict(run_dir=run_dir, net=NET, ks=KS, images=150, robust_images=20, patch_images=30, slow_images=5,
                   series_images=12, random_sets=4, progress=False)  # fmt: skip
    with pytest.warns(UserWarning) as caught:
        again = run_bam(data, METHODS, **options)
    said = [str(warning.message) for warning in caught]
    assert sum("weights.h5 is missing or damaged: the model is trained again" in line for line in said) == 1
    assert sum("such parts are computed again" in line for line in said) == 1  # once, whatever the number
    assert again.table.drop(columns="seconds_per_image").equals(result.table.drop(columns="seconds_per_image"))
    assert again.settings["accuracy"] == result.settings["accuracy"]


@pytest.mark.parametrize(
    "what, lacking, why",
    [
        ("scene", {"MCS", "MCSMoved", "MCSSmaller", "IDR", "IDRMoved", "IDRSmaller"}, "f_s could not be trained"),
        ("scene_only", {"IIR", "IIRChange"}, "f_∅s could not be trained: no luck"),
        ("k1", {"MCSCorrelation"}, "f_k, k = 1 could not be trained: no luck"),
        ("patches", {"IIR", "IIRChange"}, "no patches: ValueError: none"),
    ],
)
def test_a_training_or_a_patch_that_fails_is_a_reason_in_its_rows(
    what, lacking, why, result, data, run_dir, tmp_path, monkeypatch
):
    """What needs it has the reason, all else its numbers; strict raises; the next run has the whole table."""
    from attribeval.benchmarks.bam import gather, models

    shutil.copytree(run_dir, tmp_path / "run")
    for file in (*tmp_path.glob(f"run/models/{what}-*"), *tmp_path.glob(f"run/{what}/*")):
        file.unlink()
    options = dict(run_dir=tmp_path / "run", net=NET, ks=KS, images=150, robust_images=20, patch_images=30,
                   slow_images=5, series_images=12, random_sets=4, progress=False)  # fmt: skip

    def fail(*args, **kwargs):
        raise ValueError("none") if what == "patches" else AttribevalError("no luck")

    with monkeypatch.context() as broken:
        broken.setattr(gather, "insignificant_patches", fail)
        broken.setattr(models, "train", fail)
        found = run_bam(data, METHODS, **options)
        with pytest.raises(AttribevalError, match=r"no luck|ValueError: none.*strict"):
            run_bam(data, METHODS, strict=True, **options)
    rows = found.table[found.table["kind"] != "concept"]
    failed = rows[rows["error"] != ""]
    assert set(failed["metric"]) == lacking and failed["error"].str.contains(why).all()
    assert failed[failed["metric"] != "MCSCorrelation"]["value"].isna().all()
    whole = result.table.set_index(["method", "metric"])["value"]
    for row in rows[rows["error"] == ""].itertuples():
        np.testing.assert_equal(row.value, whole[row.method, row.metric])
    assert found.summary[0].startswith("Failed:") or "does NOT hold" in found.summary[0]
    assert any(line.startswith("Failed:") and why in line for line in found.summary)
    found.save(tmp_path / "saved")
    Result.load(tmp_path / "saved").report(tmp_path / "page.html")
    if what == "patches":
        again = run_bam(data, METHODS, **options)
        assert again.table.drop(columns="seconds_per_image").equals(result.table.drop(columns="seconds_per_image"))


def test_a_function_that_calls_ours_has_our_rows(result, data, run_dir):
    def mine(model, images, targets, seed):
        return Attributer(model).explain(images, "gradient", targets, progress=False).values

    again = run_bam(data, {"gradient": "gradient", "mine": mine}, run_dir=run_dir, net=NET, ks=KS, images=150,
                    robust_images=20, patch_images=30, slow_images=5, series_images=12, random_sets=4,
                    progress=False)  # fmt: skip
    costs = ["method", "seconds_per_image"]
    ours, theirs, before = (
        table[table["method"] == name].sort_values("metric").drop(columns=costs).astype(str).to_numpy().tolist()
        for table, name in ((again.table, "gradient"), (again.table, "mine"), (result.table, "gradient"))
    )
    assert ours == theirs == before
    for label, one in (("images", lambda images, targets: images), ("maps", np.ones((150, 16, 16)))):
        with pytest.raises(AttribevalError, match=rf"bam can use. Received '{label}'.*f\(model, images"):
            run_bam(data, {label: one}, run_dir=run_dir, net=NET, ks=KS, progress=False)


def test_f_k_is_measured_where_the_feature_is(data):
    test = data.test
    items = feature_items(test, 2 / 3, 1, order=[2, 0, 1])
    assert set(test.scenes[items]) == {2, 0} and (test.objects[items] == 1).all()
    assert test.scenes[items[:4]].tolist() == [2, 0, 2, 0]  # in turn, so that the first few are of all classes
    assert set(test.scenes[feature_items(test, 1, 1, [2, 0, 1], "first")]) == {2}


def test_accuracies_by_hand(data, run_dir, result):
    models = train_models(training_sets(data, KS, 0, None), NET, Store(run_dir, "bam"))
    found = relative_importance(models, data.test, KS, 0, None)
    for i, k in enumerate(KS):
        items = np.flatnonzero((data.test.objects == 0) & (data.test.scenes < round(3 * k)))
        for of, kind in ((found.with_feature, "composite"), (found.without_feature, "scene_only")):
            view = data.test.view(kind, "scene", items)
            right = answers(models[k_name(k)].classifier, view)[0].argmax(1) == data.test.scenes[items]
            assert of[i] == right.mean()
    scene = models[SCENE].classifier
    p = [
        scene.forward(data.test.load(kind, np.arange(240)).astype(np.float32))[1].numpy()
        for kind in ("composite", "scene_only")
    ]
    right = p[0].argmax(1) == data.test.scenes
    each = [one[np.arange(240), data.test.scenes] for one in p]
    assert found.rises == pytest.approx((each[1] > each[0])[right].mean(), abs=0.02)


def test_training_sees_every_image_once_an_epoch():
    stream = np.concatenate([_rows(start, 8, 20, seed=3) for start in range(0, 40, 8)])
    assert sorted(stream[:20]) == sorted(stream[20:]) == list(range(20)) and not np.array_equal(
        stream[:20], stream[20:]
    )


def test_models_are_found_again_by_content(data, run_dir, result):
    sets = training_sets(data, (1,), 0, None)
    kept = train_models({SCENE_ONLY: sets[SCENE_ONLY]}, NET, Store(run_dir, "bam"))[SCENE_ONLY]
    assert kept.record["from_run_dir"]
    other = Net(_build, Recipe(steps=61, batch_size=32))
    fresh = train_models({SCENE_ONLY: sets[SCENE_ONLY]}, other, Store(run_dir, "bam"))[SCENE_ONLY]
    assert "from_run_dir" not in fresh.record
    assert fresh.classifier.fingerprint() != kept.classifier.fingerprint()


def test_the_series_and_the_pictures(result, tmp_path):
    from attribeval.benchmarks.bam.view.tables import bam_text
    from attribeval.plots import more_pictures

    assert result.arrays["series/gradient"][-1] == 0 and len(result.arrays["series/gradient"]) == 3
    np.testing.assert_allclose(
        result.arrays["series/drop"], result.arrays["series/with"] - result.arrays["series/without"]
    )
    saved = Result.load(result.save(tmp_path / "saved"))
    text = bam_text(saved)
    row = next(line for line in text.splitlines() if line.startswith("gradient "))
    value = result.table.set_index(["method", "metric"]).loc[("gradient", "MCS"), "value"]
    assert f"{value:.3f}".replace("-", "−") in row and "f_∅s" in text
    bars = saved.plot().axes
    assert bars[0].get_title(loc="left").startswith("MCS")
    widths = [patch.get_width() for patch in bars[0].patches]
    assert any(abs(width - value) < 1e-9 for width in widths)
    assert {"Examples", "Patches"} <= {name.split(" (")[0] for name in more_pictures(saved)}
    page = saved.report(tmp_path / "page.html").read_text()
    assert "Relative feature importance (BAM)" in page and "does not need the object" in page
    json.dumps(saved.settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": (0.5, 1)}, "whole number of 3 classes"),
        ({"ks": (1 / 3,)}, "end with 1"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["gradcan"]}, "Unknown method"),
        ({"images": 0}, "images to be an int of 1 or more"),
        ({"protocol": "paper!"}, "protocol"),
        ({"net": "vgg"}, "Unknown net of BAM"),
        ({"series_scenes": "last"}, "series_scenes"),
        ({"data": "coco"}, "Expected 'digits' or Bam data"),
        ({"feature": 5}, "feature from 0 to 1"),
        (
            {"net": Net(lambda shape, classes: _build(shape, 7), Recipe(steps=2))},
            "an output for each of the data's 2 classes",
        ),
        ({"net": Net(lambda shape, classes: _build((20, 20, 3), classes), Recipe(steps=2))}, "images \\(16, 16, 3\\)"),
    ],
)
def test_bad_input(data, tmp_path, change, message):
    arguments = {"data": data, "methods": ["gradient"], "net": NET, "ks": KS, "run_dir": tmp_path} | change
    with pytest.raises(AttribevalError, match=message):
        run_bam(**arguments, progress=False)


def test_nets_and_models_of_other_labels(data, run_dir, result):
    with pytest.raises(AttribevalError, match="mirrors at most"):
        Net(_build, Recipe(steps=2, augment=Augment(shift=3)))
    assert find_net("resnet50", weights=None).preprocess == "caffe"
    models = train_models(training_sets(data, (1,), 0, None), NET, Store(run_dir, "bam"))
    with pytest.raises(AttribevalError, match="model of the data's 2 classes"):
        answers(models[SCENE].classifier, data.test.view("composite", "object"))


def test_the_command_runs_and_reports(tmp_path, capsys):
    from attribeval.cli import main

    arguments = ["bam", "run", str(tmp_path), "--size", "24", "--train", "200", "--test", "100", "--steps", "40",
                 "--series-steps", "2", "--ks", "0.5", "1", "--methods", "gradient", "--limit", "8",
                 "--robust-images", "0", "--patch-images", "2", "--series-images", "4",
                 "--feature", "zero"]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "f_o" in printed and "gradient" in printed and (tmp_path / "report/report.html").is_file()
    assert (tmp_path / "report/bars.png").stat().st_size > 5000
    assert main(["bam", "report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == printed
    assert main([*arguments[:-1], "ten"]) == 2
    assert "Unknown object class" in capsys.readouterr().err
    assert main(["bam", "report", str(tmp_path / "nothing")]) == 2


# --------------------------------------------------------------------------------------------- figures of the article


@pytest.fixture(scope="module")
def trained(data, run_dir, result):
    """The models as the run directory holds them."""
    return train_models(training_sets(data, KS, 0, None), NET, Store(run_dir, "bam"), progress=False)


def heat_by_hand(values):
    """Positive parts summed over channels, cut at the 99th percentile, from 0 to 1."""
    positive = np.maximum(np.asarray(values, np.float64), 0).sum(-1)
    top = np.sort(positive.ravel())
    place = 0.99 * (top.size - 1)
    top = top[int(place)] + (place % 1) * (top[int(place) + 1] - top[int(place)])
    return (np.minimum(positive, top) - positive.min()) / (top - positive.min())


def test_maps_over_k_are_those_of_each_model(data, result, trained):
    image = result.arrays["over_k/image"]
    (item,) = [i for i in range(len(data.test)) if np.array_equal(data.test.images[i], image)]
    assert data.test.objects[item] == 0 and data.test.scenes[item] == 0  # a scene that has the feature for every k
    names = [str(name) for name in result.arrays["over_k/methods"]]
    for k, of_k in zip(KS, np.moveaxis(result.arrays["over_k/maps"], 1, 0), strict=True):
        attributer = Attributer(trained[f"k{k:g}"].classifier)
        values = attributer.explain(image[None].astype(np.float32), method="gradient", progress=False).values[0]
        np.testing.assert_allclose(of_k[names.index("gradient")], heat_by_hand(values), atol=1e-4)
    axes = result.figure(5).axes
    assert len(axes) == len(names) * (len(KS) + 1)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), image)
    assert [ax.get_title() for ax in axes[: len(KS) + 1]] == ["x", *(f"k = {k:.3g}" for k in KS)]


def test_the_patch_that_is_shown_is_the_least_noticed(data, result, trained):
    x, patched = result.arrays["patch/images"]
    (item,) = [i for i in range(len(data.test)) if np.array_equal(data.test.scene_only[i], x)]
    mask = data.test.masks[item]
    assert (x[~mask] == patched[~mask]).all() and (x[mask] != patched[mask]).any()
    logits = [np.asarray(answers) for answers in trained["scene_only"].classifier.forward(
        trained["scene_only"].classifier.prepare(np.stack([x, patched]).astype(np.float32)))[0].numpy()]  # fmt: skip
    change, scale = (float(result.arrays[f"patch/{name}"]) for name in ("change", "scale"))
    assert np.linalg.norm(logits[0]) == pytest.approx(scale, rel=1e-4)
    assert np.linalg.norm(logits[1] - logits[0]) == pytest.approx(change, abs=0.02 * scale)  # shown in whole bytes
    ratio = result.arrays["patches/change"] / result.arrays["patches/scale"]
    assert change / scale == ratio.min()
    axes = result.figure(9).axes
    np.testing.assert_array_equal(axes[0].images[0].get_array(), x)
    across = len(axes) // 2
    np.testing.assert_array_equal(axes[across].images[0].get_array(), patched)


def test_figures_of_bars_have_the_tables_lengths(result):
    for figure, metric in ((4, "MCS"), (8, "IDR"), (10, "IIR"), (11, "IIRChange")):
        rows = result.table[(result.table["metric"] == metric) & np.isfinite(result.table["value"])]
        ax = result.figure(figure).axes[0]
        drawn = [bar.get_width() for bar in ax.patches]
        order = sorted(rows["value"], reverse=figure != 11)
        np.testing.assert_allclose(drawn, order)
    for figure in (2, 3, 7, 12, 16):
        assert result.figure(figure).axes
    with pytest.raises(AttribevalError, match=r"paper of 'bam': 2, 3, .*16. Received: '1'"):
        result.figure(1)
    bare = Result("bam", result.table, result.settings)
    for figure, said in ((5, "maps over k"), (9, "maps of a patch")):
        with pytest.raises(AttribevalError, match=said):
            bare.figure(figure)


def test_the_papers_protocol_is_its_optimiser_as_well(data, run_dir, result, monkeypatch):
    from attribeval.benchmarks.bam import gather

    asked = []
    find = gather.insignificant_patches

    def listen(*given, **options):
        asked.append(options)
        return find(*given, **options)

    monkeypatch.setattr(gather, "insignificant_patches", listen)
    few = {"images": 4, "robust_images": 0, "patch_images": 4, "series_images": 2, "random_sets": 2, "slow_images": 1}
    for protocol in ("fixed", "paper"):
        run_bam(data, ["gradient"], run_dir=run_dir, net=NET, ks=KS, protocol=protocol, progress=False, **few)
    fixed, paper = ({key: value for key, value in one.items() if key != "bounds"} for one in asked)
    assert fixed == {} and paper == {"optimiser": "descent", "rate": 500.0, "eta1": 0.01}
