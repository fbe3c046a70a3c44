"""`attribeval demo`: everything once, on the embedded data, offline, in a few minutes."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from attribeval.cli.options import add_seed
from attribeval.errors import AttribevalError
from attribeval.files import write_picture
from attribeval.quiet import load_tensorflow

# Scored on every image: what costs up to some 25 gradients.
SCORED = (
    "gradient", "gradient_x_input", "guided_backprop", "integrated_gradients", "smoothgrad(gradient)",
    "vargrad(gradient)", "cam", "gradcam", "gradcam++", "layercam", "guided_gradcam", "deeplift", "lrp", "deep_taylor",
    "excitation_backprop", "random", "sobel", "input",
)  # fmt: skip
# Shown beside them on a few images: what needs hundreds of forward passes an image.
SHOWN = ("occlusion", "rise", "hsic", "lime", "kernel_shap", "xrai")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("demo", help="explain and score the embedded digit scenes; start here")
    command.add_argument("-o", "--output", default="attribeval-demo", metavar="DIR", help="where its files go")
    command.add_argument("--limit", type=int, default=200, help="only the first test images (default: 200)")
    add_seed(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Explain a few digit scenes with most methods, score the quick ones on many, write pictures and one page."""
    if not args.quiet:
        print("Loading TensorFlow and the embedded digit scenes …", file=sys.stderr)
    load_tensorflow()
    from attribeval.attributer import Attributer
    from attribeval.datasets import digit_scenes
    from attribeval.evaluator import Evaluator
    from attribeval.plots import overlays
    from attribeval.report.page import write_report
    from attribeval.report.views import terminal_text

    if args.limit < 1:
        raise AttribevalError(f"Expected --limit of 1 or more. Received: {args.limit}.")
    begun = time.perf_counter()
    dataset = digit_scenes(n_test=args.limit, n_train=1).test.samples(label="object")
    attributer = Attributer("digit_objects")
    shown = dataset[: min(3, len(dataset))]
    images = shown.load()
    maps = attributer.explain_many(images, SCORED + SHOWN, shown.labels, seed=args.seed)
    result = Evaluator(attributer, dataset).wsol(SCORED, seed=args.seed)

    output = Path(args.output)
    result.save(output)
    picture = overlays(images, maps, boxes=shown.boxes_at(images.shape[1:3]))
    write_picture(picture, output / "overlays.png")
    write_picture(result.plot(), output / "wsol.png")
    page = write_report(
        output / "report.html",
        [result],
        pictures={"Maps of several methods, with the true box of each digit": picture},
        title="attribeval demo: digits on photographs",
        command=f"attribeval demo --limit {args.limit} --seed {args.seed}",
    )
    print(terminal_text(result))
    print("\n" + "\n".join(result.summary))
    print(f"\nDone in {time.perf_counter() - begun:.0f} s. Open {page} to look at the pictures.")
