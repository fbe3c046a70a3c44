"""The metadata folders and map files of `wsolevaluation` (Choe et al. 2020), so that published maps can be scored."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from tokenize import TokenError

import numpy as np

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
    ids = [line for _, line in _lines(folder / "image_ids.txt")][:limit]
    if not ids:
        raise AttribevalError(f"Expected an image per line in {str(folder / 'image_ids.txt')!r}. Received none.")
    labels = {parts[0]: int(parts[1]) for parts in _rows(folder / "class_labels.txt", 2, numbers=1)}
    places = _rows(folder / "localization.txt", (3, 5), numbers=None)
    sizes = {p[0]: (float(p[1]), float(p[2])) for p in _rows(folder / "image_sizes.txt", 3, numbers=2)}
    with_boxes = any(len(parts) == 5 for parts in places)  # masks alone, as OpenImages', need no sizes
    listed: list[tuple[str, Collection[str]]] = [("class_labels.txt", labels)]
    listed += [("image_sizes.txt", sizes)] if with_boxes else []
    for what, known in listed:
        missing = [name for name in ids if name not in known]
        if missing:
            raise AttribevalError(
                f"Expected a line for every image in {str(folder / what)!r}. Received none for {len(missing)}: "
                f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}."
            )
    found_boxes: dict[str, list[np.ndarray]] = {}
    found_masks: dict[str, list[tuple[str, str]]] = {}
    wanted = set(ids)
    for parts in places:
        if parts[0] not in wanted:
            continue
        if len(parts) == 3:
            found_masks.setdefault(parts[0], []).append((parts[1], parts[2]))
            continue
        width, height = sizes[parts[0]]
        try:
            box = np.array([float(v) for v in parts[1:]]) / [width, height, width, height]
            if not np.isfinite(box).all() or min(width, height) <= 0:
                raise ValueError("no finite numbers, or an image without a size")
        except (ValueError, OverflowError) as error:
            raise AttribevalError(
                f"Expected 'id,x0,y0,x1,y1' in {str(folder / 'localization.txt')!r}. Received {','.join(parts)!r}."
            ) from error
        found_boxes.setdefault(parts[0], []).append(np.clip(box, 0, 1))
    if found_masks:
        lacking = [name for name in ids if name not in found_masks]
        if lacking:
            raise AttribevalError(
                f"Expected a mask for every image in {str(folder / 'localization.txt')!r}. Received none for "
                f"{len(lacking)}: {', '.join(lacking[:5])}{', …' if len(lacking) > 5 else ''}."
            )
    base = folder if masks is None else Path(masks)
    return Samples(
        [Path(images) / name for name in ids],
        np.array([labels[name] for name in ids]),
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


def _mask(files: Sequence[tuple[str, str]], base: Path) -> FileMask:
    ignored = next((name for _, name in files if name), None)
    return FileMask([base / name for name, _ in files], None if ignored is None else base / ignored)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AttribevalError(f"Expected the metadata file {str(path)!r}. Received: {error}.") from error
    return [(i + 1, line.strip()) for i, line in enumerate(text.splitlines()) if line.strip()]


def _rows(path: Path, width: int | tuple[int, ...], numbers: int | None) -> list[list[str]]:
    widths = (width,) if isinstance(width, int) else width
    rows = []
    for number, line in _lines(path):
        parts = line.split(",")
        good = len(parts) in widths
        if good and numbers:
            good = all(part.strip().isascii() and part.strip().isdigit() for part in parts[-numbers:])
        if not good:
            raise AttribevalError(
                f"Expected {' or '.join(map(str, widths))} values, separated by commas. Received {line!r} in "
                f"{str(path)!r}, line {number}."
            )
        rows.append(parts)
    return rows
