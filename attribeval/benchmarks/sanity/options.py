"""The arguments of the sanity checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Literal

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.methods.given import Given

Mode = Literal["cascading", "independent"]


@dataclass(frozen=True)
class SanityOptions:
    """What `Evaluator.sanity` is asked to do.

    Attributes:
        methods: Methods to check. Names, objects and functions `f(model, images, targets, seed)`, in a list or in a
            mapping from labels: see `methods.given.methods_of`. "random" and "sobel" are added as controls. Sobel looks
            at no model: 1 everywhere. Random is noise that is drawn anew for every random model: what two unrelated
            maps have. All other methods draw the same random numbers for every model.
        modes: How layers are made random. "cascading" (all from the output down to this one), "independent" (this one
            alone), or both.
        similarities: How maps are compared: spearman_abs, spearman, ssim, hog. None: all for which the maps are large
            enough. They are those of `metrics.sanity.similarity.SIMILARITIES`.
        layers: How many layers to stop at, or which, by name or path. None: every layer with weights. So many are
            spread evenly, the last at the input. Cascading makes those between the stops random too.
        statistics: Whether BatchNormalization's moving statistics go back to 0 and 1, too. See
            `attribeval.models.randomised.randomised`.
        strict: A method or similarity that fails is an error. Otherwise it is a row that says why; the others go on.
        seed: Seed of the random weights and of the methods.
        batch_size: Images that the model takes at a time. None: the Attributer's.
        run_dir: A folder for what is measured; the same call continues there. There is a file per method, set of random
            layers, and 32 images; a call with other methods or stops computes theirs alone.
        progress: Whether to show a progress bar. None: on a terminal or in a notebook.
    """

    methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradient", "gradcam", "guided_backprop")
    _: KW_ONLY
    modes: Mode | Sequence[Mode] = ("cascading", "independent")
    similarities: str | Sequence[str] | None = None
    layers: int | str | Sequence[str] | None = None
    statistics: bool = False
    strict: bool = False
    seed: int = 0
    batch_size: int | None = None
    run_dir: str | PathLike | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        from attribeval.metrics.sanity.similarity import check_names

        check_types(self, batch_size=1, layers=1)
        modes = [self.modes] if isinstance(self.modes, str) else list(self.modes)
        if not modes or len(set(modes)) != len(modes):
            raise AttribevalError(f"Expected modes, each once: cascading, independent. Received: {modes}.")
        if self.similarities is not None:
            check_names(self.similarities)
