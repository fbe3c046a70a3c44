"""Any number of image files explained: a file per image as soon as it is there, resumed where it was interrupted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from attribeval import progress
from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.map_folder import MapFolder

Explain = Callable[[np.ndarray, list[str]], Mapping[str, Attributions]]
Answer = Callable[[np.ndarray, list[str]], np.ndarray]
Draw = Callable[[np.ndarray, Mapping[str, Attributions], str], Any]
_READERS, _WRITERS, _TOGETHER = 4, 1, 32


@dataclass
class Report:
    """What came of the files.

    Attributes:
        done: How many images have all their files, those of earlier runs among them.
        found: How many of them had them before.
        failed: Why an image has none, by id.
        zeros: How many maps made now are 0 everywhere, by method.
    """

    done: int = 0
    found: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    zeros: Counter[str] = field(default_factory=Counter)


@dataclass
class _Image:
    name: str
    path: Path
    digest: str = ""
    missing: list[str] = field(default_factory=list)  # methods without a file
    pictured: bool = True
    pixels: Any = None  # raw (H, W, C), once it is read


def explain_files(
    attributer: Attributer,
    files: Mapping[str, Path],
    explain: Explain,
    answer: Answer,
    folder: MapFolder,
    *,
    draw: Draw | None = None,
) -> Report:
    """Explain image files; each has its maps on disk as soon as its batch is done, and memory holds two batches.

    What is there already, made from the same content, is kept. Images that are explained together are those that stand
    together in `files`, whatever is there already, so a run that was killed and called again writes the same bytes.

    Args:
        attributer: Of the model.
        files: Path of each image by id.
        explain: Maps by method of raw images, float32 (B, H, W, C), and their ids.
        answer: Probabilities of the same, float32 (B, classes), asked where the maps do not know them.
        folder: Where files go.
        draw: The figure of one image: of its pixels (1, H, W, C), its maps by method, and its id; None: no pictures.

    Returns:
        An image that cannot be read or explained is in `failed`, and the others go on.

    Raises:
        AttribevalError: If there is no image, or the first batch fails as a whole, with the error of its first image.
    """
    if not files:
        raise AttribevalError("Expected at least one image. Received none.")
    report = Report()
    together = attributer.capacity() or _TOGETHER
    with (
        progress.bar(len(files), "explain") as bar,
        ThreadPoolExecutor(_READERS, "attribeval-read") as readers,
        ThreadPoolExecutor(_WRITERS, "attribeval-write") as writers,
    ):
        writing: list[Future] = []
        for chunk in _ahead(attributer, files, folder, draw is not None, together, readers):
            images = list(_settled(chunk, report))
            maps = _explained(images, explain, answer, report) if any(_is_open(one) for one in images) else {}
            for before in writing:
                before.result()
            explained = [one for one in images if one.name in maps]
            writing = [writers.submit(_write, folder, one, maps[one.name], report) for one in explained]
            for one in explained:
                if draw is not None and not one.pictured:
                    folder.write_picture(draw(one.pixels[None], maps[one.name], one.name), one.name, one.digest)
            report.found += sum(not _is_open(one) for one in images)
            report.done += sum(not _is_open(one) or one.name in maps for one in images)
            bar.update(len(chunk))
        for before in writing:
            before.result()
    return report


def _ahead(
    attributer: Attributer, files: Mapping[str, Path], folder: MapFolder, pictures: bool, together: int, pool: Any
) -> Iterator[list[tuple[_Image, Future]]]:
    """The images in order, so many at a time; the next ones are read meanwhile."""
    names = iter(files)

    def following() -> list[tuple[_Image, Future]]:
        images = [_Image(name, files[name]) for name in islice(names, together)]
        looked = [(image, pool.submit(_look, image, folder, pictures)) for image in images]
        # Pixels of images that are done are needed, too, if a neighbour's are: the batch is to be the same.
        return [(image, pool.submit(_read, image, looked, attributer)) for image, _ in looked]

    ready = following()
    while ready:
        after = following()
        yield ready
        ready = after


def _look(image: _Image, folder: MapFolder, pictures: bool) -> None:
    """Find out what an image lacks."""
    image.digest = hashlib.blake2b(image.path.read_bytes(), digest_size=16).hexdigest()
    image.missing = [name for name in folder.methods if not folder.has_map(name, image.name, image.digest)]
    image.pictured = not pictures or folder.has_picture(image.name, image.digest)


def _read(image: _Image, looked: list[tuple[_Image, Future]], attributer: Attributer) -> None:
    for _, future in looked:
        future.exception()  # waits
    own = next(future for one, future in looked if one is image)
    own.result()
    if any(future.exception() is None and _is_open(one) for one, future in looked):
        image.pixels = attributer.read([image.path])[0]


def _is_open(image: _Image) -> bool:
    return bool(image.missing) or not image.pictured


def _settled(chunk: list[tuple[_Image, Future]], report: Report) -> Iterator[_Image]:
    """The images that were read; of those that could not be the report tells."""
    for image, future in chunk:
        try:
            future.result()
            yield image
        except (AttribevalError, OSError) as error:
            report.failed[image.name] = str(error)


def _explained(
    images: list[_Image], explain: Explain, answer: Answer, report: Report
) -> dict[str, dict[str, Attributions]]:
    """Maps by method of each image, by its id; images that fail are told to the report."""
    try:
        return _together(images, explain, answer)
    except AttribevalError as error:
        first = error
    found: dict[str, dict[str, Attributions]] = {}
    failed: dict[str, str] = {}
    for image in images:
        try:
            found |= _together([image], explain, answer)
        except AttribevalError as error:
            failed[image.name] = str(error)
    if not found and not report.done:
        raise first  # nothing ever worked: it is no matter of one image
    report.failed |= failed
    return found


def _together(images: list[_Image], explain: Explain, answer: Answer) -> dict[str, dict[str, Attributions]]:
    found: dict[str, dict[str, Attributions]] = {}
    shapes = dict.fromkeys(image.pixels.shape for image in images)  # several where a model takes any size
    for shape in shapes:
        same = [image for image in images if image.pixels.shape == shape]
        pixels = np.stack([image.pixels for image in same])
        names = [image.name for image in same]
        by_method = explain(pixels, names)
        said = None
        for name, maps in by_method.items():
            if maps.probabilities is None:
                said = answer(pixels, names) if said is None else said
                times = len(maps) // len(same)
                maps = replace(maps, probabilities=np.repeat(said, times, axis=0))
            for image, own in zip(same, _split(maps, same), strict=True):
                found.setdefault(image.name, {})[name] = own
    return found


def _split(maps: Attributions, images: list[_Image]) -> Iterator[Attributions]:
    """The maps of each image, several if several classes are explained, which know their image.

    Seconds are of the whole batch, and would differ from run to run: they are left out.
    """
    times = len(maps) // len(images)
    for i, image in enumerate(images):
        own = maps[i * times : (i + 1) * times]
        path = str(image.path.absolute())
        yield replace(own, seconds=0.0, ids=[image.name] * times, paths=[path] * times, photographs=None)


def _write(folder: MapFolder, image: _Image, by_method: Mapping[str, Attributions], report: Report) -> None:
    for name in image.missing:
        report.zeros[name] += 0 if by_method[name].values.any() else 1
        folder.write_map(by_method[name], image.name, image.digest)
