"""Pages of methods and benchmarks, written from the registries, so that none can be missing.

Run by `conf.py` at the start of a build; `python docs/generate.py` does the same by itself. What it writes, below
docs/generated, is no part of the repository. Pictures are made by `pictures` and
`board_pictures`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import attention_pictures
import board_pictures
import pictures
from docstrings import cell, described, markdown, parts, resolved, table

from attribeval import metrics, plots
from attribeval.benchmarks.registry import STUDIES
from attribeval.methods import registry as methods
from attribeval.methods.short_names import ALIASES, parse
from attribeval.metrics import registry as benchmarks

DOCS = Path(__file__).resolve().parent
GENERATED = DOCS / "generated"
LINE = 92  # letters of a line of code that a page shows without scrolling

FAMILIES = {
    "gradient": "Gradients",
    "cam": "Class activation maps",
    "propagation": "Propagation rules",
    "attention": "Attention of transformers",
    "perturbation": "Perturbations",
    "region": "Regions",
    "model-agnostic": "Model-agnostic",
    "control": "Controls, which know nothing of the model",
    "wrapper": "Wrappers, which go around another method",
}


def slug(cls: type) -> str:
    """The name of a method or benchmark as it can stand in an address ("gradcam++" cannot)."""
    return cls.card.name.replace("+", "_plus")


def options_table(cls: type) -> str:
    """Options of a method or benchmark: name, default, what it means."""
    said = resolved(cls, described(cls, "Attributes"))
    rows = []
    for field in dataclasses.fields(cls):
        given = field.default is not dataclasses.MISSING
        default = f"`{field.default!r}`" if given else "must be given"
        rows.append([f"`{field.name}`", default.replace("|", "\\|"), cell(said.get(field.name, ""))])
    return table(["option", "default", "meaning"], rows) if rows else "None.\n"


def method_page(cls: type, picture: pictures.Picture | None) -> str:
    """The page of one method."""
    card = cls.card
    short = [alias.upper() for alias in ALIASES if _means(alias) == card.name]
    call = pictures.call(card.name, cls)
    facts = [
        ["Family", FAMILIES[card.family].split(",")[0]],
        ["Needs", cell(card.needs)],
        ["Cost", f"{cell(card.passes)} (forward + backward passes per image at the default options)"],
        ["Sign", "negative values mean something" if card.signed else "no value is negative"],
        ["Values", "shares of a score, which can be summed" if card.shares else "sizes: only more or less counts"],
        ["Reference", cell(card.paper)],
    ]
    if short:
        facts.append(["Short names", ", ".join(f"`{name}`" for name in short)])
    returned = parts(cls.attribute).prose.split("\n\n")[0].removeprefix("Return ")
    return "\n".join(
        [
            f"# {card.name}\n",
            _lead(card.summary),
            "" if picture is None else _figure(picture, "methods", "maps"),
            "```python",
            f'maps = attributer.explain(images, "{call}")',
            "```\n",
            f"`maps.values`: {markdown(returned)}\n",
            _formula(card.maths),
            markdown(parts(cls).prose) + "\n",
            f":::{{admonition}} When it misleads\n:class: warning\n{markdown(card.misleads)}\n:::\n",
            table(["At a glance", ""], facts),
            "## Options\n",
            options_table(cls),
        ]
    )


def _formula(maths: str) -> str:
    return f"```{{math}}\n{maths}\n```\n\n[What the symbols are](index.md#symbols)\n"


def _means(alias: str) -> str:
    return parse(ALIASES[alias]).name


def _board(cls: type, picture: pictures.Picture | None) -> str:
    if board_pictures.BY_HAND in cls.card.needs:
        return f"{board_pictures.NO_PICTURE}\n"
    return "" if picture is None else _figure(picture, "benchmarks", "board")


def _lead(summary: str) -> str:
    return f":::{{container}} lead-in\n{cell(summary)}\n:::\n"


def _figure(picture: pictures.Picture, folder: str, kind: str) -> str:
    return f"""```{{figure}} {os.path.relpath(picture.path, GENERATED / folder)}
:alt: {picture.alt}
:figclass: {kind}
:class: {kind}

{markdown(picture.caption)}
```
"""


SYMBOLS = r"""
## Symbols

{math}`x` is the model's input (after preprocessing), {math}`f(x)` the score that is explained, the logit of one class
{math}`c`, and {math}`p_c` its probability. {math}`M` is the map, {math}`i` one value of it, {math}`u` and {math}`v` are
places, {math}`s(u)` the segment of a place. {math}`x'` is a baseline or reference, {math}`\tilde x` the image with
everything hidden, {math}`x_z` the image in which segments with {math}`z_s = 0` are hidden. {math}`A^k_{ij}` is channel
{math}`k` of a layer's activations, {math}`Z` its number of places, {math}`\uparrow` the enlargement to the image's
size, {math}`\odot` the product value by value. {math}`B` is the map of the method that a wrapper goes around. In
propagation rules {math}`a_i` are a layer's inputs, {math}`w_{ij}` its weights, {math}`b_j` its biases, {math}`R` is
relevance, and {math}`^+`, {math}`^-` stand for the positive and the negative part. {math}`A_l^h` are the weights of
attention of head {math}`h` of {math}`H` in layer {math}`l` of {math}`L`, row by query; the score reads token {math}`c`.
"""


def method_index() -> str:
    """The table of all methods."""
    text = [
        "# Methods\n",
        "Each is a name for `Attributer.explain`; `attribeval methods` prints the same table. Cost is in model passes "
        "per image at the default options, forward + backward.\n",
    ]
    classes = sorted(methods.METHODS.values(), key=lambda cls: list(FAMILIES).index(cls.card.family))
    for family, members in groupby(classes, key=lambda cls: cls.card.family):
        rows = [
            [f"[{cls.card.name}]({slug(cls)}.md)", cell(cls.card.summary), cell(cls.card.passes), cell(cls.card.needs)]
            for cls in members
        ]
        listed = table(["method", "what a value means", "cost", "needs"], rows)
        text += [f"## {FAMILIES[family]}\n", _cards("methods", listed)]
    text += [SYMBOLS, _toctree([slug(cls) for cls in classes])]
    return "\n".join(text)


def benchmark_page(cls: type, picture: pictures.Picture | None = None) -> str:
    """The page of one benchmark of the leaderboard, and of the metric behind it."""
    card = cls.card
    facts = [
        ["Family", card.family],
        ["Better", card.better],
        ["Cost", f"{cell(card.passes)} (model passes per image: shared by all methods + for each method)"],
        ["Needs", cell(card.needed or "images and a model")],
        ["Reference", cell(card.paper)],
    ]
    text = [
        f"# {card.name}\n",
        _lead(card.summary),
        _board(cls, picture),
        _formula(card.maths),
        markdown(parts(cls).prose) + "\n",
        f":::{{admonition}} When it misleads\n:class: warning\n{markdown(card.misleads)}\n:::\n",
        table(["At a glance", ""], facts),
        "## Options\n",
        options_table(cls),
        "## On arrays\n",
    ]
    for function in metric_functions(cls):
        text += [
            f"### {function.__name__}\n",
            f"`{home(function)}`\n",
            f"```python\n{signature(function)}\n```\n",
            markdown(parts(function).prose) + "\n",
        ]
        for heading, items in parts(function).items.items():
            items = resolved(function, items)
            text.append(f"**{heading}**\n")
            text += [f"* `{name}`: {markdown(said)}" if name else markdown(said) for name, said in items.items()]
            text.append("")
        if parts(function).example:
            text.append(f"```pycon\n{parts(function).example}```\n")
    return "\n".join(text)


def signature(function: Any) -> str:
    """How a function is called, a line for each argument where one line is too long for the page."""
    called = inspect.signature(function)
    line = f"{function.__name__}{called}"
    if len(line) > LINE:
        given: list[str] = []
        for one in called.parameters.values():
            named_only = one.kind is one.KEYWORD_ONLY and "*" not in given
            given += ["*"] * named_only + [str(one)]
        inside = "".join(f"    {one},\n" for one in given)
        line = f"{function.__name__}(\n{inside}){line[line.rindex(')') + 1 :]}"
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", line)  # annotations are strings


def home(function: Any) -> str:
    """Where users find a function: its short public name, if it has one."""
    short = getattr(metrics, function.__name__, None) if function.__name__ in metrics.__all__ else None
    return f"attribeval.{'metrics' if short is function else function.__module__.split('.', 1)[1]}.{function.__name__}"


def metric_functions(cls: type) -> list[Any]:
    """Public functions of a benchmark's file: its metric, which scores anyone's maps."""
    module = sys.modules[cls.__module__]
    found = inspect.getmembers(module, inspect.isfunction)
    ours = [one for name, one in found if one.__module__ == module.__name__ or name in metrics.__all__]
    return [one for one in ours if not one.__name__.startswith("_")]


OWN_PAGES = """
| benchmark | question | call |
| --- | --- | --- |
| [Leaderboard](../../leaderboard.md) | which methods do many metrics tell apart? | `Evaluator.compare` |
| [WSOL](../../wsol.md) | does the map find the object? | `Evaluator.wsol` |
| [ROAR and KAR](../../roar.md) | does a model trained without what the map ranks high do worse? | `Evaluator.roar` |
| [BAM and TCAV](../../bam.md) | does the map show what matters more to one model than to another? | `Evaluator.bam` |
"""


BENCHMARK_SYMBOLS = r"""
## Symbols

Formulas are of one image, at the default options. {math}`x` is the image, {math}`f(x)` the logit of the class
{math}`c` that is explained, {math}`p_c` its probability, {math}`h(x)` all logits, {math}`\hat y` the predicted class.
{math}`M` is the map, one value for each pixel {math}`u`, high where the method sees importance; {math}`a_i` are its
values, {math}`n` of them (in non-sensitivity of the patches). {math}`\varphi` is the map as the method gave it,
signed, and with its channels. {math}`x'` is the baseline, {math}`\tilde x` the image with everything filled,
{math}`x_{-S}` the image with the set {math}`S` filled, {math}`x - I` the perturbed image, {math}`\hat x` one with
imputed pixels and a little noise, {math}`P` the shares {math}`q` of them. {math}`L` is the number of steps and
{math}`m` that of the regions in each. {math}`\mathrm{corr}` is Pearson's correlation, {math}`\rho` Spearman's,
{math}`N` the set of sizes {math}`n`. {math}`\delta` is drawn noise, {math}`r` its radius, {math}`x^\prime` a
neighbour drawn like that, {math}`\varphi^\prime` its map. {math}`B` are the pixels of the object, or one of its
boxes. {math}`1[\cdot]` is 1 where the condition holds, otherwise 0. {math}`\alpha`, {math}`\beta`, {math}`\epsilon`,
{math}`\eta` (`floor`), {math}`\tau` and {math}`t` are options of the benchmark; in infidelity {math}`\beta` is the
best factor.
"""


def benchmark_index() -> str:
    """The table of all benchmarks."""
    text = ["# Benchmarks\n", "Each of these is a call and a command of its own:", OWN_PAGES]
    classes = list(benchmarks.BENCHMARKS.values())
    if classes:
        text.append("These are columns of the leaderboard, one number per image each:\n")
    for family, members in groupby(sorted(classes, key=lambda cls: cls.card.family), key=lambda cls: cls.card.family):
        rows = [
            [f"[{cls.card.name}]({slug(cls)}.md)", cell(cls.card.summary), cls.card.better, cell(cls.card.passes)]
            for cls in members
        ]
        listed = table(["benchmark", "what its number means", "better", "cost"], rows)
        text += [f"## {family.capitalize()}\n", _cards("benchmarks", listed)]
    return "\n".join([*text, BENCHMARK_SYMBOLS, _toctree([*(slug(cls) for cls in classes), "differences"])])


def differences_page() -> str:
    """What benchmarks say of papers, authors' codes and libraries: every paragraph "Differs from …"."""
    text = [
        "# Differences of the leaderboard's metrics\n",
        "Collected from their docstrings; a metric that is not listed says nothing of the kind.\n",
    ]
    for name, cls in benchmarks.BENCHMARKS.items():
        said = [parts(one).prose for one in (cls, *metric_functions(cls))]
        found = [paragraph for prose in said for paragraph in prose.split("\n\n") if "iffers from" in paragraph]
        if found:
            text += [f"**[{name}]({slug(cls)}.md).** {markdown(paragraph)}\n" for paragraph in dict.fromkeys(found)]
    return "\n".join(text)


def gallery_page(made: dict[str, pictures.Picture], boards: dict[str, pictures.Picture]) -> str:
    """Every method on the same four photographs, and every benchmark's picture, each a link to its page."""
    text = [
        "# Gallery\n",
        "Four test images of the embedded `digit_scenes` by every method, explained for what the net says: seven, "
        "eight, two and six. Each map is scaled by itself: pale is much evidence, dark blue evidence against.\n",
    ]
    if made:
        text.append(_photographs(pictures.photographs(GENERATED / "pictures")))
    classes = sorted(methods.METHODS.values(), key=lambda cls: list(FAMILIES).index(cls.card.family))
    for family, members in groupby(classes, key=lambda cls: cls.card.family):
        shown = [(cls, made[cls.card.name].strip if cls.card.name in made else None) for cls in members]
        text.append(f"## {FAMILIES[family]}\n")
        if made and family == "attention":
            text += [
                "Of [a small transformer](../transformers.md): one, six, seven and three.\n",
                _photographs(attention_pictures.PHOTOGRAPHS),
            ]
        text.append(_thumbnails("methods", shown))
    text.append(
        "## Benchmarks\n\nFive methods and the controls on sixteen images: what the numbers look like, no verdict.\n"
    )
    shown = [(cls, boards[name].path if name in boards else None) for name, cls in benchmarks.BENCHMARKS.items()]
    return "\n".join([*text, _thumbnails("benchmarks", shown)])


def _photographs(file: Path) -> str:
    return f"```{{figure}} {os.path.relpath(file, GENERATED)}\n:alt: The four photographs\n:figclass: maps\n```\n"


def _thumbnails(folder: str, shown: list[tuple[type, Path | None]]) -> str:
    """Pictures that are links, in a grid; a name alone where there is no picture."""
    cells = []
    for cls, picture in shown:
        name, page = cls.card.name, f"{folder}/{slug(cls)}.md"
        image = f"![{name}]({os.path.relpath(picture, GENERATED)})\n\n" if picture else ""
        link = f"::::{{container}} name\n[{name}]({page})\n::::\n"
        says = f"::::{{container}} says\n{cell(cls.card.summary)}\n::::\n"
        cells.append(f":::::{{container}} cell\n{image}{link}{says}:::::\n")
    return "\n".join([f"::::::{{container}} gallery {folder}", *cells, "::::::\n"])


def plots_page() -> str:
    """Every function of `attribeval.plots`, and what the views of the studies draw."""
    functions = [getattr(plots, name) for name in plots.__all__ if inspect.isfunction(getattr(plots, name))]
    for folder in dict.fromkeys(STUDIES.values()):
        view = importlib.import_module(f"{folder}.view")
        for module in pkgutil.iter_modules(view.__path__, f"{view.__name__}."):
            found = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
            functions += [one for name, one in found if name.startswith("plot_") and one.__module__ == module.name]
    lines = [f".. autofunction:: {one.__module__}.{one.__name__}\n" for one in functions]
    about = "All are drawn through matplotlib's objects: show the figure, or save it.\n"
    return "\n".join(["# Pictures\n", about, "```{eval-rst}", *lines, "```\n"])


def _cards(kind: str, listed: str) -> str:
    """A table whose rows become paragraphs on a telephone."""
    return f":::{{container}} cards {kind}\n{listed}:::\n"


def _toctree(pages: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```\n"]) if pages else ""


def write(path: Path, text: str) -> None:
    """Write a page, unless it says the same already: Sphinx then need not read it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_all(with_pictures: bool = True) -> None:
    """Write all pages."""
    made = pictures.make(GENERATED / "pictures") | attention_pictures.made() if with_pictures else {}
    boards = board_pictures.make(GENERATED / "pictures/benchmarks") if with_pictures else {}
    pages = {
        GENERATED / "methods/index.md": method_index(),
        GENERATED / "benchmarks/index.md": benchmark_index(),
        GENERATED / "benchmarks/differences.md": differences_page(),
        GENERATED / "gallery.md": gallery_page(made, boards),
        GENERATED / "plots.md": plots_page(),
    }
    for name, cls in methods.METHODS.items():
        pages[GENERATED / f"methods/{slug(cls)}.md"] = method_page(cls, made.get(name))
    for name, cls in benchmarks.BENCHMARKS.items():
        pages[GENERATED / f"benchmarks/{slug(cls)}.md"] = benchmark_page(cls, boards.get(name))
    for path, text in pages.items():
        write(path, text)
    for folder in ("methods", "benchmarks"):
        for old in set((GENERATED / folder).glob("*.md")) - set(pages):
            old.unlink()  # of a method that is no more
    notebooks = GENERATED / "walkthroughs"
    shutil.rmtree(notebooks, ignore_errors=True)
    notebooks.mkdir(parents=True)
    for notebook in sorted((DOCS.parent / "examples").glob("*.ipynb")):
        shutil.copy2(notebook, notebooks)  # with its time: Sphinx reads what is newer


if __name__ == "__main__":
    write_all()
