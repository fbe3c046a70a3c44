"""The paper's figures from a finished run: the pictures hold what a sort of the maps and the table say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attribeval.benchmarks.roar.example import example_arrays, modified
from attribeval.benchmarks.roar.grid import Estimator, Grid
from attribeval.benchmarks.roar.ranks import levels, pack
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.toy import toy
from attribeval.cli import main
from attribeval.errors import AttribevalError
from attribeval.plots.results import figure_of
from attribeval.results.result import Result

FRACTIONS = (0.25, 0.5, 0.75)
NAMES = ("GRAD", "IG", "SQ-GRAD", "SG-GRAD", "SG-SQ-GRAD", "random")
SIDE, ITEM = 8, 2


def run_dir_with(path, per="value", fill="mean"):
    """Images and ranks of a run, and the maps that were ranked: nothing is trained."""
    draw = np.random.default_rng(0)
    run_dir = RunDir(path)
    images = {split: draw.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8) for split in ("train", "test")}
    for split, array in images.items():
        Records.create(path / "images", split, 4, array.shape[1:], np.uint8, 4).write_shard(0, array)
    maps = {name: draw.normal(size=(4, SIDE, SIDE, 3)).astype(np.float32) for name in NAMES}
    for name, of_it in maps.items():
        packed = pack(levels(of_it, FRACTIONS, np.zeros((4, 2), np.int32), per), len(FRACTIONS))
        Records.create(run_dir.ranks_folder(name), "test", 4, packed.shape[1:], np.uint8, 4).write_shard(0, packed)
    grid = Grid(
        data={}, model={}, recipe={}, explained="unmodified", preprocess=None, fractions=FRACTIONS, per=per, fill=fill,
        targets="predicted", seed=3, modes=("remove", "keep"), repeats=1, controls=(),
        estimators=tuple(Estimator(n, "control" if n == "random" else "method", "method", n) for n in NAMES),
    )  # fmt: skip
    return run_dir, grid, images, maps


def by_hand(image, importance, fraction, mode, fill):
    """The most important values replaced, one at a time, from a sorted list."""
    out = image.astype(np.float64).ravel()
    order = sorted(range(out.size), key=lambda i: -importance.ravel()[i])
    top = set(order[: int(fraction * out.size)])
    for i in range(out.size):
        if (i in top) == (mode == "remove"):
            out[i] = np.broadcast_to(fill, image.shape).ravel()[i]
    return out.reshape(image.shape)


def table(accuracies):
    rows = []
    for mode in ("remove", "keep"):
        for name in NAMES:
            for fraction in FRACTIONS:
                value = accuracies[mode, name, fraction]
                kind = "control" if name == "random" else "method"
                rows.append(
                    (name, kind, mode, "accuracy", fraction, value, value - 0.01, value + 0.01, "", value - 0.2)
                )
    rows.append(("unmodified", "unmodified", "none", "accuracy", 0.0, 0.9, 0.88, 0.92, "", 0.9))
    columns = ["method", "kind", "mode", "metric", "fraction", "value", "low", "high", "verdict", "without_retraining"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def made(tmp_path):
    draw = np.random.default_rng(1)
    run_dir, grid, images, maps = run_dir_with(tmp_path / "run")
    accuracies = {
        (mode, name, fraction): round(float(draw.random()) / 2 + 0.25, 3)
        for mode in ("remove", "keep") for name in NAMES for fraction in FRACTIONS
    }  # fmt: skip
    settings = grid.to_json()
    result = Result("roar", table(accuracies), settings, ["…"], example_arrays(run_dir, grid, ITEM))
    mean = images["train"].astype(np.float64).mean((0, 1, 2))
    return result, images["test"][ITEM], maps, mean, accuracies


def test_the_example_is_the_image_with_the_top_replaced(made, tmp_path):
    result, image, maps, mean, _ = made
    loaded = Result.load(result.save(tmp_path / "saved"))  # also after a file
    for name in NAMES:
        for fraction in FRACTIONS:
            for mode in ("remove", "keep"):
                wanted = by_hand(image, maps[name][ITEM], fraction, mode, mean)
                found = modified(loaded.arrays, loaded.settings, name, fraction, mode)
                np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("fill", [7.0, (1.0, 2.0, 3.0), "blur", "linear"])
def test_the_example_of_other_fills_is_what_is_trained_on(tmp_path, fill):
    from attribeval.benchmarks.roar.pipeline import MaskedImages
    from attribeval.benchmarks.roar.ranks import mask_rule

    run_dir, grid, *_ = run_dir_with(tmp_path, "pixel", fill)
    arrays = example_arrays(run_dir, grid, ITEM)
    for index, fraction in enumerate(FRACTIONS):
        images = MaskedImages(
            run_dir.images("test"), np.zeros(4, int), Records.open(run_dir.ranks_folder("IG"), "test"),
            rule=mask_rule(len(FRACTIONS), index, "remove"), per="pixel", fill=fill,
            channel_mean=run_dir.channel_mean(),
        )  # fmt: skip
        wanted = next(iter(images.batches(4, training=False)))[0].numpy()[ITEM]
        found = modified(arrays, grid.to_json(), "IG", fraction, "remove")
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def panels(figure):
    """Title and pixels of every picture in a figure."""
    return {(ax.get_title(), ax.get_ylabel()): ax.images[0].get_array() for ax in figure.axes if ax.images}


def test_figure_1_shows_each_estimators_image_with_its_accuracy(made):
    result, image, maps, mean, accuracies = made
    found = result.figure(1)
    names = ["GRAD", "IG", "random"]  # of the paper's eight those that were run
    axes = found.axes
    assert len(axes) == len(names) * len(FRACTIONS)
    for r, fraction in enumerate(FRACTIONS):
        for c, name in enumerate(names):
            ax = axes[r * len(names) + c]
            assert ax.get_title().endswith(f"{100 * accuracies['remove', name, fraction]:.1f} %")
            wanted = by_hand(image, maps[name][ITEM], fraction, "remove", mean) / 255
            np.testing.assert_allclose(ax.images[0].get_array(), wanted, atol=1e-5)
        assert axes[r * len(names)].get_ylabel() == f"{100 * fraction:g} % removed"
    assert [axes[c].get_title().split("\n")[0] for c in range(len(names))] == names


def test_figures_7_and_8_show_every_estimator_kept_and_removed(made):
    result, image, maps, mean, accuracies = made
    for number in ("7", "8"):
        axes = result.figure(number).axes
        across = 1 + 2 * len(FRACTIONS)
        assert len(axes) == len(NAMES) * across
        np.testing.assert_allclose(axes[0].images[0].get_array(), image / 255)
        assert axes[0].get_title() == "unmodified\n90.0 %"
        for r, name in enumerate(NAMES):
            for c, (mode, fraction) in enumerate([(m, t) for m in ("keep", "remove") for t in FRACTIONS]):
                ax = axes[r * across + 1 + c]
                assert ax.get_title().endswith(f"{100 * accuracies[mode, name, fraction]:.1f} %")
                wanted = by_hand(image, maps[name][ITEM], fraction, mode, mean) / 255
                np.testing.assert_allclose(ax.images[0].get_array(), wanted, atol=1e-5)


def curves(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}


def test_figures_3_4_and_6_group_estimators_as_the_paper_does(made):
    result, *_, accuracies = made
    for number, groups in (
        ("3", [["GRAD", "IG"], ["GRAD", "IG"]]),
        ("4", [["GRAD", "IG"], ["SG-GRAD"], ["SG-SQ-GRAD"]]),
        ("6", [["GRAD", "IG"], ["SQ-GRAD"]]),
    ):
        axes = result.figure(number).axes
        assert len(axes) == len(groups)
        for place, (ax, names) in enumerate(zip(axes, groups, strict=True)):
            drawn = curves(ax)
            assert set(drawn) == {*names, "random", "unmodified"}
            for name in (*names, "random"):
                less = 0.2 if number == "3" and place == 0 else 0.0
                wanted = [(t, accuracies["remove", name, t] - less) for t in FRACTIONS]
                np.testing.assert_allclose(drawn[name], wanted)


def test_figure_2_is_the_toy(made):
    axes = made[0].figure(2).axes
    expected = toy(seed=3)
    for ax, retrained in zip(axes, (False, True), strict=True):
        drawn = curves(ax)
        for label, ranking in (("the right ranking", "true"), ("random", "random"), ("the worst ranking", "inverse")):
            rows = expected[(expected["ranking"] == ranking) & (expected["retrained"] == retrained)]
            np.testing.assert_allclose(drawn[label], rows[["fraction", "accuracy"]].to_numpy())


def test_what_a_figure_lacks_is_said(made):
    result = made[0]
    alone = Result("roar", result.table[result.table["method"].isin(["GRAD", "random"])], result.settings)
    with pytest.raises(AttribevalError, match=r"at least two of these for figure 4: base estimators .* Received: GRAD"):
        alone.figure(4)
    with pytest.raises(AttribevalError, match="example image, as attribeval roar report makes it"):
        alone.figure(1)
    with pytest.raises(AttribevalError, match=r"paper of 'roar': 1, 2, 3, 4, 5, 6, 7, 8. Received: '9'"):
        figure_of(result, "9")
    keep = Result("roar", result.table[result.table["mode"] == "keep"], result.settings, [], result.arrays)
    with pytest.raises(AttribevalError, match=r"accuracies of mode 'remove'"):
        keep.figure(1)


def test_a_line_of_one_fraction_has_a_mark(made):
    result = made[0]
    one = result.table[(result.table["fraction"] == 0.5) | (result.table["kind"] == "unmodified")]
    figure = Result("roar", one, result.settings).plot()
    lines = [line for ax in figure.axes for line in ax.lines if line.get_label() in ("random", "GRAD")]
    assert lines and all(len(line.get_xdata()) == 1 and line.get_marker() not in ("", "None") for line in lines)


def test_the_command_writes_one_figure(made, tmp_path, monkeypatch, capsys):
    result = made[0]
    folder = result.save(tmp_path / "report")
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(folder), "--figure", "4"]) == 0
    assert (tmp_path / "figure_4.png").read_bytes().startswith(b"\x89PNG") and "figure_4.png" in capsys.readouterr().out
    assert main(["report", str(folder), "--figure", "9", "-o", "x.png"]) == 2
    assert not (tmp_path / "x.png").exists()


def test_no_such_test_image(tmp_path):
    run_dir, grid, *_ = run_dir_with(tmp_path)
    with pytest.raises(AttribevalError, match=r"number of a test image, 0 to 3. Received: 4"):
        example_arrays(run_dir, grid, 4)
