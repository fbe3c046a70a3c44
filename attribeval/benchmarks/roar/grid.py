"""Which trainings there are: estimators × modes × fractions × repeats, and the controls beside them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from attribeval.benchmarks.roar.ranks import MODES, Mode, check_fractions
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.methods.given import CONTROLS as OF_EVERY_STUDY

# Hooker et al. 2019, section 4.1 and appendix 6.4: three bases, each raw, squared, and in three ensembles.
PAPER_ESTIMATORS = tuple(
    f"{how}{base}" for base in ("GRAD", "IG", "GB") for how in ("", "SQ-", "SG-", "SG-SQ-", "VAR-")
)
PAPER_CONTROLS = OF_EVERY_STUDY
CONTROLS = ("leakage", "max_filter", "recursive")

MASK_OF = "mask of "  # before an estimator, the row of a model of its masks alone
Kind = Literal["unmodified", "method", "control", "leakage", "max_filter", "recursive"]


@dataclass(frozen=True)
class Estimator:
    """Something that ranks the values of an image.

    Attributes:
        label: What tables call it; unique in a grid.
        kind: "method" or "control" (knows nothing of the model).
        source: "method": `text` names one of ours; "function": `text` says where a function of the user's stands, which
            any process can call; "maps": the user's own, made where they are given, `text` says how.
        text: See `source`.
    """

    label: str
    kind: Literal["method", "control"]
    source: Literal["method", "function", "maps"]
    text: str


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        kind: "unmodified"; "method", "control": an estimator's ranking; "leakage": trained on the masks alone;
            "max_filter": the ranking of the map's 3 × 3 maximum; "recursive": ranked again at every fraction.
        estimator: Label of the estimator; "" for the unmodified model.
        mode: "remove", "keep", or "none" for the unmodified model.
        fraction: Share of the values that is removed, or kept.
        repeat: 0, 1, ….
    """

    kind: Kind
    estimator: str
    mode: Literal["remove", "keep", "none"]
    fraction: float
    repeat: int

    @property
    def label(self) -> str:
        """What tables call the row."""
        forms = {"leakage": f"{MASK_OF}{{}}", "max_filter": "max3({})", "recursive": "recursive({})"}
        return forms.get(self.kind, "{}").format(self.estimator)

    @property
    def ranking(self) -> str:
        """Label of the ranking that masks its images."""
        return self.estimator if self.kind == "leakage" else self.label

    @property
    def name(self) -> str:
        """Unique in the grid, and a file name."""
        if self.kind == "unmodified":
            return f"unmodified_r{self.repeat}"
        return f"{file_name(self.label)}_{self.mode}_{_short(self.fraction)}_r{self.repeat}"


@dataclass(frozen=True)
class Grid:
    """Everything that determines the results; one JSON file in the run directory.

    A run directory may be continued with more estimators, modes, repeats and controls; everything else must agree.

    Attributes:
        data: Name, counts, image shape, classes and fingerprint of the images and labels.
        model: What `builder.describe` returned.
        recipe: What `Recipe.to_json` returned.
        explained: "unmodified" (the unmodified model of repeat 0), or the fingerprint of the given checkpoint.
        preprocess: Name of the preprocessing, or None.
        fractions: Increasing, in (0, 1].
        per: Whether each channel "value" or each "pixel" is ranked.
        fill: What removed values become.
        targets: Class that is explained: "predicted" or "label".
        seed: Of everything random.
        estimators, modes, repeats, controls: The size of the grid.
    """

    data: dict[str, Any]
    model: dict[str, Any]
    recipe: dict[str, Any]
    explained: str
    preprocess: str | None
    fractions: tuple[float, ...]
    per: Literal["value", "pixel"]
    fill: Any
    targets: Literal["predicted", "label"]
    seed: int
    estimators: tuple[Estimator, ...]
    modes: tuple[Mode, ...]
    repeats: int
    controls: tuple[Kind, ...]

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        check_count("repeats", self.repeats, 1)
        check_choice("per", self.per, ("value", "pixel"))
        check_choice("targets", self.targets, ("predicted", "label"))
        for name, given, known in [("modes", self.modes, MODES), ("controls", self.controls, CONTROLS)]:
            for one in given:
                check_choice(name, one, known)
        if not self.modes or not self.estimators:
            raise AttribevalError("Expected at least one mode and one estimator. Received none.")
        if "recursive" in self.controls and "remove" not in self.modes:
            raise AttribevalError("Expected mode 'remove' for the recursive control. Received 'keep' alone.")
        labels = [estimator.label for estimator in self.estimators]
        for label in labels:
            if not isinstance(label, str) or not label.strip():
                raise AttribevalError(f"Expected a name for each estimator. Received: {label!r}.")
        names = [Cell(kind, e.label, "remove", 0.0, 0).label for kind in self.controls for e in self._of(kind)]
        names = [name.lower() for name in labels + names]  # some file systems do not tell GRAD from grad
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise AttribevalError(
                f"Expected estimators with names of their own, other than max3(…) and mask of …, which controls have. "
                f"Received {twice[0]!r} twice, in: {', '.join(labels)}."
            )

    # ------------------------------------------------------------------------------------------------- cells

    def unmodified(self) -> list[Cell]:
        """The trainings on the images as they are, one per repeat."""
        return [Cell("unmodified", "", "none", 0.0, repeat) for repeat in range(self.repeats)]

    def modified(self) -> list[Cell]:
        """All other trainings but the recursive ones: repeat 0 of everything first, so that early results are broad."""
        cells = []
        for repeat in range(self.repeats):
            for mode in self.modes:
                for fraction in self.fractions:
                    cells += [Cell(e.kind, e.label, mode, fraction, repeat) for e in self.estimators]
            for fraction in self.fractions:
                kinds: tuple[Kind, ...] = ("leakage", "max_filter")
                for kind in kinds:
                    if kind in self.controls:
                        cells += [Cell(kind, e.label, self.modes[0], fraction, repeat) for e in self._of(kind)]
        return cells

    def recursive(self) -> list[list[Cell]]:
        """The recursive trainings (Madsen et al. 2022), by fraction: each list needs those before it."""
        if "recursive" not in self.controls:
            return []
        return [
            [Cell("recursive", e.label, "remove", t, r) for r in range(self.repeats) for e in self._of("recursive")]
            for t in self.fractions
        ]

    def cells(self) -> list[Cell]:
        """Every training of the grid."""
        return self.unmodified() + self.modified() + [cell for level in self.recursive() for cell in level]

    def _of(self, kind: str) -> list[Estimator]:
        """The estimators that a control is made for."""
        if kind == "leakage":
            return list(self.estimators)
        found = [e for e in self.estimators if e.kind == "method"]
        return [e for e in found if e.source != "maps"] if kind == "recursive" else found

    def rankings(self) -> list[str]:
        """Labels of the rankings that are stored for all images (recursive ones belong to their cell)."""
        labels = [e.label for e in self.estimators]
        if "max_filter" in self.controls:
            labels += [Cell("max_filter", e.label, "remove", 0.0, 0).label for e in self._of("max_filter")]
        return labels

    def cell_seed(self, cell: Cell) -> int:
        """The seed of a training, from its own names: the grid's seed and the repeat.

        Trainings of one repeat start from the same weights and see the images in the same order, whatever was removed:
        what they differ in is what is compared, and tests against random are paired.
        """
        digest = hashlib.blake2b(f"{self.seed}/repeat {cell.repeat}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % 2**31

    # -------------------------------------------------------------------------------------------------- JSON

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are read again: tuples are lists."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Grid:
        """What `to_json` returned."""
        lists = {name: tuple(values[name]) for name in ("fractions", "modes", "controls")}
        fill = tuple(values["fill"]) if isinstance(values["fill"], list) else values["fill"]
        estimators = tuple(Estimator(**one) for one in values["estimators"])
        return cls(**(values | lists | {"estimators": estimators, "fill": fill}))


def file_name(label: str) -> str:
    """A label as part of a file name: unusual characters replaced, and a hash added where that happened."""
    safe = re.sub(r"[^A-Za-z0-9.+-]", "-", label)[:60]
    if safe == label and label.strip(".-") == label:
        return label
    return f"{safe.strip('.-') or 'label'}-{hashlib.blake2b(label.encode(), digest_size=3).hexdigest()}"


def spelt(label: str) -> str:
    """A name as the user typed it; the papers' short names are spelt in capitals."""
    return label.upper() if label.upper() in PAPER_ESTIMATORS else label


def _short(fraction: float) -> str:
    return repr(fraction).removesuffix(".0")
