"""The documentation: every public name has one, every example in it runs, and it builds without a warning."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import attribeval
from attribeval import benchmarks, datasets
from attribeval.errors import AttribevalError
from attribeval.methods import registry as method_registry
from attribeval.metrics import registry as benchmark_registry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def generate():
    """docs/generate.py, which writes the pages of methods and benchmarks."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(DOCS))


# ------------------------------------------------------------------------------------ methods and benchmarks

METHODS = sorted(method_registry.METHODS.items())
BENCHMARKS = sorted(benchmark_registry.BENCHMARKS.items())


@pytest.mark.parametrize("cls", [cls for _, cls in METHODS + BENCHMARKS], ids=lambda cls: cls.card.name)
def test_every_method_and_benchmark_has_a_page_with_all_it_needs(cls, generate):
    method = hasattr(cls, "attribute")
    page = generate.method_page(cls, None) if method else generate.benchmark_page(cls)
    assert page.startswith(f"# {cls.card.name}\n")
    said = generate.described(cls, "Attributes")
    fields = {field.name for field in dataclasses.fields(cls)}
    assert fields <= set(said), "options without a line under Attributes"
    own = ", ".join(generate.parts(cls).items.get("Attributes", {})).split(", ")
    assert set(own) - {""} <= fields, "lines under Attributes that are no options"
    for name in fields:
        assert len(said[name]) > 5, name
        assert f"| `{name}` |" in page
    for fact in (cls.card.summary, cls.card.paper):
        assert fact and generate.cell(fact) in page
    assert generate.markdown(cls.card.misleads) in page
    assert f"```{{math}}\n{cls.card.maths}\n```" in page
    assert generate.parts(cls).prose, "a class needs a docstring"
    index = generate.method_index() if method else generate.benchmark_index()
    assert f"[{cls.card.name}]({generate.slug(cls)}.md)" in index
    if not method:
        assert generate.metric_functions(cls), "a benchmark's file holds its metric, a function on arrays"


def test_the_page_of_a_benchmark_has_its_picture_or_says_why_not(generate):
    picture = generate.pictures.Picture(generate.GENERATED / "pictures/benchmarks/one.png", "What one sees.", "methods")
    without = [name for name, cls in BENCHMARKS if "{figure}" not in generate.benchmark_page(cls, picture)]
    assert without == ["f_fidelity"]
    page = generate.benchmark_page(benchmark_registry.BENCHMARKS["deletion"], picture)
    assert "```{figure} ../pictures/benchmarks/one.png\n" in page and "What one sees." in page
    assert "No picture: it is" in generate.benchmark_page(benchmark_registry.BENCHMARKS["f_fidelity"], picture)


def test_the_page_of_a_method_begins_with_its_maps(generate):
    picture = generate.pictures.Picture(generate.GENERATED / "pictures/one.png", "What one sees.", "maps")
    page = generate.method_page(method_registry.METHODS["lrp"], picture)
    order = ["# lrp", "share of an input value", "../pictures/one.png", "What one sees.", ".explain(", "{math}"]
    assert [page.index(words) for words in order] == sorted(page.index(words) for words in order)


def test_a_signature_says_what_python_says_in_lines_that_fit(generate):
    functions = [one for _, cls in BENCHMARKS for one in generate.metric_functions(cls)]
    broken = 0
    for function in functions:
        text = generate.signature(function)
        assert max(map(len, text.splitlines())) <= 96
        broken += "\n" in text
        said: dict = {}
        exec(f"from __future__ import annotations\ndef {text}: ...", said)
        theirs, ours = inspect.signature(function), inspect.signature(said[function.__name__])
        assert list(ours.parameters) == list(theirs.parameters)
        for name, parameter in theirs.parameters.items():
            assert ours.parameters[name].kind == parameter.kind
            assert ours.parameters[name].default == parameter.default
    assert 5 < broken < len(functions)


def test_slugs_are_names_of_files_of_their_own(generate):
    for registry in (METHODS, BENCHMARKS):
        slugs = [generate.slug(cls) for _, cls in registry]
        assert len(set(slugs)) == len(slugs)
        assert all(re.fullmatch(r"\w+", slug) for slug in slugs)


@pytest.mark.parametrize("cls", [cls for _, cls in METHODS + BENCHMARKS], ids=lambda cls: cls.card.name)
def test_every_formula_is_latex(cls):
    """Matplotlib reads LaTeX strictly: a brace too many or a command that is none is an error."""
    from matplotlib.mathtext import MathTextParser

    assert cls.card.maths
    for line in cls.card.maths.split(r"\\"):
        MathTextParser("path").parse(f"${line.strip()}$")


def test_misleads_is_a_sentence_and_no_two_methods_have_the_same():
    said = [cls.card.misleads for _, cls in METHODS + BENCHMARKS]
    assert all(text[0].isupper() and text.endswith(".") and len(text) > 30 for text in said)
    assert len({cls.card.misleads for _, cls in METHODS}) == len(METHODS)


# ---------------------------------------------------------------------------------------------- public names


def _modules() -> list[str]:
    names = [attribeval.__name__]
    names += [m.name for m in pkgutil.walk_packages(attribeval.__path__, "attribeval.")]
    return [name for name in names if not name.endswith("__main__")]


def _source(name: str) -> str:
    return Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")


def _public() -> list[tuple[str, str]]:
    """(package, name) of every name in an `__all__`."""
    found = []
    for module in _modules():
        if "__all__" in _source(module):
            found += [(module, name) for name in importlib.import_module(module).__all__]
    return found


PUBLIC = _public()
NAMES = [".".join(pair) for pair in PUBLIC]


def test_the_public_names_are_found():
    assert {"attribeval", "attribeval.datasets", "attribeval.plots"} <= {package for package, _ in PUBLIC}
    assert benchmarks.__doc__ and datasets.__doc__


def _undocumented(function, described, generate) -> set[str]:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    return {p.name for p in parameters} - set(described)


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=NAMES)
def test_every_public_name_has_a_docstring(package, name, generate):
    thing = getattr(importlib.import_module(package), name)
    if inspect.ismodule(thing) or not callable(thing):
        assert inspect.getdoc(thing)
        return
    assert inspect.getdoc(thing)
    described = {**generate.described(thing, "Args"), **generate.described(thing, "Attributes")}
    if inspect.isfunction(thing):
        assert not _undocumented(thing, described, generate)
        if inspect.signature(thing).return_annotation not in (None, "None"):
            assert "Returns" in generate.parts(thing).items or "Return" in generate.parts(thing).prose
        return
    if not issubclass(thing, BaseException) and "__init__" in vars(thing):
        assert not _undocumented(thing.__init__, described, generate)
    for member in vars(thing):
        if not member.startswith("_") and callable(getattr(thing, member)):
            assert inspect.getdoc(getattr(thing, member)), f"{name}.{member} has no docstring"


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=NAMES)
def test_every_public_name_is_in_the_documentation(package, name, generate):
    thing = getattr(importlib.import_module(package), name)
    if inspect.ismodule(thing) or not hasattr(thing, "__module__"):
        return
    pages = "\n".join([generate.plots_page(), *(page.read_text(encoding="utf-8") for page in PAGES)])
    if callable(thing):
        assert re.search(rf":: {re.escape(thing.__module__)}\.{name}$", pages, re.M)


# ------------------------------------------------------------------------------------------------- examples

WITH_EXAMPLES = [name for name in _modules() if re.search(r"^\s*>>> ", _source(name), re.M)]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 8


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_every_example_in_a_docstring_runs(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("page", [p for p in PAGES if "```pycon" in p.read_text()], ids=lambda page: page.stem)
def test_every_example_on_a_page_runs(page):
    blocks = re.findall(r"^```pycon\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test)
    assert runner.tries
    assert not runner.failures


def _block(page: str, containing: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S)
    (found,) = [block for block in blocks if containing in block]
    return found


def _picture(path: Path, size=(20, 10)) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def _read_as_on_the_page(variable: str):
    (line,) = [line for line in _block("data_layouts.md", "food101").splitlines() if line.startswith(f"{variable} = ")]
    space = {"datasets": datasets}
    exec(line, space)
    return space[variable]


def test_food_101_is_read_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("apple_pie/1", "apple_pie/2", "waffles/3", "waffles/4"):
        _picture(tmp_path / f"food-101/images/{name}.jpg")
    (tmp_path / "food-101/meta").mkdir()
    (tmp_path / "food-101/meta/classes.txt").write_text("apple_pie\nwaffles\n")
    (tmp_path / "food-101/meta/train.txt").write_text("apple_pie/1\nwaffles/3\n")
    (tmp_path / "food-101/meta/test.txt").write_text("apple_pie/2\nwaffles/4\n")
    data = _read_as_on_the_page("food")
    assert data.train.class_names == ["apple_pie", "waffles"]
    assert data.train.ids == ["apple_pie/1", "waffles/3"]
    assert data.test.labels.tolist() == [0, 1]


def test_cub_is_read_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "CUB_200_2011"
    for name in ("001.Auk/a.jpg", "002.Bunting/b.jpg", "002.Bunting/c.jpg"):
        _picture(root / "images" / name)
    (root / "classes.txt").write_text("1 001.Auk\n2 002.Bunting\n")
    (root / "images.txt").write_text("1 001.Auk/a.jpg\n2 002.Bunting/b.jpg\n3 002.Bunting/c.jpg\n")
    (root / "image_class_labels.txt").write_text("1 1\n2 2\n3 2\n")
    (root / "bounding_boxes.txt").write_text("1 0.0 0.0 5.0 5.0\n2 5.0 2.0 10.0 4.0\n3 0.0 0.0 20.0 10.0\n")
    (root / "train_test_split.txt").write_text("1 1\n2 0\n3 0\n")
    test = _read_as_on_the_page("cub").test
    assert test.ids == ["002.Bunting/b", "002.Bunting/c"]
    assert test.labels.tolist() == [1, 1]
    np.testing.assert_allclose(test.boxes[0], [[0.25, 0.2, 0.75, 0.6]])


def test_records_become_samples_as_the_page_says():
    class Dataset:
        def take(self, count):
            return self

        def as_numpy_iterator(self):
            return iter([(np.zeros((4, 4, 3), np.uint8), np.int64(1)), (np.ones((4, 4, 3), np.uint8), np.int64(0))])

    space = {"dataset": Dataset(), "np": np, "Samples": datasets.Samples}
    exec(_block("data_layouts.md", "as_numpy_iterator"), space)
    assert space["samples"].labels.tolist() == [1, 0]


def test_the_method_of_the_page_on_extending_works(small_model, images, tmp_path, generate, monkeypatch):
    from attribeval import Attributer

    path = tmp_path / "sharpened.py"  # dataclasses look their module up
    path.write_text(_block("extending.md", "class Sharpened"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    method = importlib.import_module("sharpened").Sharpened
    attributer = Attributer(small_model)
    gradient = attributer.explain(images, "gradient", progress=False).values
    maps = attributer.explain_many(images, {"mine": method(power=3)}, progress=False)["mine"].values
    np.testing.assert_allclose(maps, np.sign(gradient) * np.abs(gradient) ** 3, rtol=1e-5)
    assert "`power`" in generate.method_page(method, None)
    with pytest.raises(AttribevalError, match="power"):
        method(power=0)


# ------------------------------------------------------------------------------------------------- the build


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_test_that_a_page_names_is_there(page):
    there = ["/" + path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    named = re.findall(r"`([\w/]*test_\w+\.py)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []


def test_the_documentation_builds_without_a_warning(docs_html):
    for name, cls in METHODS + BENCHMARKS:
        folder = "methods" if hasattr(cls, "attribute") else "benchmarks"
        page = docs_html / f"generated/{folder}/{name.replace('+', '_plus')}.html"
        assert name in page.read_text(encoding="utf-8")


def test_the_gallery_links_every_method_and_benchmark_with_its_picture(generate):
    made = {n: generate.pictures.Picture(generate.GENERATED / f"pictures/{n}.png", "", "") for n, _ in METHODS}
    page = generate.gallery_page(made, {})
    for name, cls in METHODS:
        assert f"![{name}](pictures/{name}-four.png)\n" in page
        assert f"\n[{name}](methods/{generate.slug(cls)}.md)\n" in page
        assert generate.cell(cls.card.summary) in page
    assert page.index("pictures/photographs.png") < page.index("-four.png")  # what they are maps of comes first
    for name, cls in BENCHMARKS:
        assert f"[{name}](benchmarks/{generate.slug(cls)}.md)" in page
    kept = generate.attention_pictures.made()  # of methods that no build can draw
    assert set(kept) == {name for name, cls in METHODS if method_registry.needs_attention(cls)}
    assert all(file.is_file() for picture in kept.values() for file in (picture.path, picture.strip))


def test_see_another_function_becomes_what_that_says(generate):
    from attribeval.metrics.faithfulness import deletion, road

    option, there = generate.described(deletion.Deletion, "Attributes"), generate.described(deletion.deletion, "Args")
    assert option["steps"] == "See `deletion`."
    assert generate.resolved(deletion.Deletion, option) == option | {"steps": there["steps"], "fill": there["fill"]}
    names = "maps, images, predict, targets, seeds, percentages, noise, batch_size"
    assert generate.parts(road.road).items["Args"][names] == "See `road_curves`."
    there = generate.described(road.road_curves, "Args")
    assert generate.resolved(road.road, {names: "See `road_curves`."}) == {
        name: there[name] for name in names.split(", ")
    }
    pages = [generate.benchmark_page(cls) for _, cls in BENCHMARKS]
    assert not [page.splitlines()[0] for page in pages if re.search(r"See `[\w.]+`\.( \||$)", page, re.M)]


def test_walkthroughs_are_all_in_reading_order():
    listed = re.findall(r"<generated/walkthroughs/(\w+)>$", (DOCS / "index.md").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "examples").glob("*.ipynb"))
    assert listed[:2] == ["first_look", "every_method"]
