"""Pictures of each method: embedded photographs, explained by the net that ships with the package."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attribeval.methods import registry

NET = "digit_objects"
IMAGES = [0, 1, 4, 7]  # of the test images of digit_scenes(n_train=1, n_test=8): seven, eight, two, six

# What is called where the name alone cannot be, and where it would take more than a few seconds.
CALLS = {"expected_gradients": "expected_gradients(references=[0, 127, 255])"}
QUICK = {
    "extremal_perturbation": "extremal_perturbation(iterations=300)",
    "anchors": "anchors(samples=200)",
}
_SIDE, _GAP, _DPI = 1.9, 0.06, 100  # inches


@dataclass(frozen=True)
class Picture:
    """A picture and what to say of it."""

    path: Path
    caption: str
    alt: str

    @property
    def strip(self) -> Path:
        """The maps alone, side by side; methods only."""
        return self.path.with_stem(f"{self.path.stem}-four")


def photographs(folder: Path) -> Path:
    """Where the images themselves are."""
    return folder / "photographs.png"


def call(name: str, cls: type) -> str:
    """How a method is called by default; a wrapper goes around the gradient."""
    return CALLS.get(name, f"{name}(gradient)" if registry.needs_base(cls) else name)


def make(folder: Path) -> dict[str, Picture]:
    """Draw all methods; pictures whose method has not changed since are kept.

    Args:
        folder: Where pictures lie. The name of a file holds a hash of the call, of the source of the method and of the
            plot.

    Returns:
        A picture by the name of the method; those that need attention, which the net has not, are `attention_pictures`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    on_any_net = {name: cls for name, cls in registry.METHODS.items() if not registry.needs_attention(cls)}
    wanted = {name: QUICK.get(name, call(name, cls)) for name, cls in on_any_net.items()}
    files = {name: folder / f"{_key(name, text)}.png" for name, text in wanted.items()}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing or not photographs(folder).is_file():
        _draw({name: (wanted[name], files[name]) for name in missing}, photographs(folder))
    made = {
        name: Picture(files[name], _caption(name, wanted[name]), f"Four photographs and their maps by {name}")
        for name in wanted
    }
    kept = {file for picture in made.values() for file in (picture.path, picture.strip)} | {photographs(folder)}
    for old in set(folder.glob("*.png")) - kept:
        old.unlink()
    return made


def _key(name: str, text: str) -> str:
    cls = registry.METHODS[name]
    plots = Path(__file__).resolve().parents[1] / "attribeval/plots"
    sources = [Path(sys.modules[cls.__module__].__file__), plots / "heat.py", plots / "style.py", Path(__file__)]
    content = text.encode() + b"".join(source.read_bytes() for source in sources)
    return f"{cls.__module__.rsplit('.', 1)[-1]}-{hashlib.blake2b(content, digest_size=6).hexdigest()}"


def _caption(name: str, text: str) -> str:
    smaller = " Smaller options than the defaults, to be quick." if name in QUICK else ""
    return (
        f'`Attributer("{NET}").explain(images, "{text}")` on four test images of the embedded `digit_scenes`; the '
        "class explained is the predicted one, and channels are summed. Pale is evidence for the class, up to the 99th "
        f"percentile of the map's own absolute values; blue, where there is any, is evidence against.{smaller}"
    )


def _draw(wanted: dict[str, tuple[str, Path]], originals: Path) -> None:
    from attribeval import Attributer, datasets

    images = datasets.digit_scenes(n_train=1, n_test=8).test.samples()[IMAGES].load()
    draw(Attributer(NET), images, wanted, originals)


def draw(attributer: Any, images: Any, wanted: dict[str, tuple[str, Path]], originals: Path) -> None:
    """Draw images and, beneath them, their maps.

    Args:
        attributer: The `Attributer`.
        images: (N, H, W, 3), uint8.
        wanted: By the name of a method, how it is called and where its `Picture` goes.
        originals: Where the images alone go.
    """
    above = photograph_row(images)
    panels([above], originals)
    for name, (text, file) in wanted.items():
        begun = time.perf_counter()
        below = map_row(attributer, images, text)
        panels([below], Picture(file, "", "").strip)
        panels([above, below], file)
        print(f"picture of {name}: {time.perf_counter() - begun:.1f} s", flush=True)


def photograph_row(images: Any) -> list[Callable[[Any], None]]:
    """What draws each of the images, (N, H, W, 3), on axes."""
    from attribeval.plots.panels import draw_photograph, to_photographs

    shades = to_photographs(images, len(images), images.shape[1:3])
    return [lambda ax, shade=shade: draw_photograph(ax, shade) for shade in shades]


def map_row(attributer: Any, images: Any, text: str) -> list[Callable[[Any], None]]:
    """What draws the map of each of the images by the method that `text` calls."""
    from attribeval.plots.heat import drawn_heat, flat_name
    from attribeval.plots.panels import draw_heat, to_photographs

    maps = attributer.explain(images, text, progress=False)
    shades = to_photographs(images, len(images), images.shape[1:3])
    heats, scale = drawn_heat(maps, None, 99)
    names = [flat_name(values) for values in maps.values]
    return [lambda ax, i=i: draw_heat(ax, heats[i], scale, shades[i], names[i]) for i in range(len(images))]


def panels(rows: Sequence[Sequence[Callable[[Any], None]]], file: Path) -> None:
    """Square pictures in rows, with nothing beside them and no paper beneath: good on light and on dark pages.

    Args:
        rows: For each picture, what draws it on the axes that it is given.
        file: Where it goes, a PNG or WebP.
    """
    from matplotlib.figure import Figure

    across, down = max(map(len, rows)), len(rows)
    width, height = (count * (_SIDE + _GAP) - _GAP for count in (across, down))
    figure = Figure(figsize=(width, height))
    for i, row in enumerate(rows):
        for k, draw in enumerate(row):
            left, top = k * (_SIDE + _GAP), i * (_SIDE + _GAP)
            ax = figure.add_axes((left / width, 1 - (top + _SIDE) / height, _SIDE / width, _SIDE / height))
            ax.set_axis_off()
            draw(ax)
    figure.savefig(file, dpi=_DPI, transparent=True)
