"""Which trainings a grid has, what they are called, and when two grids are one."""

from __future__ import annotations

import json
import re

import pytest

from attribeval.benchmarks.roar.grid import PAPER_CONTROLS, PAPER_ESTIMATORS, Estimator, Grid, file_name, spelt
from attribeval.benchmarks.roar.merged import merged
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.errors import AttribevalError
from attribeval.training.augment import Augment
from attribeval.training.recipe import RECIPES, Recipe


def estimators(*labels):
    return tuple(Estimator(one, "control" if one in PAPER_CONTROLS else "method", "method", one) for one in labels)


def grid(*labels, **changes):
    values = {
        "data": {"name": "a/b", "train": 60, "test": 30, "shape": [8, 8, 3], "classes": 3, "fingerprint": "aa"},
        "model": {"architecture": "long", "input_shape": [8, 8, 3], "classes": 3, "parameters": 10, "hash": "m"},
        "recipe": Recipe(epochs=2).to_json(),
        "explained": "unmodified",
        "preprocess": None,
        "fractions": (0.3, 0.6, 0.9),
        "per": "value",
        "fill": "mean",
        "targets": "predicted",
        "seed": 0,
        "estimators": estimators(*(labels or ("GRAD", "random"))),
        "modes": ("remove", "keep"),
        "repeats": 3,
        "controls": (),
    }
    return Grid(**(values | changes))


PAPER = (*PAPER_ESTIMATORS, *PAPER_CONTROLS)


def test_the_papers_grid_counts_as_the_issue_counts():
    assert len(PAPER_ESTIMATORS) == len(set(PAPER_ESTIMATORS)) == 15
    cells = grid(*PAPER).cells()
    assert len(cells) == 17 * 3 * 2 * 3 + 3
    assert [cell.kind for cell in cells[:3]] == ["unmodified"] * 3
    assert {cell.kind for cell in cells if cell.estimator in PAPER_CONTROLS} == {"control"}


def test_controls_have_the_cells_that_they_say():
    made = grid(*PAPER, controls=("leakage", "max_filter", "recursive"))
    count = {kind: sum(cell.kind == kind for cell in made.cells()) for kind in ("leakage", "max_filter", "recursive")}
    # Masks leak for everything that ranks; a maximum filter and a second ranking need a method; in one mode each.
    assert count == {"leakage": 17 * 3 * 3, "max_filter": 15 * 3 * 3, "recursive": 15 * 3 * 3}
    assert {cell.mode for cell in made.cells() if cell.kind in count} == {"remove"}
    levels = made.recursive()
    assert [{cell.fraction for cell in level} for level in levels] == [{0.3}, {0.6}, {0.9}]
    assert made.rankings() == [*PAPER, *(f"max3({label})" for label in PAPER_ESTIMATORS)]


def test_repeat_0_of_everything_comes_first():
    repeats = [cell.repeat for cell in grid().modified()]
    assert repeats == sorted(repeats)


def test_maps_of_the_user_are_filtered_but_not_made_again():
    own = Estimator("mine", "method", "maps", "arrays 00")
    made = grid(estimators=(own, *estimators("random")), controls=("max_filter", "recursive"))
    assert {cell.kind for cell in made.cells()} == {"unmodified", "method", "control", "max_filter"}


def test_names_are_unique_and_files():
    labels = [*PAPER, "a b", "a_b", "a/b", "smoothgrad(gradient, samples=5)", "..", ".x", "ä" * 90, "ä" * 91]
    names = [cell.name for cell in grid(*labels, controls=("leakage", "max_filter", "recursive")).cells()]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", name) and len(name) < 120 for name in names)
    assert "GRAD_remove_0.3_r0" in names and "unmodified_r2" in names


def test_fractions_that_differ_late_have_names_of_their_own():
    names = [cell.name for cell in grid(fractions=(0.3, 0.3000001, 0.30000011, 1.0)).cells()]
    assert len(set(names)) == len(names) and "GRAD_keep_1_r0" in names


@pytest.mark.parametrize("label", ["..", ".", "-", ".hidden", "a/../b", "CON:"])
def test_no_label_leaves_its_folder(label):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", file_name(label)) and file_name(label) != label


def test_seeds_come_from_the_repeat_and_nothing_else():
    one, other = grid(*PAPER), grid("sobel", "GRAD", modes=("keep",), repeats=2, controls=("leakage",))
    seeds = {cell.repeat: one.cell_seed(cell) for cell in one.cells()}
    assert len(set(seeds.values())) == 3 and all(0 <= seed < 2**31 for seed in seeds.values())
    assert all(seeds[cell.repeat] == one.cell_seed(cell) for cell in one.cells())
    assert all(seeds[cell.repeat] == other.cell_seed(cell) for cell in other.cells())
    assert grid(seed=1).cell_seed(one.cells()[0]) != seeds[0]


@pytest.mark.parametrize("fill", ["mean", 0.5, (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("recipe", RECIPES)
def test_json_round_trip(fill, recipe):
    made = grid(fill=fill, recipe=RECIPES[recipe].to_json(), controls=("leakage",))
    again = Grid.from_json(json.loads(json.dumps(made.to_json())))
    assert again.cells() == made.cells() and again.fill == fill and again.to_json() == made.to_json()
    assert merged(again, made).to_json() == made.to_json() == merged(made, again).to_json()
    assert Recipe(**again.recipe).total_steps(1000) == RECIPES[recipe].total_steps(1000)


def test_a_grid_grows():
    small = grid("GRAD", "random", modes=("keep",), repeats=2, controls=("leakage",))
    large = grid("random", "IG", modes=("remove", "keep"), repeats=3, controls=("max_filter",))
    both = merged(small, large)
    assert [e.label for e in both.estimators] == ["GRAD", "random", "IG"]
    assert both.repeats == 3 and set(both.modes) == {"remove", "keep"} and both.controls == ("leakage", "max_filter")
    names = {cell.name for cell in both.cells()}
    assert {cell.name for cell in small.cells()} <= names  # nothing that is done is lost
    assert merged(both, small).to_json() == merged(both, large).to_json() == both.to_json()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fractions": (0.3, 0.6)}, "fractions: [0.3, 0.6, 0.9] ↔ [0.3, 0.6]"),
        ({"fill": "blur"}, "fill: 'mean' ↔ 'blur'"),
        ({"per": "pixel"}, "per: 'value' ↔ 'pixel'"),
        ({"targets": "label"}, "targets: 'predicted' ↔ 'label'"),
        ({"seed": 1}, "seed: 0 ↔ 1"),
        ({"explained": "checkpoint ff"}, "explained: 'unmodified' ↔ 'checkpoint ff'"),
        ({"preprocess": "caffe"}, "preprocess: None ↔ 'caffe'"),
        ({"recipe": Recipe(epochs=3).to_json()}, "recipe.epochs: 2 ↔ 3"),
        ({"recipe": Recipe(epochs=2, augment=Augment(flip=True)).to_json()}, "recipe.augment: None ↔ {'flip': True"),
        ({"data": grid().data | {"fingerprint": "bb"}}, "data.fingerprint: 'aa' ↔ 'bb'"),
        ({"data": grid().data | {"train": 61}}, "data.train: 60 ↔ 61"),
        ({"model": grid().model | {"parameters": 11, "hash": "n"}}, "model.parameters: 10 ↔ 11"),
        ({"model": grid().model | {"architecture": "other", "hash": "n"}}, "model.architecture: 'm' ↔ 'n'"),
    ],
)
def test_another_grid_is_refused_and_what_differs_is_said(tmp_path, changes, said):
    run_dir = RunDir(tmp_path)
    run_dir.claim(grid())
    with pytest.raises(AttribevalError, match=re.escape(said)) as caught:
        run_dir.claim(grid(**changes))
    others = set(grid().to_json()) - {said.split(".")[0].split(":")[0]}
    assert not any(f"; {name}" in str(caught.value) for name in others)  # what is alike is not said
    assert "Choose another run_dir" in str(caught.value)
    assert run_dir.grid().to_json() == grid().to_json()


def test_a_name_keeps_its_method(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(grid(estimators=(Estimator("mine", "method", "maps", "arrays 00"),)))
    with pytest.raises(AttribevalError, match="estimator mine: 'arrays 00' ↔ 'arrays 11'"):
        run_dir.claim(grid(estimators=(Estimator("mine", "method", "maps", "arrays 11"),)))


def test_a_grid_that_cannot_be_read_is_named(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(grid())
    run_dir.grid_file.write_text('{"data": {}')
    with pytest.raises(AttribevalError, match=r"grid\.json as a run of ROAR wrote it"):
        run_dir.grid()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modes": ("destroy",)}, "remove, keep"),
        ({"modes": ()}, "at least one mode"),
        ({"estimators": ()}, "at least one"),
        ({"controls": ("leaks",)}, "leakage, max_filter, recursive"),
        ({"controls": ("recursive",), "modes": ("keep",)}, "'remove' for the recursive"),
        ({"repeats": 0}, "repeats"),
        ({"repeats": 2.0}, "repeats"),
        ({"per": "channel"}, "value, pixel"),
        ({"targets": "truth"}, "predicted, label"),
        ({"estimators": estimators("GRAD", "grad")}, "'grad' twice"),
        ({"estimators": estimators("GRAD", "max3(GRAD)"), "controls": ("max_filter",)}, r"'max3\(grad\)' twice"),
        ({"estimators": estimators("GRAD", "mask of GRAD"), "controls": ("leakage",)}, "'mask of grad' twice"),
        ({"estimators": estimators(" ")}, "a name for each"),
    ],
)
def test_what_makes_no_grid(changes, said):
    with pytest.raises(AttribevalError, match=said):
        grid(**changes)


def test_names_of_methods_as_people_type_them():
    assert [*map(spelt, ["grad", "Sg-Sq-Ig", "gradcam", "GRAD"])] == ["GRAD", "SG-SQ-IG", "gradcam", "GRAD"]
