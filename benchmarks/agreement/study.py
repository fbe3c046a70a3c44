r"""Does a cheap benchmark predict retraining? Every study on one small net and one data set, then their agreement.

    python benchmarks/agreement/study.py runs/digits                        # an hour and a half on one core
    python benchmarks/agreement/study.py runs/cifar10 --data cifar10.npz --train 3000 --test 1000 \
        --repeats 3 --fractions .5 .9                                       # x_train, y_train, x_test, y_test
    python benchmarks/agreement/study.py runs/digits --publish docs/results/digits

ROAR and KAR come first; the boards, WSOL (where there are masks) and the sanity checks then explain the model that ROAR
explained, on its test images. BAM trains its own models. Each study has a folder below DIR, in which the same command
goes on after an interruption. `--publish` writes the results without what holds an image, and their agreement.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from attribeval import Attributer, Evaluator, Result
from attribeval.cli import main as attribeval
from attribeval.datasets import TrainTest, bam, digit_scenes, npz
from attribeval.models.small_net import small_net

PAPER = ["GRAD", "IG", "GB", *(f"{kind}-{base}" for kind in ("SG", "SG-SQ", "VAR") for base in ("GRAD", "IG", "GB"))]
OTHERS = ["gradient_x_input", "gradcam", "gradcam++", "layercam", "guided_gradcam", "deeplift", "lrp", "deconvnet"]
METHODS = [*PAPER, *OTHERS]
CONTROLS = ["random", "sobel"]
PICTURES = ("example/", "examples/", "over_k/", "patch/")  # arrays that show images, which may not be ours to publish


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--data", default="digits", metavar="WHAT", help="digits, or a .npz file")
    parser.add_argument("--train", type=int, default=1500, help="training images (default: 1500)")
    parser.add_argument("--test", type=int, default=500, help="test images (default: 500)")
    parser.add_argument("--epochs", type=int, default=6, help="of each training (default: 6)")
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each cell (default: 5)")
    parser.add_argument("--fractions", nargs="+", default=["0.5", "0.7", "0.9"], metavar="X")
    parser.add_argument("--images", type=int, default=200, help="test images of boards and WSOL (default: 200)")
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="write the tables here when all is done")
    return parser.parse_args()


def retrain(args: argparse.Namespace) -> None:
    """ROAR and KAR, by the command line."""
    told = attribeval([
        "roar", "run", str(args.folder / "roar"), "--data", args.data, "--size", "32",
        "--train", str(args.train), "--test", str(args.test), "--epochs", str(args.epochs),
        "--repeats", str(args.repeats), "--fractions", *args.fractions, "--modes", "remove", "keep",
        "--methods", *METHODS, *CONTROLS,
    ])  # fmt: skip
    if told:
        sys.exit(told)


def explained(args: argparse.Namespace) -> tuple[Attributer, Any]:
    """The model that ROAR explained, and its test images, spread evenly."""
    if args.data == "digits":
        test = digit_scenes(size=32, n_train=args.train, n_test=args.test).test.samples()
    else:
        whole: TrainTest = npz(args.data)
        test = whole.test[[len(whole.test) * i // args.test for i in range(args.test)]]
    classes = len(test.class_names or range(10))
    model = small_net(test.images.shape[1:], classes)
    model.load_weights(args.folder / "roar" / "models" / "unmodified_r0.weights.h5")
    return Attributer(model), test[[len(test) * i // args.images for i in range(args.images)]]


def judge_cheaply(args: argparse.Namespace) -> None:
    """Boards, WSOL and sanity checks of the model that ROAR explained."""
    attributer, test = explained(args)
    evaluator = Evaluator(attributer, test)
    studies: dict[str, Any] = {
        "board": lambda at: evaluator.compare(METHODS, run_dir=at),
        "sanity": lambda at: Evaluator(attributer, test[:32]).sanity(METHODS, run_dir=at),
    }
    if test.masks is not None:
        studies["wsol"] = lambda at: evaluator.wsol(METHODS, targets="predicted", run_dir=at)
    for name, study in studies.items():
        if not (args.folder / name / "table.csv").is_file():
            print(f"{name} …", flush=True)
            study(args.folder / f"{name}_run").save(args.folder / name)


def judge_by_known_answers(args: argparse.Namespace) -> None:
    """BAM, whose models are trained so that it is known what is important."""
    if not (args.folder / "bam" / "table.csv").is_file():
        print("bam …", flush=True)
        data = bam.digits(size=32, n_train=5000, n_test=1000)
        last = {"ks": (1.0,), "robust_images": 0, "random_sets": 2}  # MCS, IDR and IIR alone
        Evaluator.bam(data, METHODS, run_dir=args.folder / "bam_run", **last).save(args.folder / "bam")


def publish(args: argparse.Namespace, runs: list[Path]) -> list[Path]:
    """Results without what holds an image, as folders that `attribeval agreement` reads again."""
    told = ["python", "benchmarks/agreement/study.py", "DIR", "--data", Path(args.data).name]
    told += [part for name in ("train", "test", "epochs", "repeats") for part in (f"--{name}", str(vars(args)[name]))]
    folders = []
    for run in runs:
        result = Result.load(run)
        arrays = {name: array for name, array in result.arrays.items() if not name.startswith(PICTURES)}
        command = " ".join([*told, "--fractions", *args.fractions, "--images", str(args.images)])
        folder = args.publish / result.benchmark
        folders.append(replace(result, arrays=arrays, command=command).save(folder))
    return folders


def main() -> None:
    args = options()
    retrain(args)
    judge_cheaply(args)
    if args.data == "digits":
        judge_by_known_answers(args)
    runs = [args.folder / "roar" / "report", *(args.folder / name for name in ("board", "sanity", "wsol", "bam"))]
    runs = [run for run in runs if run.is_dir()]
    if args.publish:
        runs = publish(args, runs)
    result = Evaluator.agreement(runs)
    result.save((args.publish or args.folder) / "agreement")
    print(result)


if __name__ == "__main__":
    main()
