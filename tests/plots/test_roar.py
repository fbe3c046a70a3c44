"""Pictures and tables of a ROAR result: what is drawn and written is read back and compared with the records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.roar import FRACTIONS, LOSSES, cell, synthetic
from matplotlib.colors import to_hex

from attribeval import plots
from attribeval.benchmarks.roar.summary import summarise
from attribeval.benchmarks.roar.view import areas, curves
from attribeval.benchmarks.roar.view.areas import plot_areas
from attribeval.benchmarks.roar.view.curves import plot_without_retraining
from attribeval.benchmarks.roar.view.tables import roar_text, wide_table
from attribeval.errors import AttribevalError
from attribeval.report.page import write_report
from attribeval.results.result import Result


@pytest.fixture(scope="module")
def answer() -> Result:
    return summarise(
        synthetic(), {"seed": 0, "cost": {"cells": 148, "seconds": 5400.0, "maps_seconds": 30.0, "hosts": ["a", "b"]}}
    )


def paper_like() -> Result:
    """Twelve methods of three families, and two by themselves."""
    records = [r for r in synthetic(repeats=3, modes=("remove",)) if r["kind"] != "method"]
    names = [f"{wrapper}{base}" for base in ("GRAD", "IG", "GB") for wrapper in ("", "SG-", "SG-SQ-", "VAR-")]
    for place, name in enumerate([*names, "lime", "gradcam"]):
        for fraction in FRACTIONS:
            records += [cell("method", name, "remove", fraction, r, 0.7 - place / 50 + r / 99) for r in range(3)]
    return summarise(records, {})


def line(ax, label: str):
    (found,) = [line for line in ax.get_lines() if line.get_label() == label]
    return found


def mean(name: str, mode: str, fraction: float, field: str = "accuracy") -> float:
    chosen = [r[field] for r in synthetic() if (r["estimator"], r["mode"], r["fraction"]) == (name, mode, fraction)]
    return float(np.mean(chosen))


def test_curves_are_the_means_with_their_intervals(answer):
    figure = answer.plot()
    keep, remove = figure.axes
    assert "kept: higher" in keep.get_title(loc="left") and "removed: lower" in remove.get_title(loc="left")
    for ax, mode in ((keep, "keep"), (remove, "remove")):
        for name in LOSSES:
            drawn = line(ax, "Sobel" if name == "sobel" else name)
            np.testing.assert_allclose(drawn.get_xdata(), FRACTIONS)
            np.testing.assert_allclose(drawn.get_ydata(), [mean(name, mode, f) for f in FRACTIONS])
        assert len(ax.collections) == len(LOSSES)  # a band each
    rows = answer.table[(answer.table["method"] == "random") & (answer.table["mode"] == "keep")]
    rows = rows[rows["metric"] == "accuracy"]
    corners = keep.collections[0].get_paths()[0].vertices
    assert {round(y, 9) for y in corners[:, 1]} == {round(y, 9) for y in [*rows["low"], *rows["high"]]}
    star = line(remove, "unmodified")
    assert star.get_xdata() == [0] and star.get_ydata() == pytest.approx(
        np.mean([r["accuracy"] for r in synthetic() if r["kind"] == "unmodified"])
    )
    assert line(keep, "unmodified").get_xdata() == [1]


def test_lines_differ_without_colour(answer):
    remove = answer.plot().axes[1]
    lines = [drawn for drawn in remove.get_lines() if drawn.get_label() != "unmodified"]
    assert len({(drawn.get_linestyle(), str(drawn._dash_pattern), drawn.get_marker()) for drawn in lines}) == len(
        LOSSES
    )
    assert len({to_hex(drawn.get_color()) for drawn in lines}) == len(LOSSES)


def test_many_methods_make_a_panel_per_family_with_the_controls_in_each():
    figure = paper_like().plot()
    titles = [ax.get_title(loc="left").split(",")[0] for ax in figure.axes]
    assert sorted(titles) == ["GB", "GRAD", "IG", "other methods"]
    for ax, title in zip(figure.axes, titles, strict=True):
        labels = {drawn.get_label() for drawn in ax.get_lines()}
        assert {"random", "Sobel", "unmodified"} < labels
        if title == "other methods":
            assert {"lime", "gradcam"} < labels
        else:
            assert {title, f"SG-{title}", f"SG-SQ-{title}", f"VAR-{title}"} < labels and len(labels) == 7
    colours = [line(ax, f"VAR-{t}").get_color() for ax, t in zip(figure.axes, titles, strict=True) if t in "GRAD IG GB"]
    assert len(set(colours)) == 1


@pytest.mark.parametrize(
    ("name", "base"),
    [("SG-SQ-GRAD", "GRAD"), ("VAR-IG", "IG"), ("sq-GB", "GB"), ("max3(SG-GRAD)", "GRAD"), ("gradcam", "gradcam"),
     ("vargrad(squared(guided_backprop))", "guided_backprop"), ("SGD", "SGD")],
)  # fmt: skip
def test_base_of_a_method(name, base):
    assert curves.base_of(name) == base


def test_no_panel_is_crowded_and_no_method_is_lost():
    names = [f"m{i}" for i in range(15)] + [f"SG-m{i}" for i in range(2)] + [f"w{i}(m3)" for i in range(9)]
    panels = curves._panels(names)
    assert sorted(name for part in panels.values() for name in part) == sorted(names)
    assert max(map(len, panels.values())) <= 6 and len(panels) == 6


def test_areas_are_in_points_with_the_best_on_top(answer):
    _, remove = plot_areas(answer).axes
    rows = answer.table[(answer.table["metric"] == "area vs random") & (answer.table["mode"] == "remove")]
    rows = rows[rows["method"] != "random"]
    assert [label.get_text() for label in remove.get_yticklabels()] == list(rows["method"])
    assert remove.get_ylim()[0] > remove.get_ylim()[1]
    zero, *dots = remove.get_lines()
    assert list(zero.get_xdata()) == [0, 0]
    np.testing.assert_allclose([dot.get_xdata()[0] for dot in dots], rows["value"])
    ends = [segment[:, 0] for c in remove.collections for segment in c.get_segments()]
    np.testing.assert_allclose(ends, rows[["low", "high"]])
    filled = {name: dot.get_markerfacecolor() != "white" for name, dot in zip(rows["method"], dots, strict=True)}
    assert filled == {name: name != "LIKE" for name in rows["method"]}
    assert areas._signed_points(-0.125, 0) == "−12.5" and areas._signed_points(0.0, 0) == "0"


def test_without_retraining_beside_retrained(answer):
    without, retrained = plot_without_retraining(answer).axes
    np.testing.assert_allclose(line(without, "random").get_ydata(), [0.9 - 0.8 * f for f in FRACTIONS])
    np.testing.assert_allclose(line(retrained, "BAD").get_ydata(), [mean("BAD", "remove", f) for f in FRACTIONS])
    assert line(without, "unmodified").get_ydata() == line(retrained, "unmodified").get_ydata()


def test_pictures_leave_out_what_is_not_known(answer):
    assert len(plots.more_pictures(answer)) == 2
    nothing = [r | {"without_retraining": None} for r in synthetic() if r["estimator"] != "random"]
    bare = summarise(nothing, {})
    assert plots.more_pictures(bare) == {}
    bare.plot()
    with pytest.raises(AttribevalError, match="was random trained"):
        plot_areas(bare)
    with pytest.raises(AttribevalError, match="without retraining"):
        plot_without_retraining(bare)
    with pytest.raises(AttribevalError, match="modes 'remove' or 'keep'"):
        summarise([cell("unmodified", "", "none", 0.0, 0, 0.9)], {}).plot()
    with pytest.raises(AttribevalError, match=r"without the columns \['fraction'"):
        plots.plot_result(Result("roar", pd.DataFrame({"method": ["a"], "kind": "method", "mode": "keep"})))


def test_one_repeat_is_drawn_without_bands_or_verdicts():
    figure = plot_areas(summarise(synthetic(repeats=1), {}))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["not tested"]


def test_wide_table_has_a_row_per_mode_and_method(answer):
    wide = wide_table(answer)
    assert list(wide["mode"]) == ["remove"] * 6 + ["keep"] * 6 and wide["method"].iloc[0] == "GOOD"
    assert list(wide.columns[5:10]) == ["verdict", "group", "30 %", "60 %", "90 %"]
    for row in wide.to_dict("records"):
        for fraction in FRACTIONS:
            assert row[f"{100 * fraction:g} %"] == pytest.approx(mean(row["method"], row["mode"], fraction))
    area = answer.table[(answer.table["method"] == "BAD") & (answer.table["metric"] == "area vs random")]
    mine = wide[wide["method"] == "BAD"]
    np.testing.assert_allclose(mine[["gain (points)", "low", "high"]], 100 * area[["value", "low", "high"]])


def test_wide_table_of_masks_and_of_what_failed():
    records = synthetic(modes=("remove",))
    records += [cell("leakage", "mask of BAD", "remove", 0.9, r, 0.3) for r in range(4)]
    records += [cell("method", "BROKEN", "remove", f, r, None) for f in FRACTIONS for r in range(4)]
    answer = summarise(records, {})
    wide = wide_table(answer).set_index("method")
    assert wide.loc["mask of BAD", "90 %"] == pytest.approx(0.3) and np.isnan(wide.loc["mask of BAD", "gain (points)"])
    lines = roar_text(answer).splitlines()
    (broken,) = [text for text in lines if text.startswith("BROKEN")]
    assert broken.split() == ["BROKEN", "–", "–", "–", "not", "measured", "0", "–", "–", "–"]
    (mask,) = [text for text in lines if text.startswith("mask of")]
    assert mask.split()[-2:] == ["30.0", "%"]


def test_terminal_table_says_the_numbers(answer):
    lines = roar_text(answer).splitlines()
    assert lines[0].startswith("Unmodified images: 9")
    (good, _) = [text for text in lines if text.startswith("GOOD")]
    area = answer.table[answer.table["method"] == "GOOD"].iloc[0]
    assert good.split()[1:5] == [f"{100 * area[name]:+.1f}" for name in ("value", "low")] + [
        "to",
        f"{100 * area['high']:+.1f}",
    ]
    assert good.endswith("  ".join(f"{100 * mean('GOOD', 'remove', f):.1f} %" for f in FRACTIONS))
    assert "< 0.001" in good and "better than chance" in good and " a " in good
    chance = [text for text in lines if text.startswith("random")]
    assert len(chance) == 2 and all("(this is chance)" in text for text in chance)
    assert "95 % interval" in lines[4]


def test_terminal_table_is_the_same_from_disk(answer, tmp_path):
    assert roar_text(Result.load(answer.save(tmp_path))) == roar_text(answer)


def test_page_shows_percentages_words_and_the_bill(answer, tmp_path):
    page = write_report(tmp_path / "r.html", [answer], pictures=plots.more_pictures(answer)).read_text()
    assert '<h2 id="result-1-heading">Remove or keep, and retrain (ROAR, KAR)</h2>' in page
    assert f">{100 * mean('GOOD', 'remove', 0.9):.1f} %</td>" in page
    assert "Holm)</th>" in page and ">better than chance</td>" in page
    assert "cells: 148; in total: 1.5 h; maps: 30.0 s; hosts: a, b." in page
    assert page.count("<figure>") == 3 and "Plot of roar, area vs random: GOOD (remove) 0." in page
    assert "<dt>cost" not in page
