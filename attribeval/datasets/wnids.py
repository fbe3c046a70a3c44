"""WordNet ids (WNIDs) to class indices: the only place where ImageNet's names become the model's output numbers.

Keras' index of a class is the rank of its WNID among the 1000 sorted WNIDs of ILSVRC 2012. The devkit's
ILSVRC2012_ID is another order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from attribeval.datasets.listed import parsed
from attribeval.errors import AttribevalError

N_CLASSES = 1000
MAPPING = "LOC_synset_mapping.txt"
META = "meta.mat"


@dataclass(frozen=True)
class ClassIndex:
    """The classes of a model by output index; `names` may be unknown, `source` is for messages."""

    wnids: tuple[str, ...]
    names: tuple[str, ...] | None
    source: str

    @cached_property
    def _index(self) -> dict[str, int]:
        return {wnid: i for i, wnid in enumerate(self.wnids)}

    def index(self, wnid: str, item: str) -> int:
        """The class index of a WNID; `item` is what has that label, for the message."""
        if wnid not in self._index:
            raise AttribevalError(
                f"Expected one of the {len(self.wnids)} WNIDs of {self.source}. Received {wnid!r} for {item}: remove "
                "it from the set, or pass class_index= with a list that has this class."
            )
        return self._index[wnid]


def find_classes(
    class_index: str | PathLike | Mapping | None, mapping: Path | None, meta: Path | None, folders: Iterable[str]
) -> ClassIndex:
    """The 1000 classes from the first source there is; of these, or Keras' cached file (KERAS_HOME or ~/.keras).

    Args:
        class_index: Path to Keras' imagenet_class_index.json, or its content: {"0": ["n01440764", "tench"], …}. It may
            have fewer classes, numbered from 0.
        mapping: LOC_synset_mapping.txt of the Kaggle edition, if found.
        meta: meta.mat of the devkit, if found.
        folders: Names of the synset folders. They are a source when there are exactly 1000.
    """
    if class_index is not None:
        return _from_class_index(class_index)
    if mapping is not None:
        return _ranked(read_mapping(mapping), str(mapping))
    if meta is not None:
        return _ranked(dict(read_meta(meta).values()), str(meta))
    folders = set(folders)
    if len(folders) == N_CLASSES:
        return ClassIndex(tuple(sorted(folders)), None, "the synset folders")
    cached = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models" / "imagenet_class_index.json"
    if cached.is_file():
        classes = _from_class_index(cached)
        return _ranked(dict(zip(classes.wnids, classes.names or (), strict=True)), str(cached))
    raise AttribevalError(
        f"The {N_CLASSES} WNIDs that number the classes are not known: looked for {MAPPING}, the devkit's {META}, "
        f"{N_CLASSES} synset folders (found {len(folders)}) and {str(cached)!r}. Pass class_index=, the path of Keras' "
        "imagenet_class_index.json or its content as a dict."
    )


def read_mapping(path: Path) -> dict[str, str]:
    """Return WNID -> first synonym from a LOC_synset_mapping.txt ("n01440764 tench, Tinca tinca" per line)."""
    names: dict[str, str] = {}

    def parse(line: str) -> None:
        wnid, _, words = line.strip().partition(" ")
        if not is_wnid(wnid) or wnid in names:
            raise ValueError("a WNID is malformed or repeated. Fetch the file again")
        names[wnid] = _first_synonym(words)

    parsed(path, "one 'n01440764 tench, …' per class", parse)
    return names


def read_meta(path: Path) -> dict[int, tuple[str, str]]:
    """Return ILSVRC2012_ID -> (WNID, first synonym) of the low-level synsets of a devkit's meta.mat.

    The file also lists the inner nodes of the hierarchy; the classes are the synsets without children.
    """
    from scipy.io import loadmat

    try:
        synsets = np.atleast_1d(loadmat(path, squeeze_me=True)["synsets"])
        leaves = [s for s in synsets if int(s["num_children"]) == 0]
        found = {int(s["ILSVRC2012_ID"]): (str(s["WNID"]), _first_synonym(str(s["words"]))) for s in leaves}
    except Exception as error:  # scipy has no error of its own: a damaged file raises nearly anything
        raise AttribevalError(
            f"Expected the devkit's meta.mat, with 'synsets'. Received {str(path)!r} ({type(error).__name__}: {error})."
            " Fetch ILSVRC2012_devkit_t12.tar.gz again, or pass class_index=."
        ) from error
    wnids = {wnid for wnid, _ in found.values()}
    bad = next((wnid for wnid in wnids if not is_wnid(wnid)), None)
    if bad is not None or len(wnids) != len(leaves):
        raise AttribevalError(
            f"Expected one WNID and one ILSVRC2012_ID per synset. Received {str(path)!r} with "
            f"{'repeated ones' if bad is None else repr(bad)}. Fetch ILSVRC2012_devkit_t12.tar.gz again."
        )
    return found


def is_wnid(text: object) -> bool:
    """Whether this is a noun's WordNet id as ImageNet writes it: "n" and eight digits."""
    return isinstance(text, str) and len(text) == 9 and text[0] == "n" and text[1:].isascii() and text[1:].isdigit()


def _first_synonym(words: str) -> str:
    return words.split(",")[0].strip()


def _ranked(names: dict[str, str], source: str) -> ClassIndex:
    """Keras' rule: the index is the rank among the 1000 sorted WNIDs."""
    if len(names) != N_CLASSES:
        raise AttribevalError(
            f"Expected {N_CLASSES} WNIDs in {source!r}. Received {len(names)}: the rank of a WNID is the class index "
            "only in the whole list. Fetch the file again, or pass class_index=."
        )
    wnids = tuple(sorted(names))
    return ClassIndex(wnids, tuple(names[wnid] for wnid in wnids), source)


def _from_class_index(class_index: str | PathLike | Mapping) -> ClassIndex:
    if isinstance(class_index, Mapping):
        content, source = class_index, "class_index"
    else:
        source = str(class_index)
        try:
            content = json.loads(Path(class_index).expanduser().read_text(encoding="utf-8"))
        except (OSError, TypeError, ValueError) as error:
            raise AttribevalError(
                f"Expected class_index= to be the path of a JSON file like Keras' imagenet_class_index.json. Received "
                f"{class_index!r} ({error})."
            ) from error
    try:
        entries = {int(i): (wnid, name) for i, (wnid, name) in content.items()}
        ok = sorted(entries) == list(range(len(content))) and all(is_wnid(wnid) for wnid, _ in entries.values())
        ok = ok and len({wnid for wnid, _ in entries.values()}) == len(entries) > 0
    except (AttributeError, TypeError, ValueError):
        ok = False
    if not ok:
        raise AttribevalError(
            f'Expected the class index {source!r} to be {{"0": ["n01440764", "tench"], "1": …}}, indices from 0 '
            "without a gap, WNIDs unique. Received something else: pass Keras' imagenet_class_index.json."
        )
    ordered = [entries[i] for i in range(len(entries))]
    # Keras writes "great_white_shark"; every other source has blanks.
    return ClassIndex(tuple(w for w, _ in ordered), tuple(str(n).replace("_", " ") for _, n in ordered), source)
