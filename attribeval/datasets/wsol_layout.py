"""The metadata folders and map files of `wsolevaluation` (Choe et al. 2020), so that published maps can be scored."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from tokenize import TokenError

import numpy as np

from attribeval.datasets.listed import parsed, read_lines, some
from attribeval.datasets.masks import FileMask
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError


def wsol_metadata(
    folder: str | PathLike, images: str | PathLike = "", masks: str | PathLike | None = None, limit: int | None = None
) -> Samples:
    """Read one split's metadata folder: image_ids.txt, class_labels.txt, image_sizes.txt, localization.txt.

    A line of localization.txt is "id,x0,y0,x1,y1" (a box in pixels, taken as edges; an image may have several) or
    "id,mask file,ignore file" (the ignore file may be empty). Sizes are needed for boxes alone: those of OpenImages
    are an empty file.

    Args:
        folder: The metadata of one split.
        images: Folder of the images, to which ids are appended. Not needed to score map files.
        masks: Folder of the mask files, for lines that name some; None: `folder`.
        limit: Only the first images.

    Returns:
        `Samples` in the order of image_ids.txt; ids are the lines of that file.

    Raises:
        AttribevalError: If a file is missing, a line is malformed (naming file and line), or an image lacks its label
            or size.
    """
    folder = Path(folder)
    ids = [line.strip() for line in read_lines(folder / "image_ids.txt")][:limit]
    wanted = set(ids)
    labels = _numbers(folder / "class_labels.txt", 1)
    _check_listed(ids, labels, "line", folder / "class_labels.txt")
    sizes = _numbers(folder / "image_sizes.txt", 2)
    found_boxes: dict[str, list[np.ndarray]] = {}
    found_masks: dict[str, list[list[str]]] = {}

    def parse(line: str) -> None:
        name, *rest = line.strip().split(",")
        if len(rest) not in (2, 4):
            raise ValueError(f"{len(rest) + 1} values")
        if name not in wanted:
            return
        if len(rest) == 2:
            found_masks.setdefault(name, []).append(rest)
            return
        if name not in sizes:  # masks alone, as OpenImages', need none
            raise ValueError("its image has no line in image_sizes.txt")
        box = np.array(rest, float) / np.array(sizes[name] * 2, float)
        if not np.isfinite(box).all() or min(sizes[name]) <= 0:
            raise ValueError("no finite numbers, or an image without a size")
        found_boxes.setdefault(name, []).append(np.clip(box, 0, 1))

    parsed(folder / "localization.txt", "'id,x0,y0,x1,y1' or 'id,mask file,ignore file'", parse, empty=True)
    if found_masks:
        _check_listed(ids, found_masks, "mask", folder / "localization.txt")
    base = folder if masks is None else Path(masks)
    return Samples(
        [Path(images) / name for name in ids],
        np.array([labels[name][0] for name in ids]),
        boxes=[np.array(found_boxes.get(name, [])).reshape(-1, 4) for name in ids] if found_boxes else None,
        masks=[_mask(found_masks[name], base) for name in ids] if found_masks else None,
        ids=ids,
        name=folder.name,
    )


def wsol_maps(folder: str | PathLike, ids: Sequence[str]) -> MapFolder:
    """The map files `<id>.npy` below a folder, one read at a time.

    Args:
        folder: Where the files lie; an id may hold folders of its own ("val/x.JPEG" is val/x.JPEG.npy).
        ids: Of the images whose maps are wanted.

    Returns:
        A sequence of maps (H, W) in the order of `ids`, for `benchmarks.wsol.evaluate`.

    Raises:
        AttribevalError: If files are missing: all of them are listed, with the files that no id asks for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AttribevalError(f"Expected a folder of map files. Received {str(folder)!r}: no such directory.")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*.npy")}
    expected = [f"{name}.npy" for name in ids]
    missing = [name for name in expected if name not in present]
    if missing:
        unused = sorted(present - set(expected))
        named = f" Files that no image asks for ({len(unused)}): {', '.join(unused)}." if unused else ""
        raise AttribevalError(
            f"Expected a file <image id>.npy for every image below {str(folder)!r}. Received none for {len(missing)} "
            f"of {len(ids)}: {', '.join(missing)}.{named}"
        )
    return MapFolder([folder / name for name in expected])


class MapFolder(Sequence):
    """Map files that are read when they are indexed."""

    def __init__(self, paths: Sequence[Path]):
        self._paths = list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return MapFolder(self._paths[index])
        path = self._paths[index]
        try:
            heatmap = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, SyntaxError, TokenError, MemoryError) as error:
            raise AttribevalError(f"Expected {str(path)!r} to hold a map (H, W). Received: {error}.") from error
        if not isinstance(heatmap, np.ndarray) or heatmap.ndim != 2 or heatmap.dtype.kind not in "fiub":
            what = f"{heatmap.dtype} {heatmap.shape}" if isinstance(heatmap, np.ndarray) else "several arrays"
            raise AttribevalError(f"Expected {str(path)!r} to hold a map (H, W) of real numbers. Received: {what}.")
        return heatmap


def _mask(files: Sequence[list[str]], base: Path) -> FileMask:
    ignored = next((name for _, name in files if name), None)
    return FileMask([base / name for name, _ in files], None if ignored is None else base / ignored)


def _check_listed(ids: Sequence[str], known: Collection[str], what: str, path: Path) -> None:
    missing = [name for name in ids if name not in known]
    if missing:
        raise AttribevalError(
            f"Expected a {what} for every image in {str(path)!r}. Received none for {len(missing)}: {some(missing, 5)}."
        )


def _numbers(path: Path, count: int) -> dict[str, list[int]]:
    """So many whole numbers by id."""

    def parse(line: str) -> tuple[str, list[int]]:
        name, *rest = line.strip().split(",")
        if len(rest) != count:
            raise ValueError(f"{len(rest) + 1} values")
        return name, [int(value) for value in rest]

    return dict(parsed(path, f"an id and {count} whole number{'s' * (count > 1)}, separated by commas,", parse, True))
