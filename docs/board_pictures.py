"""A picture of each benchmark of the leaderboard: a few methods on a few embedded images, by one small board."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

from pictures import NET, Picture

from attribeval.methods.registry import METHODS as KNOWN
from attribeval.methods.short_names import parse
from attribeval.metrics import registry

IMAGES = 16
METHODS = ("gradient", "gradcam", "guided_backprop", "integrated_gradients", "vargrad(gradient)")
BY_HAND = "fine-tuned"  # a model that only the user can give
NO_PICTURE = "No picture: it is meant for a model that was fine-tuned for it, and the package ships with no such model."


def make(folder: Path) -> dict[str, Picture]:
    """Draw all benchmarks; pictures whose benchmark has not changed since are kept.

    Args:
        folder: Where pictures lie. The name of a file holds a hash of the call and of the sources of the benchmark, of
            the methods and of the plot.

    Returns:
        A picture by the name of the benchmark; none of a benchmark that needs a model of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name, cls in registry.BENCHMARKS.items() if BY_HAND not in cls.card.needs]
    files = {name: folder / f"{name}-{_key(name)}.png" for name in wanted}
    missing = [name for name in wanted if not files[name].is_file()]
    if missing:
        _draw({name: files[name] for name in missing})
    for old in set(folder.glob("*.png")) - set(files.values()):
        old.unlink()
    return {name: Picture(files[name], _caption(name), f"Methods by {name}, best on top") for name in wanted}


def _key(name: str) -> str:
    docs = Path(__file__).resolve().parent
    methods = [sys.modules[KNOWN[parse(text).name].__module__].__file__ for text in METHODS]
    sources = [sys.modules[registry.BENCHMARKS[name].__module__].__file__, *methods]
    sources += [docs.parent / "attribeval/benchmarks/leaderboard/view/by_benchmark.py", __file__]
    content = b"".join(Path(source).read_bytes() for source in sources)
    return hashlib.blake2b(NET.encode() + content, digest_size=6).hexdigest()


def _caption(name: str) -> str:
    return (
        f"{len(METHODS)} methods and the controls on the first {IMAGES} test images of the embedded `digit_scenes`, by "
        f'`Evaluator("{NET}", samples).compare(methods, ["{name}"])`, drawn by `plot_benchmark` of the view: mean '
        "of the images and its 95 % interval. It shows what the numbers look like; on so few images of one "
        "small net it is no verdict on the methods."
    )


def _draw(files: dict[str, Path]) -> None:
    from attribeval import Attributer, datasets
    from attribeval.benchmarks.leaderboard.procedure import run_leaderboard
    from attribeval.benchmarks.leaderboard.view.by_benchmark import plot_benchmark

    begun = time.perf_counter()
    samples = datasets.digit_scenes(n_train=1, n_test=IMAGES).test.samples(label="object")
    result = run_leaderboard(Attributer(NET), samples, METHODS, list(files), progress=False)
    for name, file in files.items():
        plot_benchmark(result, name).savefig(file, dpi=110)
    print(f"pictures of {len(files)} benchmarks: {time.perf_counter() - begun:.1f} s", flush=True)
