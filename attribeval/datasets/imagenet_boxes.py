"""Boxes of ImageNet images: the official XML files, or one CSV file of all."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from tqdm.auto import tqdm

from attribeval.datasets.geometry import relative_box
from attribeval.datasets.images import image_size
from attribeval.errors import AttribevalError
from attribeval.progress import is_quiet

Box = tuple[float, float, float, float]
_relative = partial(relative_box, remedy="correct the file, or read with boxes=False")


def stem_of(path: str) -> str:
    return PurePath(path).stem


def read_boxes(
    paths: list[str],
    labels: list[str],
    solution: dict[str, tuple[str, list[Box]]],
    solution_file: Path | None,
    root: Path,
    places: list[Path],
    split: str,
    wanted: Literal["auto"] | bool,
) -> list[np.ndarray] | None:
    """Relative boxes of every image, or None when there are no annotations at all (and none are demanded)."""
    folders = [place / below / split for place in places for below in ("Annotations/CLS-LOC", "Annotations")]
    folders = [folder for folder in folders if folder.is_dir()][:1] or [root]
    xml_files = _index_xml(folders[0], {stem_of(path) for path in paths})
    found: list[np.ndarray] = []
    for path, wnid in zip(
        tqdm(paths, desc="boxes", unit="image", delay=2, disable=is_quiet() or None), labels, strict=True
    ):
        stem = stem_of(path)
        if stem in xml_files:
            boxes = _read_xml(xml_files[stem], wnid)
        elif stem in solution:
            size = image_size(path)
            where = f"image {stem!r} in {str(solution_file)!r} (in a frame of the image's own size)"
            boxes = [_relative(box, size, where) for box in solution[stem][1] if solution[stem][0] == wnid]
        else:
            boxes = []
        if wanted is True and not boxes:
            raise AttribevalError(
                f"Image {path!r} has no box of its label {wnid}: looked for {stem}.xml below {str(folders[0])!r} and "
                f"for LOC_{split}_solution.csv in {', '.join(map(repr, map(str, places)))}. Pass the folder that also "
                "holds Annotations/CLS-LOC, or boxes='auto' (an empty list where there is none) or boxes=False."
            )
        found.append(np.array(boxes, dtype=np.float64).reshape(-1, 4))
    return found if wanted is True or xml_files or solution else None


def _index_xml(folder: Path, ids: set[str]) -> dict[str, str]:
    """Image id -> path of its XML, for the ids that have one anywhere below; each directory is listed once."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for directory, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen:  # a link back up
            subfolders.clear()
            continue
        seen.add(real)
        for name in names:
            if name.endswith(".xml") and name[:-4] in ids:
                path = str(PurePath(directory, name))
                if found.setdefault(name[:-4], path) != path:
                    raise AttribevalError(
                        f"Expected one annotation per image. Received {found[name[:-4]]!r} and {path!r}: pass a folder "
                        "that holds only those of ImageNet's localisation task (CLS-LOC)."
                    )
    return found


def _read_xml(path: str, wnid: str) -> list[np.ndarray]:
    """The relative boxes of the objects named `wnid` in a PASCAL VOC annotation."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        annotation = parse(path).getroot()
        width, height = (float(annotation.findtext(f"size/{side}") or "") for side in ("width", "height"))
        boxes = []
        for number, thing in enumerate(annotation.findall("object")):
            if (thing.findtext("name") or "").strip() == wnid:
                edges = [float(thing.findtext(f"bndbox/{edge}") or "") for edge in ("xmin", "ymin", "xmax", "ymax")]
                boxes.append(((edges[0], edges[1], edges[2], edges[3]), f"object {number} of {path!r}"))
    except DefusedXmlException as error:
        raise AttribevalError(
            f"Refused {path!r}: it declares XML entities, as an entity bomb does ({type(error).__name__}), which no "
            "annotation of ImageNet needs. Remove it or fetch it again."
        ) from error
    except (ParseError, OSError, ValueError, LookupError, RecursionError) as error:
        raise AttribevalError(
            "Expected a PASCAL VOC annotation with size/width, size/height and, per object, name and bndbox/xmin, ymin,"
            f" xmax, ymax as numbers. Received {path!r} ({error}). Fetch it again, or read with boxes=False."
        ) from error
    return [_relative(box, (height, width), where) for box, where in boxes]
