"""What a search for concepts returns: how important each is, and the pieces of images that show it best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.concepts.discovery.pieces import Pieces
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from attribeval.attributer import Attributer


@dataclass(eq=False, repr=False)
class Concepts:
    """Concepts of one class in one layer, the most important first.

    Attributes:
        method: "craft" or "ace".
        model: Name of the model.
        layer: Where they were looked for.
        target: The class.
        class_name: Its name, or its number.
        columns: Per concept, by name of the column: arrays (k,). The first is what they are sorted by.
        examples: Of each concept the pieces of images that show it, the clearest first.
        images: The images, raw, float32 (N, H, W, C).
    """

    method: str
    model: str
    layer: str
    target: int
    class_name: str
    columns: dict[str, np.ndarray]
    examples: tuple[Pieces, ...]
    images: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        name, values = next(iter(self.columns.items()))
        first = ", ".join(f"{value:.2f}" for value in values[:3]) + (", …" if len(self) > 3 else "")
        return (
            f"{type(self).__name__}({len(self)} concepts of {self.class_name!r} in layer {self.layer!r} of "
            f"{self.model!r}: {name} {first})"
        )

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import concepts_html

        return concepts_html(self)

    def facts(self) -> dict[str, str]:
        """What a notebook says above the pictures, by name."""
        images = str(len(self.images))
        return {"model": self.model, "layer": self.layer, "class": self.class_name, "images": images}

    def table(self) -> pd.DataFrame:
        """A row per concept: its number, and `columns`."""
        import pandas as pd

        return pd.DataFrame({"concept": np.arange(len(self))} | self.columns)

    def pictures(self, concept: int, count: int = 8) -> np.ndarray:
        """The pieces of images that show a concept best, the clearest first.

        Args:
            concept: Its number.
            count: At most so many.

        Returns:
            float32 (n, H, W, C), raw, enlarged to the size of the images.

        Raises:
            AttribevalError: If there is no such concept.
        """
        return self.examples[self.checked(concept)][:count].cut(self.images)

    def plot(self, *, rows: int = 6, columns: int = 8) -> Figure:
        """Draw the pieces that show each concept best: a row per concept, the most important on top.

        Args:
            rows: At most so many concepts.
            columns: At most so many pieces of each.

        Returns:
            matplotlib Figure.
        """
        from attribeval.plots.concepts import concept_rows

        return concept_rows(self, rows, columns)

    def checked(self, concept: int) -> int:
        """The number of a concept.

        Raises:
            AttribevalError: If there is no such concept.
        """
        if not 0 <= concept < len(self):
            raise AttribevalError(f"Expected a concept from 0 to {len(self) - 1}. Received: {concept}.")
        return concept


def one_target(attributer: Attributer, target: Any) -> tuple[int, str]:
    """The class that is meant, and its name.

    Raises:
        AttribevalError: If it is no class of the model, or more than one.
    """
    found = attributer.classifier.read_targets([target], 1)
    if found is None or found.size != 1:
        raise AttribevalError(f"Expected one class, by index or name. Received: {target!r}.")
    index, names = int(found.ravel()[0]), attributer.classifier.class_names
    return index, f"class {index}" if names is None else str(names[index])
