"""Pictures of each method: embedded photographs, explained by the net that ships with the package."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from attribeval.methods import registry

NET = "digit_objects"
IMAGE = 1  # of the test images of digit_scenes(n_train=1, n_test=8): an eight in front of coins
GALLERY = [0, 1, 4, 7]  # the four of the gallery: seven, eight, two, six

# What is called where the name alone cannot be, and where it would take more than a few seconds.
CALLS = {"expected_gradients": "expected_gradients(references=[0, 127, 255])"}
QUICK = {
    "extremal_perturbation": "extremal_perturbation(iterations=300)",
    "anchors": "anchors(samples=200)",
}


@dataclass(frozen=True)
class Picture:
    """A picture and what to say of it."""

    path: Path
    caption: str
    alt: str

    @property
    def strip(self) -> Path:
        """The maps of the four images of the gallery, side by side; methods only."""
        return self.path.with_name(f"{self.path.stem}-four.png")


def call(name: str, cls: type) -> str:
    """How a method is called by default; a wrapper goes around the gradient."""
    return CALLS.get(name, f"{name}(gradient)" if registry.needs_base(cls) else name)


def make(folder: Path) -> dict[str, Picture]:
    """Draw all methods; pictures whose method has not changed since are kept.

    Args:
        folder: Where pictures lie. The name of a file holds a hash of the call, of the source of the method and of the
            plot.

    Returns:
        A picture by the name of the method.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: QUICK.get(name, call(name, cls)) for name, cls in registry.METHODS.items()}
    files = {name: folder / f"{_key(name, text)}.png" for name, text in wanted.items()}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing:
        _draw({name: (wanted[name], files[name]) for name in missing})
    made = {
        name: Picture(files[name], _caption(name, wanted[name]), f"The map of {name} beside its image")
        for name in wanted
    }
    kept = {file for picture in made.values() for file in (picture.path, picture.strip)}
    for old in set(folder.glob("*.png")) - kept:
        old.unlink()
    return made


def _key(name: str, text: str) -> str:
    cls = registry.METHODS[name]
    plot = Path(__file__).resolve().parents[1] / "attribeval/plots/overlays.py"
    sources = Path(sys.modules[cls.__module__].__file__).read_bytes() + plot.read_bytes() + Path(__file__).read_bytes()
    return f"{cls.__module__.rsplit('.', 1)[-1]}-{hashlib.blake2b(text.encode() + sources, digest_size=6).hexdigest()}"


def _caption(name: str, text: str) -> str:
    smaller = " Smaller options than the defaults, to be quick." if name in QUICK else ""
    return (
        f"Test image {IMAGE} of the embedded `digit_scenes` and its map by "
        f'`Attributer("{NET}").explain(image, "{text}")`, drawn by `attribeval.plots.overlays`: the class explained is '
        "the predicted one; channels are summed, and 1 is the 99th percentile of the absolute values of the map itself."
        f"{smaller}"
    )


def _draw(wanted: dict[str, tuple[str, Path]]) -> None:
    from attribeval import Attributer, datasets
    from attribeval.plots import overlays, strip

    images = datasets.digit_scenes(n_train=1, n_test=8).test.samples()[GALLERY].load()
    one, attributer = GALLERY.index(IMAGE), Attributer(NET)
    for name, (text, file) in wanted.items():
        begun = time.perf_counter()
        maps = attributer.explain(images, text, progress=False)
        strip(images, maps).savefig(Picture(file, "", "").strip, dpi=80)
        overlays(images[one : one + 1], {name: maps[one]}).savefig(file, dpi=90)
        print(f"picture of {name}: {time.perf_counter() - begun:.1f} s", flush=True)
