"""What a notebook shows: the facts, read back from the HTML; pictures that are pictures; data that break nothing."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import attribeval
from attribeval import Attributer, Attributions, Evaluator, Result, datasets, plots
from attribeval.methods.registry import METHODS
from attribeval.plots import strip

HOSTILE = "<script>alert('&')</script>"


class Reader(HTMLParser):
    """Cells, list items and pictures of a piece of HTML; an element that is not closed is an error."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.cells, self.items, self.pictures, self.tags = [], [], [], [], set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            data = dict(attrs)["src"].removeprefix("data:image/png;base64,")
            self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data))))
        elif tag != "br":
            self.open.append(tag)
            if tag in ("td", "th"):
                self.cells.append("")
            if tag == "li":
                self.items.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        if self.open and self.open[-1] == "li":
            self.items[-1] += data

    @property
    def facts(self) -> dict[str, str]:
        return dict(zip(self.cells[::2], self.cells[1::2], strict=False))


@pytest.fixture
def attributer(small_model):
    return Attributer(small_model, preprocess="torch", class_names=[HOSTILE, *"abcdef"])


def test_an_attributer_says_what_it_explains(attributer, small_model):
    read = Reader(attributer._repr_html_())
    assert "script" not in read.tags
    assert read.facts == {
        "input": "32 × 32 × 3", "classes": f"7: {HOSTILE}, a, b, c, d, e, f", "task": "multiclass, softmax",
        "explained": "the logit", "target layer": "conv2", "preprocessing": "torch", "precision": "float32",
    }  # fmt: skip
    bare = Reader(Attributer(small_model, score="output")._repr_html_()).facts
    assert bare["classes"] == "7, without names" and bare["explained"] == "the model's output"
    assert bare["preprocessing"] == "none: images are the model's input"
    assert Reader(Attributer(small_model, preprocess=np.negative)._repr_html_()).facts["preprocessing"] == "negative"
    logits = keras.Model(small_model.inputs, keras.layers.Dense(2)(small_model.layers[-2].output))
    assert Reader(Attributer(logits)._repr_html_()).facts["task"].startswith("multiclass, logits")


def test_maps_are_a_strip_of_the_first(attributer, images):
    maps = attributer.explain(images, "gradcam", progress=False)
    html = maps._repr_html_()
    read = Reader(html)
    assert read.facts["maps"].startswith("(9, 32, 32, 1)") and read.facts["model"] == "small"
    assert "the first 8 of 9" in html and "the first" not in maps[:8]._repr_html_()
    drawn = io.BytesIO()
    strip(images, maps, max_images=8).savefig(drawn, format="png", dpi=90)
    (picture,) = read.pictures
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(Image.open(drawn)))
    gap = attributer.explain(images[:2], "integrated_gradients", steps=3, progress=False)
    assert f"{np.abs(gap.completeness_gap).max():.3g}" in Reader(gap._repr_html_()).facts["completeness gap"]


def test_a_result_is_its_verdict_its_chart_and_the_head_of_its_table(attributer, images):
    samples = datasets.Samples(images, np.arange(9) % 7, boxes=[[[0.1, 0.1, 0.6, 0.7]]] * 9)
    result = Evaluator(attributer, samples).wsol(["gradcam"], held_out=2, progress=False)
    read = Reader(result._repr_html_())
    assert read.items == result.summary[:4]
    assert len(read.pictures) == 1 and read.pictures[0].size[0] > 300
    header = read.cells[:8]
    assert header[:2] == ["method", "MaxBoxAcc"]
    first = result.table[(result.table["method"] == "gradcam") & (result.table["metric"] == "MaxBoxAcc")].iloc[0]
    row = read.cells[8:][read.cells[8:].index("gradcam") :]
    assert row[1].startswith(f"{100 * first['value']:.1f} %")
    text = repr(result)
    assert text.splitlines()[1] == result.summary[0] and len(text.splitlines()) == 2
    counts = [f"{result.table[name].nunique()} {name}s" for name in ("method", "metric")]
    assert text.startswith(f"Result('wsol': {', '.join(counts)}, {len(result.table)} rows)")


def test_a_result_of_another_kind_is_escaped_and_has_no_chart():
    table = pd.DataFrame({"method": [HOSTILE] * 20, "value": np.arange(20.0)})
    result = Result("own", table, summary=[HOSTILE] * 6)
    html = result._repr_html_()
    read = Reader(html)
    assert "script" not in read.tags and read.pictures == []
    assert read.items == [HOSTILE] * 4 and "2 more sentences" in html
    assert read.cells.count(HOSTILE) == 12 and "20 rows and 2 columns" in html
    assert repr(Result("own", table)) == "Result('own': 1 method, 20 rows)"


def test_samples_and_evaluators_show_their_images(attributer, images):
    samples = datasets.Samples(images, [0] * 9, class_names=[HOSTILE, "b"], name=HOSTILE)
    read = Reader(samples._repr_html_())
    assert "script" not in read.tags
    assert read.facts["images"] == "9, (32, 32, 3) each" and read.facts["boxes"] == "not known"
    assert [picture.size for picture in read.pictures] == [(96, 96)] * 8
    whole = Reader(Evaluator(attributer, samples)._repr_html_())
    assert len(whole.pictures) == 8 and whole.facts["target layer"] == "conv2"
    assert "Samples(" in repr(Evaluator(attributer, samples))


def test_completion_offers_the_public_face(attributer, images):
    maps = Attributions(np.zeros((1, 2, 2, 1), np.float32), np.zeros(1, int), "m")
    table = pd.DataFrame({"method": []})
    for thing in (attributer, maps, Result("own", table), datasets.Samples(images, [0] * 9)):
        assert not [name for name in dir(thing) if name.startswith("_")]
        assert all(hasattr(thing, name) for name in dir(thing))
    assert {"explain", "explain_many", "methods"} <= set(dir(attributer))
    assert attributer.methods == tuple(METHODS)
    assert not [name for name in dir(attribeval) if re.match(r"_[^_]|TYPE|annot|import", name)]
    for part in (datasets, plots):
        assert dir(part) == sorted(part.__all__)


def test_maps_know_the_images_that_they_are_of(attributer, images, tmp_path):
    def beneath(figure):
        return [ax.images[0].get_array() for ax in figure.subfigs[0].axes if ax.images]

    maps = attributer.explain(images, "gradcam", progress=False)
    for some, given in (
        (maps, images),
        (maps[4:], images[4:]),
        (maps[[7, 2]], images[[7, 2]]),
        (maps[3:][1], images[4:5]),
    ):
        assert len(beneath(some.plot())) == 2 * min(len(some), 8)  # the image, and the map over it
        for ours, theirs in zip(beneath(some.plot()), beneath(some.plot(given)), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    files = [tmp_path / f"{i}.png" for i in range(3)]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    for file, one in zip(files, pixels, strict=True):
        Image.fromarray(one).save(file)
    read = attributer.explain(files, "sobel", progress=False)
    for ours, theirs in zip(beneath(read.plot()), beneath(read.plot(pixels)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(beneath(Attributions.load(maps.save(tmp_path / "maps.npz")).plot())) == 8  # not saved: the maps alone


def test_only_the_images_that_are_drawn_are_read_again(attributer, images, monkeypatch):
    maps = attributer.explain(images, "gradcam", progress=False)
    read = []
    load = type(maps.photographs.source).load
    monkeypatch.setattr(
        type(maps.photographs.source), "load", lambda self, start, stop: read.append(start) or load(self, start, stop)
    )
    maps[1:].plot(max_images=3)
    assert read == [1, 2, 3]
