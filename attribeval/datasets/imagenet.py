"""ImageNet (ILSVRC 2012, classification and localisation) as it lies on disk: images, labels, boxes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path, PurePath
from typing import Literal

from attribeval.datasets import wnids
from attribeval.datasets.given import check_limit
from attribeval.datasets.imagenet_boxes import Box, read_boxes, stem_of
from attribeval.datasets.listed import parsed, read_lines
from attribeval.datasets.listing import folders_in
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError, unknown

_SPLITS = ("train", "val")
_SUFFIXES = (".jpeg", ".jpg", ".png")
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_COLUMNS = ["ImageId", "PredictionString"]
# Where the devkit's data files may lie below a folder.
_DEVKIT = ("ILSVRC2012_devkit_t12/data", "devkit/data", "data", "")


def imagenet(
    root: str | PathLike,
    split: str = "val",
    *,
    limit: int | None = None,
    boxes: Literal["auto"] | bool = "auto",
    class_index: str | PathLike | Mapping | None = None,
) -> Samples:
    """Read ImageNet (Russakovsky et al. 2015) in any of the layouts it is handed round in; nothing is downloaded.

    Layouts, found below `root` (the ILSVRC folder, its parent, or the folder of images):

    * Kaggle: `Data/CLS-LOC/val/*.JPEG`, `Annotations/CLS-LOC/val/*.xml`, LOC_val_solution.csv and
      LOC_synset_mapping.txt (the last two in the ILSVRC folder or beside it);
    * devkit: `val/*.JPEG` with ILSVRC2012_devkit_t12/data/meta.mat and ILSVRC2012_validation_ground_truth.txt; the
      number in a file's name is its line, so a part of the images is read right too;
    * synset folders: `val/n01440764/*.JPEG` (and train).

    Labels are Keras' class indices: the rank of the WNID among the 1000 sorted WNIDs. The list of WNIDs comes from
    `class_index`, else LOC_synset_mapping.txt, else meta.mat, else exactly 1000 synset folders, else Keras' cached
    file.

    Boxes come from the XML files; where an image has none, from LOC_<split>_solution.csv with the image's own size.
    Those of the CSV are right only while the images have their original size; the XML says which size its boxes refer
    to, so they hold for resized (squashed) images too. xmin, ymin, xmax, ymax are taken as *edges* in the annotated
    frame, and divided by its width and height.

    Args:
        root: Where the data set lies.
        split: "val" or "train".
        limit: Read only the first `limit` images by file name (the same ones every time; in `train` that is the first
            classes only). None: all.
        boxes: "auto": read boxes if there are any annotations; an image without (much of `train`) gets an empty list.
            True: every image must have a box of its label. False: read none.
        class_index: Path of Keras' imagenet_class_index.json, or its content as a dict, for when the 1000 WNIDs cannot
            be found in the data set (or the model knows other classes).

    Returns:
        `Samples` over the paths, by file name, with `labels`, `boxes`, `class_names`, `wnids`; ids are the file names
        without suffix. `exif` is False: the boxes refer to the image as stored.

    Raises:
        AttribevalError: If there are no images, no labels or no list of classes; if boxes are demanded and missing; if
            an XML, CSV or devkit file is malformed or holds an XML entity bomb; if a box leaves its annotated frame or
            is empty (some of `train` do; correct the file or read with boxes=False); if an image has no label or a
            WNID is unknown.
    """
    if split not in _SPLITS:
        raise unknown("split of ImageNet", str(split), _SPLITS)
    if boxes != "auto" and not isinstance(boxes, bool):
        raise AttribevalError(f"Expected boxes='auto', True or False. Received: boxes={boxes!r}.")
    check_limit(limit)
    root = Path(os.path.normpath(Path(root).expanduser().absolute()))
    folder, images, synsets = _find_images(root, split)
    images = images[:limit]
    places = _places(root, folder)

    solution_file = _locate(places, f"LOC_{split}_solution.csv")
    solution = {} if solution_file is None else _read_solution(solution_file)
    meta = _locate(places, *(str(Path(below, wnids.META)) for below in _DEVKIT))
    classes = wnids.find_classes(class_index, _locate(places, wnids.MAPPING), meta, synsets)
    if any(wnid is None for _, wnid in images):
        labels = _flat_labels(images, solution_file, solution, meta, places, split)
    else:
        labels = [str(wnid) for _, wnid in images]
    paths = [path for path, _ in images]
    return Samples(
        paths,
        [classes.index(wnid, f"image {path!r}") for path, wnid in zip(paths, labels, strict=True)],
        boxes=read_boxes(paths, labels, solution, solution_file, root, places, split, boxes) if boxes else None,
        ids=[stem_of(path) for path in paths],
        class_names=classes.names,
        wnids=classes.wnids,
        exif=False,
        name=f"imagenet-{split}",
    )


def _find_images(root: Path, split: str) -> tuple[Path, list[tuple[str, str | None]], list[str]]:
    """The folder of images; (path, WNID of its synset folder or None) by file name; the synset folders' names."""
    if not root.is_dir():
        raise AttribevalError(f"Expected the folder of ImageNet. Received {str(root)!r}: no such directory.")
    below = (f"Data/CLS-LOC/{split}", f"CLS-LOC/{split}", split, f"ILSVRC2012_img_{split}")
    candidates = [place / b for place in (root, *(root / child for child in folders_in(root))) for b in below] + [root]
    for folder in candidates:
        if folder.is_dir():
            images, synsets = _list_images(folder)
            if images:
                if folder.name in {"train", "val", "test"} - {split}:
                    raise AttribevalError(
                        f"Expected images of split {split!r}. Received {str(folder)!r}: pass split={folder.name!r} or "
                        "another folder."
                    )
                return folder, images, synsets
    raise AttribevalError(
        f"No images of ImageNet found: looked for {', '.join(_SUFFIXES)} files, directly or in synset folders such as "
        f"n01440764, in {', '.join(below)} below {str(root)!r} and its subfolders, and in that folder itself. Pass the "
        f"folder that holds the images of split {split!r}."
    )


def _list_images(folder: Path) -> tuple[list[tuple[str, str | None]], list[str]]:
    def files(directory: str, wnid: str | None) -> list[tuple[str, str | None]]:
        with os.scandir(directory) as entries:
            names = [(e.path, e.name) for e in entries]
        return [(p, wnid) for p, n in names if n.lower().endswith(_SUFFIXES) and not n.startswith(".")]

    with os.scandir(folder) as entries:
        synsets = sorted(e.name for e in entries if wnids.is_wnid(e.name) and e.is_dir())
    images = files(str(folder), None)
    for synset in synsets:
        images += files(str(folder / synset), synset)
    return sorted(images, key=lambda image: (PurePath(image[0]).name, image[0])), synsets


def _places(root: Path, folder: Path) -> list[Path]:
    """Where annotations and lists may lie: from the image folder up to the data set's own folder, nearest first."""
    # In the Kaggle edition the CSV files lie beside the folder that holds Data/CLS-LOC/<split>.
    up = 4 if folder.parent.name == "CLS-LOC" and folder.parent.parent.name == "Data" else 1
    places = [folder, *list(folder.parents)[:up]]
    return places + [root] * (root not in places)


def _locate(places: list[Path], *names: str) -> Path | None:
    return next((place / name for place in places for name in names if (place / name).is_file()), None)


def _read_solution(path: Path) -> dict[str, tuple[str, list[Box]]]:
    """Image id -> (WNID, boxes in pixels) from the lines "id,n01440764 x0 y0 x1 y1 n01440764 …" of a solution CSV."""
    found: dict[str, tuple[str, list[Box]]] = {}
    header = read_lines(path)[0].replace('"', "").split(",")
    if header != _COLUMNS:
        raise AttribevalError(
            f"Expected the columns {','.join(_COLUMNS)}. Received {header} in {str(path)!r}. Fetch it again."
        )

    def parse(line: str) -> None:
        image, *texts = line.replace('"', "").split(",")
        if not found and [image, *texts] == header:
            return
        words = texts[0].split() if len(texts) == 1 else []
        if not words or len(words) % 5 or set(words[::5]) != {words[0]} or image in found:
            raise ValueError("correct the line or fetch the file again")
        edges = [map(float, words[i + 1 : i + 5]) for i in range(0, len(words), 5)]
        found[image] = words[0], [(x0, y0, x1, y1) for x0, y0, x1, y1 in edges]

    parsed(path, "'image,WNID x0 y0 x1 y1 …' with one and the same WNID, once per image,", parse)
    return found


def _flat_labels(
    images: list[tuple[str, str | None]],
    solution_file: Path | None,
    solution: dict[str, tuple[str, list[Box]]],
    meta: Path | None,
    places: list[Path],
    split: str,
) -> list[str]:
    """The WNID of every image where (some) lie in no synset folder: by the solution CSV, else by the devkit."""
    truth_file = _locate(places, *(str(Path(below, _GROUND_TRUTH)) for below in _DEVKIT))
    if solution_file is not None:
        source = str(solution_file)
        known = {stem: wnid for stem, (wnid, _) in solution.items()}
    elif split == "val" and truth_file is not None and meta is not None:
        source = str(truth_file)
        known = _devkit_labels(images, truth_file, meta)
    else:
        raise AttribevalError(
            f"Found images in {str(places[0])!r} but no labels: looked for synset folders, LOC_{split}_solution.csv, "
            f"and (for 'val') {_GROUND_TRUTH} with {wnids.META}, in {', '.join(map(repr, map(str, places)))} and the "
            "devkit's folder below. Put them there, or pass the folder that holds them."
        )
    labels = []
    for path, wnid in images:
        label = wnid or known.get(stem_of(path))
        if label is None:
            raise AttribevalError(
                f"Image {path!r} has no label in {source!r}. Remove the image, or put it in a folder named by its WNID."
            )
        labels.append(label)
    return labels


def _devkit_labels(images: list[tuple[str, str | None]], truth_file: Path, meta: Path) -> dict[str, str]:
    """Image id -> WNID: line n of the ground truth is the ILSVRC2012_ID of ILSVRC2012_val_<n>."""
    by_id = wnids.read_meta(meta)
    lines = truth_file.read_text(encoding="ascii", errors="replace").split()
    known: dict[str, str] = {}
    for path, _ in images:
        stem = stem_of(path)
        number = re.search(r"val_(\d+)", stem)
        line = int(number.group(1)) if number else 0
        if 1 <= line <= len(lines):
            text = lines[line - 1]
            if not text.isdecimal() or int(text) not in by_id:
                raise AttribevalError(
                    f"Expected an ILSVRC2012_ID of {str(meta)!r}. Received {text!r} in {str(truth_file)!r}, line "
                    f"{line} (image {stem!r}). Fetch ILSVRC2012_devkit_t12.tar.gz again."
                )
            known[stem] = by_id[int(text)][0]
    return known
