"""What a notebook shows of our objects: a few facts, a picture, a short table, in HTML that follows the page's colours.

Everything that comes from data (names of classes, methods, files) is escaped.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from attribeval.results.numbers import cut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.attributer import Attributer
    from attribeval.attributions import Attributions
    from attribeval.concepts.discovery.found import Concepts
    from attribeval.datasets.samples import Samples
    from attribeval.evaluator import Evaluator
    from attribeval.results.result import Result

ROWS, COLUMNS, SENTENCES, IMAGES = 12, 8, 4, 8  # at most
_LONGEST = 160  # characters of a fact
_CELL = "style='text-align:left;padding:2px 12px 2px 0;white-space:nowrap'"


def attributer_html(attributer: Attributer) -> str:
    """Model, input, classes, task, target layer and preprocessing of an `Attributer`."""
    return _heading("Attributer", attributer.classifier.name) + _facts(_facts_of(attributer))


def attributions_html(maps: Attributions) -> str:
    """Method, model and time of maps, and the first of them in a row with the classes explained."""
    from attribeval.plots import strip

    options = ", ".join(f"{name}={value!r}" for name, value in maps.options.items())
    facts = {
        "model": maps.model or "not known",
        "maps": f"{maps.values.shape}, float32, raw and signed",
        "options": cut(options, _LONGEST) or "none",
        "time": f"{maps.seconds:.2f} s",
    }
    if maps.completeness_gap is not None:
        facts["completeness gap"] = f"at most {abs(maps.completeness_gap).max():.3g} in score units"
    more = f"<div>the first {IMAGES} of {len(maps)}</div>" if len(maps) > IMAGES else ""
    picture = (
        _image(strip(maps.photographs, maps, max_images=IMAGES), "maps, the class explained below each")
        if len(maps)
        else ""
    )
    return _heading("Attributions", maps.method) + _facts(facts) + picture + more


def result_html(result: Result) -> str:
    """The verdict of a `Result` in sentences, its chart, and the first rows of its table."""
    from attribeval.plots import plot_result
    from attribeval.report.view import view_of
    from attribeval.report.views import shown_table

    said = "".join(f"<li>{escape(sentence)}</li>" for sentence in result.summary[:SENTENCES])
    more = len(result.summary) - SENTENCES
    said = f"<ul>{said}</ul>" + (f"<div>{more} more sentences in .summary</div>" if more > 0 else "")
    has_chart = view_of(result).plot is not None and len(result.table) > 0
    picture = _image(plot_result(result), f"chart of {result.benchmark}") if has_chart else ""
    shown = shown_table(result)
    table = _table(
        [column.name for column in shown.columns[:COLUMNS]],
        [[cell.text for cell in cells[:COLUMNS]] for _, cells in shown.rows[:ROWS]],
    )
    cut = len(shown.rows) > ROWS or len(shown.columns) > COLUMNS
    whole = f"{len(shown.rows)} rows and {len(shown.columns)} columns"
    rest = f"<div>the first of {whole}; .table has all, .report(path) makes a page</div>" if cut else ""
    return _heading("Result", result.benchmark) + said + picture + table + rest


def result_text(result: Result) -> str:
    """The same in two lines: what was measured on how many methods, and the first sentence of the verdict."""
    table = result.table
    numbers = {name: table[name].nunique() for name in ("method", "benchmark", "metric") if name in table}
    counts = [f"{number} {name}{'s' * (number != 1)}" for name, number in numbers.items()]
    first = f"\n{result.summary[0]}" if result.summary else ""
    return f"Result({result.benchmark!r}: {', '.join([*counts, f'{len(table)} rows'])}){first}"


def concepts_html(found: Concepts) -> str:
    """Model, layer and class of concepts, the pieces of images that show them, and the first of their table."""
    table = found.table()
    rows = [[f"{value:.3g}" for value in row] for row in table.head(ROWS).to_numpy(float)]
    picture = _image(found.plot(), "pieces of images, a row per concept") if len(found) else ""
    more = f"<div>the first {ROWS} of {len(found)}</div>" if len(found) > ROWS else ""
    return _heading("Concepts", found.method) + _facts(found.facts()) + picture + _table(table.columns, rows) + more


def samples_html(samples: Samples) -> str:
    """What is known of a set of images, and the first of them with their labels."""
    images = samples.images
    facts = {
        "images": f"{len(images)}" + (", in files" if isinstance(images, list) else f", {images.shape[1:]} each"),
        "classes": _classes(samples.class_names, len(set(samples.labels.tolist()))),
        "boxes": "not known" if samples.boxes is None else f"{sum(map(len, samples.boxes))} in all",
        "masks": "not known" if samples.masks is None else "one for each image",
    }
    return _heading("Samples", samples.name) + _facts(facts) + (_thumbnails(samples[:IMAGES]) if len(samples) else "")


def evaluator_html(evaluator: Evaluator) -> str:
    """The model that is explained, and the images that its maps are judged on."""
    ours = {"model": evaluator.attributer.classifier.name} | _facts_of(evaluator.attributer)
    return _heading("Evaluator", ours["model"]) + _facts(ours) + samples_html(evaluator.dataset)


def _facts_of(attributer: Attributer) -> dict[str, str]:
    classifier = attributer.classifier
    sides = " × ".join("any" if side is None else str(side) for side in classifier.input_shape)
    others = ", ".join(classifier.extra.names)
    return {
        "input": f"{classifier.image_input}, {sides}; beside it {others}" if others else sides,
        "classes": _classes(classifier.class_names, classifier.classes),
        "task": str(classifier.task),
        "explained": _explained(classifier),
        "target layer": classifier.target_layer or "none",
        "preprocessing": _preprocessing(classifier.preprocess),
        "precision": classifier.precision,
    }


def _explained(classifier: Any) -> str:
    if callable(classifier.score):
        return "a function of the outputs"
    output = "" if classifier.reading.output is None else f" of output {classifier.reading.output!r}"
    logit = classifier.score == "logit" and classifier.task.name != "regression"
    return ("the logit" if logit else "the model's output") + output


def _preprocessing(preprocess: Any) -> str:
    from attribeval.models.preprocessing import preprocessing_name

    return "none: images are the model's input" if preprocess is None else preprocessing_name(preprocess)


def _classes(names: Sequence[str] | None, count: int) -> str:
    if names is None:
        return f"{count}, without names"
    return cut(f"{count}: {', '.join(map(str, names[:12]))}" + (", …" if len(names) > 12 else ""), _LONGEST)


def _thumbnails(samples: Samples) -> str:
    from PIL import Image

    from attribeval.plots.panels import to_photographs

    cells = []
    for image, label in zip(samples.load((96, 96)), samples.labels, strict=True):
        file = io.BytesIO()
        shade = to_photographs(image[None], 1, (96, 96))[0]
        Image.fromarray((shade * 255).round().astype("uint8")).save(file, "PNG")
        names = samples.class_names
        name = f"class {label}" if names is None else str(names[label])
        cells.append(f"<figure style='margin:0'>{_img(file, name)}<figcaption>{escape(name)}</figcaption></figure>")
    return f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{''.join(cells)}</div>"


def _heading(kind: str, name: str) -> str:
    return f"<div><b>{kind}</b> <code>{escape(name)}</code></div>"


def _facts(facts: dict[str, str]) -> str:
    rows = (f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{escape(text)}</td></tr>" for name, text in facts.items())
    return f"<table>{''.join(rows)}</table>"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in header)
    body = ("".join(f"<td {_CELL}>{_lines(text)}</td>" for text in row) for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}</div>"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _image(figure: Figure, alt: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return f"<div>{_img(file, alt)}</div>"


def _img(file: io.BytesIO, alt: str) -> str:
    data = base64.b64encode(file.getvalue()).decode()
    return f"<img alt='{escape(alt, quote=True)}' style='max-width:100%' src='data:image/png;base64,{data}'>"
