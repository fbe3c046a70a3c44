"""`attribeval concepts`: what the Python interface finds, in files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.planted import planted_net, planted_squares
from PIL import Image

from attribeval import Attributer, concepts
from attribeval.cli import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A net, images with a red, a green and a blue square, and black ones with some noise."""
    monkeypatch.chdir(tmp_path)
    planted_net().save("net.keras")
    noise = np.random.default_rng(0).uniform(0, 0.2, (6, 16, 16, 3))
    for folder, images in (("squares", planted_squares(12)), ("noise", noise)):
        (tmp_path / folder).mkdir()
        for i, image in enumerate(images):
            Image.fromarray((255 * image).astype(np.uint8)).save(tmp_path / folder / f"{i:02d}.png")
    return tmp_path


CRAFT = {"concepts": 3, "crops": 4, "designs": 8, "crop_share": 0.4}
ACE = {"segments": (6, 15), "clusters": 3, "most": 8, "random_sets": 2}


@pytest.mark.parametrize(("by", "options"), [("craft", CRAFT), ("ace", ACE)])
def test_the_command_writes_what_python_finds(by, options, place, capsys):
    words = [f"{name}={value}".replace(" ", "") for name, value in options.items()]
    others = ["--others", "noise"] if by == "ace" else []
    ask = ["concepts", "squares", "--model", "net.keras", "--target", "1", "--by", by, *others, "--option", *words]
    assert main([*ask, "--seed", "2", "-o", "out", "--quiet"]) == 0
    files = [[str(file) for file in sorted((place / folder).iterdir())] for folder in ("squares", "noise")]
    find, given = (concepts.craft, files[:1]) if by == "craft" else (concepts.ace, files)
    images, *more = given
    found = find(Attributer("net.keras"), images, 1, *more, **options, seed=2, progress=False)
    assert len(found)
    pd.testing.assert_frame_equal(pd.read_csv("out/concepts.csv"), found.table(), rtol=1e-4, check_dtype=False)
    with Image.open("out/concepts.png") as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) > 0
    printed = capsys.readouterr().out
    assert "class 1" in printed and all(name in printed for name in found.table())
