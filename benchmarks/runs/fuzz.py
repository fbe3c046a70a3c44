"""Damage every file of a finished run of each study, one at a time: none may pass in silence or end in a traceback.

    python benchmarks/runs/fuzz.py --studies wsol compare

Each file is damaged in three ways: a bit is flipped, the second half is cut off, and it is emptied. Then the same study
runs again in the folder; or, for the files of a saved result, `attribeval report` reads it. What must come of it is

* made again: a warning says so, and the result is that of the whole run, bit for bit;
* refused: an `AttribevalError` (one line on the command line) names the file;
* no change: what the file holds reads the same, as where a space is added to JSON.

Maps that the leaderboard keeps are read only where scores are missing: of these files the scores are taken away, too.

Everything else is listed: silent (another result), unnoticed (the same result, and no word of the file), raw (another
exception). Files without bytes, as locks, are not damaged. The studies run on tiny nets, in one process each. Linux
only.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import tiny


def damages(data: bytes, rng: random.Random) -> dict[str, bytes]:
    """The three ways."""
    flipped = bytearray(data)
    flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return {"flipped": bytes(flipped), "cut": data[: len(data) // 2], "emptied": b""}


def again(study: str, folder: Path, place: Path, expected: str) -> tuple[str, str]:
    """Run the study in a folder with a damaged file; what came of it, and what was said."""
    from attribeval.errors import AttribevalError

    if study == "compare" and place.is_relative_to(folder / "maps"):
        for records in folder.glob("*/images-*"):
            shutil.rmtree(records)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            same = tiny.outcome(tiny.STUDIES[study](folder)) == expected
        except AttribevalError as error:
            return "refused", str(error)
        except Exception as error:
            return "raw", f"{type(error).__name__}: {error}"
    words = ("damaged", "made again", "as it was written")
    said = " ".join(str(one.message) for one in caught if any(word in str(one.message) for word in words))
    return ("made again" if said else "unnoticed") if same else "silent", said


def read(folder: Path, page: Path) -> tuple[str, str]:
    """`attribeval report` of a folder; what came of it, and what was said."""
    import contextlib
    import io

    from attribeval.cli import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(["report", str(folder), "-o", str(page)])
    except BaseException as error:
        return "raw", f"{type(error).__name__}: {error}"
    lines = said.getvalue().strip().splitlines()
    if code == 2 and len(lines) == 1:
        return "refused", lines[0]
    return ("unnoticed", "") if code == 0 else ("raw", said.getvalue())


def fuzz(study: str, rng: random.Random) -> bool:
    """Damage all files of one study's run and of its saved result; says whether all is well."""
    begun, counts, wrong = time.perf_counter(), Counter(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder, result_folder = Path(temporary) / "run", Path(temporary) / "result"
        result = tiny.STUDIES[study](folder)
        expected = tiny.outcome(result)
        result.save(result_folder)
        whole = Path(temporary) / "whole"
        shutil.copytree(folder, whole)
        files = [(file, False) for file in sorted(whole.rglob("*")) if file.is_file() and file.stat().st_size]
        files += [(file, True) for file in sorted(result_folder.iterdir())]
        for file, saved in files:
            data = file.read_bytes()
            place = file if saved else folder / file.relative_to(whole)
            for how, damaged in damages(data, rng).items():
                place.write_bytes(damaged)
                if saved:
                    came, said = read(result_folder, Path(temporary) / "page.html")
                else:
                    came, said = again(study, folder, place, expected)
                if came == "unnoticed" and (same(place, damaged, data) or (not saved and place.read_bytes() == data)):
                    came = "no change"
                counts[came] += 1
                if came in ("silent", "raw", "unnoticed") or (came == "refused" and file.name not in said):
                    wrong.append(f"{came}: {file.name} {how}: {said[:200]}")
                if saved or came in ("refused", "raw", "no change", "unnoticed"):
                    restore(place, data, whole, folder, saved)
        print(
            f"{study}: {len(files)} files, {counts.total()} damages: "
            + ", ".join(f"{n} {came}" for came, n in counts.most_common())
            + f" ({time.perf_counter() - begun:.0f} s).",
            flush=True,
        )
    for line in wrong:
        print(f"  {line}", flush=True)
    return not wrong


def restore(place: Path, data: bytes, whole: Path, folder: Path, saved: bool) -> None:
    """Undo a damage, and what a run that ended on it may have left behind."""
    if saved:
        place.write_bytes(data)
    else:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)


def same(place: Path, damaged: bytes, data: bytes) -> bool:
    """Whether a file of JSON reads the same as before."""
    import json

    if place.suffix != ".json":
        return False
    try:
        before: Any = json.loads(data)
        return bool(json.loads(damaged) == before)
    except ValueError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", choices=tiny.STUDIES, default=list(tiny.STUDIES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tiny.load()
    codes = []
    for study in arguments.studies:
        pid = tiny.in_fork(lambda study=study: sys.exit(not fuzz(study, random.Random(arguments.seed))))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print("FAILED" if any(codes) else "PASSED")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
