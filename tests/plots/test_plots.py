"""Pictures: what is drawn is read back from the figure and compared with numbers worked out here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage.color import rgb2lab

from attribeval import plots
from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.results.result import Result

N, H, W = 3, 12, 16


def attributions(values, targets=(1, 0, 2), **about) -> Attributions:
    return Attributions(values=np.asarray(values, np.float32), targets=np.array(targets), method="m", **about)


@pytest.fixture
def signed() -> Attributions:
    values = np.random.default_rng(0).normal(size=(N, H, W, 3))
    return attributions(values, class_names=["cat", "dog", "$x_^ {$ bad\\tex"])


@pytest.fixture
def unsigned() -> Attributions:
    return attributions(np.random.default_rng(1).random((N, H, W, 1)))


@pytest.fixture
def photographs() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (N, H, W, 3), dtype=np.uint8)


def panels(figure: Figure) -> list:
    """Axes of the pictures, line by line, without the strip below."""
    return figure.subfigs[0].axes


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def pixel_at(figure: Figure, ax, x: float, y: float) -> np.ndarray:
    """The drawn colour at a point in data coordinates."""
    image = pixels(figure)
    column, row = ax.transData.transform((x, y))
    return image[image.shape[0] - 1 - int(row), int(column)]


def boxes_of(ax) -> list[list[float]]:
    found = [p for p in ax.patches if isinstance(p, Rectangle)]
    return [[p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height()] for p in found]


def slow_heat(values: np.ndarray, percentile: float) -> np.ndarray:
    """Σ over channels, cut at the percentile of |·| (linear between order statistics), divided by that."""
    heat = np.array([[sum(float(channel) for channel in pixel) for pixel in row] for row in values])
    ordered = sorted(abs(v) for v in heat.ravel())
    place = percentile / 100 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    limit = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return np.array([[max(-limit, min(limit, v)) / limit for v in row] for row in heat])


# -- overlays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [99, 90, 100])
def test_overlays_draw_the_clipped_normalised_channel_sum(signed, unsigned, photographs, clip):
    figure = plots.overlays(photographs, {"a": signed, "b": unsigned}, clip=clip)
    axes = panels(figure)
    assert len(axes) == 3 * N
    for i in range(N):
        for k, maps in enumerate((signed, unsigned)):
            drawn = axes[3 * i + 1 + k].images[-1].get_array()
            values = maps.values[i] - (maps.values[i].min() if maps is unsigned else 0)
            np.testing.assert_allclose(drawn, slow_heat(values, clip), rtol=2e-5, atol=1e-6)


def test_without_clip_the_largest_value_is_one(signed):
    drawn = [ax.images[-1].get_array() for ax in panels(plots.overlays(None, {"a": signed}, clip=None))]
    for i in range(N):
        np.testing.assert_allclose(drawn[i], slow_heat(signed.values[i], 100), rtol=2e-5, atol=1e-6)


def test_signed_maps_are_centred_on_zero_and_unsigned_ones_start_there(signed, unsigned, photographs):
    axes = panels(plots.overlays(photographs, {"a": signed, "b": unsigned}))
    diverging, sequential = axes[1].images[-1], axes[2].images[-1]
    assert diverging.norm.vmin == -diverging.norm.vmax == -1
    assert (sequential.norm.vmin, sequential.norm.vmax) == (0, 1)
    for image in (diverging, sequential):
        assert image.cmap(image.norm(0.0))[3] == 0  # no evidence: the photograph alone
    strongest = np.array([diverging.cmap(diverging.norm(v)) for v in (-1.0, 1.0)])
    np.testing.assert_allclose(strongest[:, 3], 0.95)
    assert strongest[0, 2] > strongest[0, 0] and strongest[1, 0] > strongest[1, 2]  # blue against, yellow for


def test_the_sign_is_judged_after_the_channel_sum():
    values = np.zeros((1, 4, 4, 2))
    values[..., 0], values[..., 1] = 3, -1  # negative channel, positive sum
    maps = attributions(values, targets=[0])
    assert panels(plots.overlays(None, {"a": maps}))[0].images[-1].norm.vmin == 0
    values[0, 0, 0] = [1, -2]
    maps = attributions(values, targets=[0])
    assert panels(plots.overlays(None, {"a": maps}))[0].images[-1].norm.vmin == -1
    ax = panels(plots.overlays(None, {"a": maps}, reduce="abs_sum", clip=None))[0]
    assert ax.images[-1].norm.vmin == 0
    assert not ax.images[-1].get_array()[0, 0] and np.all(ax.images[-1].get_array()[1:] == 1)  # 3 of 3 to 4


def test_an_offset_does_not_hide_the_contrast():
    """5 + v and v are drawn alike if they have no sign; RISE's, whose sign means nothing, also below zero."""
    values = np.random.default_rng(4).random((1, H, W, 1))
    plain, lifted = (attributions(values + offset, targets=[0]) for offset in (0, 5))
    rise = replace(attributions(values - 5, targets=[0]), method="rise")
    signed = attributions(values - 5, targets=[0])
    axes = panels(plots.overlays(None, {"plain": plain, "lifted": lifted, "rise": rise, "signed": signed}))
    drawn = [ax.images[-1].get_array() for ax in axes[:4]]
    for heat in drawn[:3]:
        np.testing.assert_allclose(heat, slow_heat(values[0] - values.min(), 99), atol=1e-5)
    assert drawn[3].max() < 0 and axes[3].images[-1].norm.vmin == -1  # of any other method, all speaks against
    assert "begins at its own minimum" in " ".join(" ".join(texts(plots.overlays(None, {"plain": plain}))).split())
    flat = panels(plots.overlays(None, {"a": attributions(np.full((1, 4, 4, 1), 7.0), targets=[0])}))[0]
    assert not flat.images[-1].get_array().any()  # the same everywhere points nowhere


def test_small_maps_of_the_cascade_have_no_offset():
    values = np.random.default_rng(5).random((H, W, 1))
    from attribeval.benchmarks.sanity.explaining import small_map

    expected = np.round(255 * slow_heat(values - values.min(), 99))
    assert np.abs(small_map(values + 9).astype(int) - expected).max() <= 1


def lightness(colours) -> np.ndarray:
    return rgb2lab(np.asarray(colours, np.float64)[None])[0, :, 0]


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_lightness_alone_tells_the_evidence(grey, signed, unsigned):
    """CIELAB L* of the map over the darkest, middle and lightest photograph."""
    photograph = np.full((N, H, W, 3), 255 * grey, np.uint8)
    axes = panels(plots.overlays(photograph, {"a": signed, "b": unsigned}))

    def seen(ax, strength):
        under, image = ax.images
        rgba = image.cmap(image.norm(strength))
        return lightness(rgba[:, :3] * rgba[:, 3:] + under.get_array()[0, 0] * (1 - rgba[:, 3:]))

    strength = np.linspace(0, 1, 257)
    for ax, sign, contrast in [(axes[2], 1, 40), (axes[1], 1, 25), (axes[1], -1, 25)]:
        light = sign * seen(ax, sign * strength)
        assert (np.maximum.accumulate(light) - light).max() < 1, "lightness turns back by a noticeable step"
        assert light[-1] - light[0] > contrast


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda u: u, lambda u: u / 255),
        (lambda u: u.astype(np.float32), lambda u: u / 255),
        (lambda u: (u / 255).astype(np.float32), lambda u: u / 255),
        (lambda u: u[..., :1], lambda u: np.repeat(u[..., :1], 3, -1) / 255),
        (lambda u: u[..., 0], lambda u: np.repeat(u[..., :1], 3, -1) / 255),
        (
            lambda u: u - 120.5,  # preprocessed: each image from its own minimum to its maximum
            lambda u: np.stack([(i - i.min()) / (i.max() - i.min()) for i in u.astype(np.float64)]),
        ),
    ],
    ids=["uint8", "float 0..255", "float 0..1", "one channel", "no channel", "outside"],
)
def test_photographs_are_shown_in_their_range(make, expected, photographs, unsigned):
    photographs[1] //= 3  # so that images differ in range
    images = make(photographs)
    before = images.copy()
    axes = panels(plots.overlays(images, {"b": unsigned}))
    for i in range(N):
        np.testing.assert_allclose(axes[2 * i].images[0].get_array(), expected(photographs)[i], atol=1e-6)
    np.testing.assert_array_equal(images, before)


def test_the_photograph_beneath_is_dim_grey(photographs, unsigned):
    under = panels(plots.overlays(photographs, {"b": unsigned}))[1].images[0].get_array()
    luma = sum(w * photographs[0, ..., c] / 255 for c, w in enumerate((0.299, 0.587, 0.114)))
    np.testing.assert_allclose(under, np.repeat(0.34 * luma[..., None], 3, -1), atol=1e-9)


def test_boxes_are_drawn_at_their_edges(photographs, unsigned):
    boxes = [np.array([[3, 5, 4, 6], [0, 0, W, H]]), np.zeros((0, 4)), np.array([[1.5, 2.25, 9.75, 11]])]
    axes = panels(plots.overlays(photographs, {"b": unsigned}, boxes=boxes))
    for i in range(N):
        for ax in axes[2 * i : 2 * i + 2]:
            assert boxes_of(ax) == boxes[i].tolist()
            for image in ax.images:  # so that (3, 5, 4, 6) frames the pixel of column 3 and row 5
                assert list(image.get_extent()) == [0, W, H, 0]


def test_drawn_pixels_lie_where_the_boxes_think_they_are():
    values = np.zeros((1, H, W, 1))
    values[0, 5, 3] = 1
    figure = plots.overlays(None, {"b": attributions(values, targets=[0])}, clip=None)
    ax = panels(figure)[0]
    hot = to_rgb(ax.images[-1].cmap(1.0)[:3])
    np.testing.assert_allclose(pixel_at(figure, ax, 3.5, 5.5), 0.95 * np.array(hot), atol=0.02)
    for x, y in [(2.5, 5.5), (4.5, 5.5), (3.5, 4.5), (3.5, 6.5)]:
        np.testing.assert_allclose(pixel_at(figure, ax, x, y), 0, atol=0.02)


def test_rows_tell_the_class_and_columns_the_method(signed, photographs):
    figure = plots.overlays(photographs, {"grad": signed, "$_^{$": signed})
    pixels(figure)  # a name that is bad TeX must not break the drawing
    assert {"image", "grad", "$_^{$", "dog", "cat", "$x_^ {$ bad\\tex"} <= set(texts(figure))
    assert {"one", "two", "three"} <= set(texts(plots.overlays(None, {"g": signed}, titles=["one", "two", "three"])))


def test_row_labels_of_two_lines_do_not_push_rows_apart():
    square = attributions(np.random.default_rng(0).normal(size=(3, 48, 48, 1)))
    long = "pneumonia_of_the_left_upper_lobe_000\nexplained: pneumonia"
    figure = plots.overlays(None, {"gradient": square}, titles=[long, long, "one"])
    assert "pneumonia_of_the_left_…\nexplained: pneumonia" in texts(figure)
    figure.draw_without_rendering()
    first, second, third = (ax.get_window_extent().y0 for ax in panels(figure))
    assert first - second == pytest.approx(second - third, rel=0.02)


def test_different_targets_are_written_below_each_map(signed, unsigned):
    other = attributions(unsigned.values, targets=(0, 0, 2), class_names=signed.class_names)
    axes = panels(plots.overlays(None, {"a": signed, "b": other}))
    assert [[t.get_text() for t in ax.texts] for ax in axes[:2]] == [["dog", "image 0"], ["cat"]]
    assert [[t.get_text() for t in ax.texts] for ax in axes[2:4]] == [["cat"], []]


def test_class_without_a_name_is_numbered(unsigned):
    assert {"class 0", "class 1", "class 2"} <= set(texts(plots.overlays(None, {"b": unsigned})))


def test_only_the_first_images_are_drawn_and_the_figure_says_so(signed):
    figure = plots.overlays(None, {"a": signed}, max_images=2)
    assert len(panels(figure)) == 2
    assert "Shown: the first 2 of 3 images." in " ".join(texts(figure)).replace("\n", " ")
    assert "Shown" not in " ".join(texts(plots.overlays(None, {"a": signed})))


def test_many_methods_go_on_in_a_second_line(unsigned, photographs):
    figure = plots.overlays(photographs[:1], {f"m{k}": unsigned[:1] for k in range(8)})
    axes = panels(figure)
    assert len(axes) == 2 * 7
    assert [ax.get_title() for ax in axes] == ["image", *[f"m{k}" for k in range(6)], "", "m6", "m7", *[""] * 4]


def test_a_map_with_few_values_is_not_clipped_away():
    values = np.zeros((2, 20, 20, 1))
    values[0, 3, 4], values[0, 7, 7] = -4, 2  # 2 of 400 places: the 99th percentile is 0
    values[1] = 1
    figure = plots.overlays(None, {"a": attributions(values, targets=[0, 0])})
    drawn = panels(figure)[0].images[-1].get_array()
    assert (drawn[3, 4], drawn[7, 7], np.abs(drawn).sum()) == (-1, 0.5, 1.5)
    assert "Where that is 0" in " ".join(texts(figure)).replace("\n", " ")


def test_a_map_of_zeros_is_empty():
    ax = panels(plots.overlays(None, {"a": attributions(np.zeros((1, 4, 4, 1)), targets=[0])}))[0]
    assert (ax.images[-1].get_array() == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": {}}, "at least one method"),
        ({"maps": {"a": np.zeros((N, H, W, 1))}}, "dict of method name to Attributions.*ndarray for 'a'"),
        ({"images": np.zeros((N, H, W + 1, 3))}, "images of the maps' size"),
        ({"images": np.full((N, H, W, 3), np.nan)}, "finite images.*item 0"),
        ({"boxes": [np.zeros((0, 4))]}, "boxes for each of 3 images. Received: 1"),
        ({"boxes": [np.array([[0.1, 0.2, 0.5, 0.9]])] * N}, "relative ones.*boxes_at"),
        ({"boxes": [np.array([1, 2, 3])] * N}, r"boxes \(k, 4\).*item 0"),
        ({"titles": ["one"]}, "one title per image"),
        ({"max_images": 0}, "max_images to be an int of 1 or more"),
        ({"clip": 0}, "percentile"),
        ({"reduce": "mean"}, "reduce"),
    ],
)
def test_overlays_name_what_is_wrong(change, message, unsigned, photographs):
    options = {"images": photographs, "maps": {"a": unsigned}} | change
    with pytest.raises(AttribevalError, match=message):
        plots.overlays(options.pop("images"), options.pop("maps"), **options)


def test_maps_must_agree_and_be_finite(unsigned):
    with pytest.raises(AttribevalError, match="of 'b'"):
        plots.overlays(None, {"a": unsigned, "b": unsigned[:2]})
    broken = unsigned.values.copy()
    broken[2, 0, 0] = np.inf
    with pytest.raises(AttribevalError, match=r"maps of 'c'.*item 2"):
        plots.overlays(None, {"c": attributions(broken)})


def test_attributions_plot_themselves(unsigned, photographs):
    figure = unsigned.plot(photographs, titles=["x", "y", "z"])
    assert isinstance(figure, Figure) and {"m", "x", "y", "z"} <= set(texts(figure))


def test_neither_pyplot_nor_a_backend_nor_tensorflow_is_touched(tmp_path):
    code = (
        "import sys, matplotlib, numpy as np\n"
        "before = matplotlib.rcParams.copy()\n"  # reading rcParams["backend"] itself would import pyplot
        "from attribeval import plots\nfrom attribeval.attributions import Attributions\n"
        "maps = Attributions(values=np.ones((1, 8, 8, 1), 'f'), targets=np.array([0]), method='m')\n"
        "plots.overlays(None, {'m': maps}).savefig(sys.argv[1])\n"
        "print(sorted({'matplotlib.pyplot', 'tensorflow'} & set(sys.modules)), matplotlib.rcParams.copy() == before)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "figure.png")]
    done = subprocess.run(command, cwd=Path(plots.__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[] True", done.stderr


# -- boxes -------------------------------------------------------------------------------------------------------------


def test_box_overlays_draw_both_boxes_and_the_iou(photographs):
    heatmaps = np.random.default_rng(3).normal(size=(N, H, W))
    predicted = [np.array([2, 2, 8, 6]), np.array([[0, 0, 4, 4]]), np.zeros(4)]
    truth = [np.array([[4, 2, 10, 6], [0, 8, 2, 10]]), np.array([[0, 0, 4, 4]]), np.array([[1, 1, 5, 5]])]
    before = heatmaps.copy()
    figure = plots.box_overlays(photographs, heatmaps, predicted, truth, ["a", "b", "$_^{$"])
    pixels(figure)
    axes = panels(figure)
    for i in range(N):
        # Truth first, the prediction over it; shared 4 × 4 = 16 of 24 + 24 − 16 = 32 pixels for the first image.
        expected = [*truth[i].tolist(), *([predicted[i].ravel().tolist()] if i < 2 else [])]
        for ax in (axes[i], axes[N + i]):
            assert boxes_of(ax) == expected
            orders = [patch.get_zorder() for patch in ax.patches]
            assert i == 2 or orders[-1] > max(orders[:-1])
        low, high = heatmaps[i].min(), heatmaps[i].max()
        np.testing.assert_allclose(axes[N + i].images[-1].get_array(), (heatmaps[i] - low) / (high - low))
        np.testing.assert_allclose(axes[i].images[0].get_array(), photographs[i] / 255)
    captions = [axes[N + i].texts[0].get_text() for i in range(N)]
    assert captions == ["a\nIoU 0.50", "b\nIoU 1.00", "$_^{$\nno box found"]
    assert {"true box", "predicted box"} <= set(texts(figure))
    np.testing.assert_array_equal(heatmaps, before)


def test_predicted_and_true_boxes_differ_without_colour(photographs):
    ax = panels(plots.box_overlays(photographs[:1], np.eye(H, W)[None], [[0, 0, 4, 4]], [[[1, 1, 5, 5]]], ["a"]))[0]
    truth, predicted = ax.patches
    assert truth.get_linestyle() != predicted.get_linestyle()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heatmaps": np.zeros((1, H, W, 3))}, "heatmaps of shape"),
        ({"heatmaps": np.full((1, H, W), np.nan)}, "finite heatmaps.*item 0"),
        ({"predicted": []}, "one predicted box per heatmap"),
        ({"predicted": [np.zeros((2, 4))]}, "one predicted box.*item 0"),
        ({"ground_truth": [np.zeros((0, 4))]}, "at least one ground-truth box"),
        ({"captions": ["a", "b"]}, "one caption per heatmap"),
    ],
)
def test_box_overlays_name_what_is_wrong(change, message, photographs):
    options = {
        "images": photographs[:1], "heatmaps": np.eye(H, W)[None], "predicted": [[0, 0, 4, 4]],
        "ground_truth": [[[1, 1, 5, 5]]], "captions": ["a"],
    } | change  # fmt: skip
    with pytest.raises(AttribevalError, match=message):
        plots.box_overlays(**options)


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def wsol() -> Result:
    table = pd.DataFrame(
        {
            "method": ["random", "gradcam", "center box", "$bad_{$tex", "whole image"],
            "kind": ["control", "method", "baseline", "method", "baseline"],
            "metric": "MaxBoxAcc",
            "value": [0.25, 0.625, 0.5, 0.375, 0.3],
            "low": [0.2, 0.55, 0.45, 0.3125, np.nan],
            "high": [0.32, 0.7, 0.55, 0.45, np.nan],
        }
    )
    levels = np.arange(256)
    curves = {
        "gradcam/curve": 0.625 * (1 - np.abs(levels - 100) / 255),
        "random/curve": 0.25 * (1 - levels / 255),
        "$bad_{$tex/curve": 0.375 * levels / 255,
        "gradcam/hits": np.zeros((4, 256)),
    }
    return Result("wsol", table, arrays=curves)


def test_bars_are_the_values_best_on_top(wsol):
    figure = plots.plot_result(wsol)
    pixels(figure)
    ax = figure.axes[0]
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["gradcam", "center box", "$bad_{$tex", "whole image", "random"]
    bars = [container[0] for container in ax.containers]
    assert [bar.get_width() for bar in bars] == [0.625, 0.5, 0.375, 0.3, 0.25]
    assert [bar.get_x() for bar in bars] == [0] * 5
    places = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    np.testing.assert_allclose(places, range(5), atol=1e-12)
    bottom, top = ax.get_ylim()
    assert bottom > top  # place 0, the best, is on top
    written = [t.get_text() for t in ax.texts]
    assert written == ["62.5 %", "50.0 %", "37.5 %", "30.0 %", "25.0 %"]
    # Kinds differ in hatch and in colour.
    assert [bar.get_hatch() for bar in bars] == ["", "////", "", "////", "...."]
    assert len({bar.get_facecolor() for bar in bars}) == 3


def test_error_bars_are_the_intervals(wsol):
    ax = plots.plot_result(wsol).axes[0]
    lines = [np.array(s) for c in ax.collections if isinstance(c, LineCollection) for s in c.get_segments()]
    horizontal = [s.tolist() for s in lines if s[0, 1] == s[1, 1]]
    expected = [(0, 0.55, 0.7), (1, 0.45, 0.55), (2, 0.3125, 0.45), (4, 0.2, 0.32)]  # none for the one without interval
    assert horizontal == [[[low, place], [high, place]] for place, low, high in expected]
    best_baseline = [line for line in ax.lines if list(line.get_xdata()) == [0.5, 0.5]]
    assert len(best_baseline) == 1


def test_curves_are_the_arrays(wsol):
    figure = plots.plot_result(wsol)
    pixels(figure)
    ax = figure.axes[1]
    curves = [line for line in ax.lines if len(line.get_xdata()) == 256]
    np.testing.assert_array_equal(curves[0].get_ydata(), wsol.arrays["gradcam/curve"])
    np.testing.assert_array_equal(curves[1].get_ydata(), wsol.arrays["$bad_{$tex/curve"])
    np.testing.assert_array_equal(curves[2].get_ydata(), wsol.arrays["random/curve"])
    assert all(list(curve.get_xdata()) == list(range(256)) for curve in curves)
    assert len({str(curve._dash_pattern) for curve in curves}) == len({curve.get_color() for curve in curves}) == 3
    dots = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ax.lines if len(line.get_xdata()) == 1]
    assert dots == [(100, 0.625), (255, 0.375), (0, 0.25)]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["gradcam", "$bad_{$tex", "random"]


def test_without_curves_there_is_one_panel(wsol):
    wsol.arrays = {}
    assert len(plots.plot_result(wsol).axes) == 1
    assert len(wsol.plot().axes) == 1


def test_the_table_stays_as_it_was(wsol):
    before = wsol.table.copy()
    plots.plot_result(wsol)
    pd.testing.assert_frame_equal(wsol.table, before)


def test_many_curves_keep_the_best_apart(wsol):
    values = np.linspace(0.9, 0.2, 10)
    table = pd.DataFrame(
        {"method": [f"m{k}" for k in range(10)], "kind": "method", "metric": "MaxBoxAcc", "value": values}
    ).assign(low=values, high=values)
    arrays = {f"m{k}/curve": np.full(256, v) for k, v in enumerate(values)}
    ax = plots.plot_result(Result("wsol", table, arrays=arrays)).axes[1]
    assert len([line for line in ax.lines if len(line.get_xdata()) == 256]) == 10
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [*[f"m{k}" for k in range(7)], "3 more"]


def test_results_without_a_picture_say_so(wsol):
    with pytest.raises(AttribevalError, match=r"a study that has a picture.*'mine'.*result\.table"):
        plots.plot_result(Result("mine", wsol.table))
    with pytest.raises(AttribevalError, match=r"\['low'\]"):
        plots.plot_result(Result("wsol", wsol.table.drop(columns="low")))
    with pytest.raises(AttribevalError, match=r"a table of wsol\. Received one without rows"):
        plots.plot_result(Result("wsol", wsol.table.iloc[:0]))
    with pytest.raises(AttribevalError, match="'oracle'"):
        plots.plot_result(Result("wsol", wsol.table.assign(kind="oracle")))
    with pytest.raises(AttribevalError, match="gradcam/curve"):
        plots.plot_result(Result("wsol", wsol.table, arrays={"gradcam/curve": np.zeros(10)}))


def test_further_metrics_get_a_panel_in_the_order_of_the_bars(wsol):
    other = wsol.table.assign(metric="PxAP", value=[0.1, 0.2, 0.3, 0.4, np.nan], low=0.05, high=0.5)
    lower = wsol.table.assign(metric="SaliencyMetric", value=[1.0, -0.5, 0.0, 0.5, 2.0], low=-1.0, high=3.0)
    result = Result("wsol", pd.concat([wsol.table, other, lower], ignore_index=True), arrays=wsol.arrays)
    figure = plots.plot_result(result)
    pixels(figure)
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes if ax.axison}
    assert set(panels) >= {"MaxBoxAcc with its interval", "PxAP", "SaliencyMetric (lower is better)"}
    dots = [line.get_xydata()[0].tolist() for line in panels["PxAP"].lines]
    # Bars from the best: gradcam .2, center box .3, $bad .4, whole image unknown, random .1.
    assert dots == [[0.2, 0], [0.3, 1], [0.4, 2], [0.1, 4]]
    assert panels["PxAP"].get_ylim()[0] > panels["PxAP"].get_ylim()[1]


def test_a_result_without_maxboxacc_draws_its_first_metric(wsol):
    figure = plots.plot_result(Result("wsol", wsol.table.assign(metric="PxAP")))
    assert figure.axes[0].get_title(loc="left") == "PxAP with its interval"
    lower = wsol.table.assign(metric="SaliencyMetric", value=[1.0, -0.5, 0.0, 0.5, 2.0], low=-1.0, high=3.0)
    ax = plots.plot_result(Result("wsol", lower)).axes[0]
    assert ax.get_yticklabels()[0].get_text() == "gradcam"  # lowest first
    assert ax.texts[0].get_text() == "−0.500"


# -- gallery -----------------------------------------------------------------------------------------------------------


def test_gallery_has_a_row_per_method_and_a_column_per_image(signed, unsigned, photographs):
    truth = [np.array([[1, 1, 4, 3]])] * N
    figure = plots.gallery(photographs, {"a": signed, "b": unsigned}, boxes=truth)
    axes = np.array(panels(figure)).reshape(3, N + 1)
    for i in range(N):
        np.testing.assert_allclose(axes[0, i + 1].images[-1].get_array(), photographs[i] / 255, atol=1e-6)
        for row, maps in ((1, signed), (2, unsigned)):
            drawn = axes[row, i + 1].images[-1].get_array()
            values = maps.values[i] - (maps.values[i].min() if maps is unsigned else 0)
            np.testing.assert_allclose(drawn, slow_heat(values, 99), rtol=2e-5, atol=1e-6)
            assert boxes_of(axes[row, i + 1]) == [[1, 1, 4, 3]]
    assert axes[1, 1].images[-1].norm.vmin == -1 and axes[2, 1].images[-1].norm.vmin == 0
    assert [axes[row, 0].texts[0].get_text() for row in (1, 2)] == ["a", "b"]


def test_gallery_refuses_maps_of_different_images(signed, photographs):
    with pytest.raises(AttribevalError):
        plots.gallery(photographs, {"a": signed, "b": signed[:1]})
    with pytest.raises(AttribevalError):
        plots.gallery(photographs, {})
