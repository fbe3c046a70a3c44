"""Studies by name: the folder of each, of which parts are imported when they are asked for.

To add one: write its folder, add its line. A folder's `view` says how results are shown, its `options` are its
arguments, its `command` (made from the options, if it has none) is its command line.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any

from attribeval import plugins

STUDIES = {  # by the name that results carry
    "leaderboard": "attribeval.benchmarks.leaderboard",
    "sanity": "attribeval.benchmarks.sanity",
    "data_randomisation": "attribeval.benchmarks.sanity",
    "wsol": "attribeval.benchmarks.wsol",
    "roar": "attribeval.benchmarks.roar",
    "bam": "attribeval.benchmarks.bam",
    "agreement": "attribeval.benchmarks.agreement",
}


def studies() -> list[str]:
    """Names of all studies: ours, then those of other packages."""
    return [*STUDIES, *plugins.names(plugins.STUDIES, STUDIES)]


def part(name: str, file: str) -> ModuleType | None:
    """A part of a study, imported.

    Args:
        name: Of the study, as its results carry it.
        file: "view", "options", "procedure", "command" or "judgements".

    Returns:
        The module; None if there is no such study, or it has no such part.
    """
    folder = STUDIES.get(name) or _folder_of_plugin(name)
    if folder is None or importlib.util.find_spec(f"{folder}.{file}") is None:
        return None
    return importlib.import_module(f"{folder}.{file}")


def _folder_of_plugin(name: str) -> str | None:
    package = plugins.load(plugins.STUDIES, name, _fault)
    return None if package is None else package.__name__


def _fault(loaded: Any) -> str | None:
    return None if hasattr(loaded, "__path__") else "it is no package, with view.py in its folder"
