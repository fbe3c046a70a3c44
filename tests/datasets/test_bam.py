"""BAM's data: compositing by hand, sources, the folders on disk, the sets made of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from attribeval.datasets import bam
from attribeval.datasets.bam_build import build_bam
from attribeval.datasets.bam_layout import read_bam
from attribeval.datasets.bam_sources import coco_objects, images_holding, scene_folders
from attribeval.datasets.compositing import Cutout, cut_out, drawn_size, paste, placed_anew, resized
from attribeval.errors import AttribevalError


def test_black_pixels_of_an_object_are_pasted_and_nothing_else_changes():
    scene = np.full((4, 5, 3), 200, np.uint8)
    pixels = np.array([[[0, 0, 0], [9, 9, 9]], [[7, 7, 7], [1, 2, 3]]], np.uint8)
    mask = np.array([[True, False], [True, True]])
    image, where = paste(scene, Cutout(pixels, mask), top=1, left=3)
    by_hand = scene.copy()
    by_hand[1, 3], by_hand[2, 3], by_hand[2, 4] = (0, 0, 0), (7, 7, 7), (1, 2, 3)
    assert np.array_equal(image, by_hand)
    assert np.argwhere(where).tolist() == [[1, 3], [2, 3], [2, 4]]
    assert (scene == 200).all()


def test_the_size_is_drawn_as_the_released_code_does():
    # np.random.randint(int(128 / 3 ** .5), int(128 / 2 ** .5)) of the dominant side: 73 to 89.
    sides = {drawn_size((50, 50), (128, 128), u)[0] for u in np.linspace(0, 1, 999, endpoint=False)}
    assert sides == set(range(73, 90))
    assert drawn_size((100, 50), (128, 128), 0) == (73, 36)
    assert drawn_size((50, 100), (128, 64), 0.999)[1] == int(64 / math.sqrt(2)) - 1
    height, width = drawn_size((40, 40), (100, 50), 0.5)  # the width takes the larger share of its side
    assert int(50 / math.sqrt(3)) <= width < int(50 / math.sqrt(2)) and height == width


def test_resizing_keeps_the_colour_of_an_object_free_of_what_is_around_it_at_full_scale():
    image = np.zeros((20, 20, 3), np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:15, 4:16] = True
    image[mask] = 100
    cutout = cut_out(image, mask)
    assert cutout.mask.shape == (10, 12) and cutout.mask.all()
    assert (resized(cutout, (5, 6)).pixels == 100).all()
    thin = Cutout(np.zeros((1, 40, 3), np.uint8), np.arange(40)[None] % 8 == 0)
    assert resized(thin, (1, 4)).mask.any()  # an object never vanishes


def test_placed_anew_is_exact_and_the_same_in_any_part():
    part = bam.digits(32, n_train=1, n_test=30).test
    whole = placed_anew(part.images, part.scene_only, part.masks, seed=3)
    some = np.array([4, 17])
    again = placed_anew(part.images[some], part.scene_only[some], part.masks[some], seed=3, numbers=some)
    assert all(np.array_equal(a[some], b) for a, b in zip(whole, again, strict=True))
    images, masks = whole
    assert np.array_equal(masks.sum((1, 2)), part.masks.sum((1, 2)))
    assert np.array_equal(images[~masks], part.scene_only[~masks])
    for i in range(30):  # the object's pixels, in reading order, are those that it had
        assert np.array_equal(images[i][masks[i]], part.images[i][part.masks[i]])
    assert (masks != part.masks).any((1, 2)).sum() > 20
    smaller = placed_anew(part.images, part.scene_only, part.masks, seed=3, scale=0.5)[1]
    assert 0.1 < smaller.sum() / part.masks.sum() < 0.4
    assert placed_anew(part.images[:2], part.scene_only[:2], part.masks[:2], seed=0, scale=9)[1].any((1, 2)).all()


# -- sets --------------------------------------------------------------------------------------------------------------


def test_the_common_feature_is_in_all_images_of_k_classes_and_in_no_other():
    part = bam.digits(32, n_train=400, n_test=1).train
    feature, order = 3, [7, 2, 0, 1, 3, 4, 5, 6, 8, 9]
    for count in (1, 4, 10):
        view = part.common_feature(count / 10, feature, order)
        assert np.array_equal(view.labels, part.scenes[part.objects == feature])
        images = view.load(np.arange(len(view)))
        for i, item in enumerate(view.items):
            has = part.scenes[item] in order[:count]
            assert np.array_equal(images[i], (part.images if has else part.scene_only)[item])
    grey = part.load("object_only", np.arange(3))
    assert (
        np.array_equal(grey[part.masks[:3]], part.images[:3][part.masks[:3]]) and (grey[~part.masks[:3]] == 128).all()
    )
    assert part.fingerprint() != part[np.arange(399)].fingerprint() and part.fingerprint() == part[:].fingerprint()
    one, other = (part.common_feature(k, feature, order) for k in (0.1, 0.2))
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint() == part.common_feature(0.1, feature, order).fingerprint()


def test_bad_requests_of_sets():
    part = bam.digits(32, n_train=20, n_test=1).train
    with pytest.raises(AttribevalError, match="whole number of 10 classes"):
        part.common_feature(0.25, 0)
    with pytest.raises(AttribevalError, match="feature from 0 to 9"):
        part.common_feature(0.1, 10)
    with pytest.raises(AttribevalError, match="order of all 10"):
        part.common_feature(0.1, 0, order=[0, 1])
    with pytest.raises(AttribevalError, match="Unknown kind of BAM image: 'composit'"):
        part.view("composit")
    with pytest.raises(AttribevalError, match="Unknown label of BAM"):
        part.view(label="digit")
    without = part[np.flatnonzero(part.objects != 0)]
    with pytest.raises(AttribevalError, match="common feature 'zero'"):
        without.common_feature(0.1, 0)


# -- sources and folders -----------------------------------------------------------------------------------------------


@pytest.fixture
def pieces(tmp_path):
    """Two object classes in COCO's format, of three images each, and two classes of three scenes."""
    rng = np.random.default_rng(0)
    (tmp_path / "coco").mkdir()
    images, annotations = [], []
    for k in range(6):
        name = f"{k:04d}.png"
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / "coco" / name)
        images.append({"id": k, "file_name": name, "height": 40, "width": 60})
        x, y = 5 + k, 4
        corners = [x, y, x + 30, y, x + 30, y + 20, x, y + 20]
        about = {"id": 10 + k, "image_id": k, "category_id": 1 + k % 2, "iscrowd": 0}
        annotations.append(about | {"segmentation": [corners], "bbox": [x, y, 30, 20], "area": 600})
        tiny = {"id": 90 + k, "segmentation": [[0, 0, 9, 0, 0, 9]], "bbox": [0, 0, 9, 9], "area": 40}
        annotations.append(about | tiny)
    categories = [{"id": 1, "name": "stop sign"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cat"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    for name in ("bedroom", "track/outdoor"):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (50, 70, 3), np.uint8)).save(tmp_path / "scenes" / name / f"{i}.png")
    return tmp_path


def _sources(folder, smallest=16):
    objects = coco_objects(folder / "coco.json", folder / "coco", ["stop_sign", "dog"], smallest)
    return objects, scene_folders(folder / "scenes", ["bedroom", "track/outdoor"])


def test_the_largest_instance_of_the_named_class_is_cut_out_exactly(pieces):
    objects, _ = _sources(pieces)
    assert [one.name for one in objects["stop_sign"]] == ["0000_10", "0002_12", "0004_14"]
    assert [one.name for one in objects["dog"]] == ["0001_11", "0003_13", "0005_15"]
    cutout = objects["stop_sign"][1].load()
    with Image.open(pieces / "coco" / "0002.png") as image:
        assert np.array_equal(cutout.pixels, np.asarray(image)[4:24, 7:37])
    assert cutout.mask.all() and cutout.mask.shape == (20, 30)


def test_built_folders_hold_exact_composites_and_the_released_layout(pieces):
    made = build_bam(pieces / "data", *_sources(pieces), size=48, per_pair=3, test_share=0.34, seed=1, jobs=2)
    assert len(made.train) == 8 and len(made.test) == 4
    assert made.train.object_names == ("stop_sign", "dog") and made.train.scene_names == ("bedroom", "track_outdoor")
    for part in made:
        assert np.array_equal(part.images[~part.masks], part.scene_only[~part.masks])
        assert part.masks.any((1, 2)).all()
        assert sorted(zip(part.objects.tolist(), part.scenes.tolist(), strict=True)) == sorted(
            [(o, s) for o in (0, 1) for s in (0, 1)] * (len(part) // 4)
        )
    for mask in (*made.train.masks, *made.test.masks):  # of 48: int(48 / √3) = 27 to 32 of the dominant side
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert 27 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 32
    data = pieces / "data"
    assert (data / "obj/val.txt").read_text().splitlines() == [
        "dog-bedroom-0002.png 1", "dog-track_outdoor-0002.png 1",
        "stop_sign-bedroom-0002.png 0", "stop_sign-track_outdoor-0002.png 0",
    ]  # fmt: skip
    assert (data / "scene/val.txt").read_text().splitlines()[1] == "dog-track_outdoor-0002.png 1"
    assert (data / "obj/train/dog/dog-bedroom-0000.png").is_file()
    assert (data / "scene_only/train/bedroom/dog-bedroom-0000.png").is_file()
    name, where = (data / "scene/val_loc.txt").read_text().splitlines()[0].split(" ")
    with Image.open(data / "mask/val" / name) as image:
        mask = np.asarray(image) > 0
    top, left, bottom, right = map(int, where.split(","))
    assert mask[top:bottom, left:right].sum() == mask.sum() and mask[top].any() and mask[bottom - 1].any()
    # Object i of a class goes into all scenes i: nothing is both in train and in test.
    train_scenes = {image.tobytes() for image in made.train.scene_only}
    assert not train_scenes & {image.tobytes() for image in made.test.scene_only}


def test_building_goes_on_where_it_stopped_and_gives_the_same(pieces):
    arguments = {"size": 48, "per_pair": 2, "test_share": 0.5, "seed": 0}
    whole = build_bam(pieces / "a", *_sources(pieces), **arguments, jobs=1)
    build_bam(pieces / "b", *_sources(pieces), **arguments, jobs=3)
    gone = pieces / "b/obj/train/dog/dog-bedroom-0000.png"
    kept = pieces / "b/obj/train/dog/dog-track_outdoor-0000.png"
    before = kept.stat().st_mtime_ns
    gone.unlink()
    for file in (pieces / "b/arrays").iterdir():
        file.unlink()
    again = build_bam(pieces / "b", *_sources(pieces), **arguments)
    assert kept.stat().st_mtime_ns == before and gone.is_file()
    for one, other in zip(whole, again, strict=True):
        assert np.array_equal(one.images, other.images) and np.array_equal(one.masks, other.masks)
    assert isinstance(read_bam(pieces / "b").train.images, np.memmap)
    with pytest.raises(AttribevalError, match="another set's folder"):
        build_bam(pieces / "b", *_sources(pieces), **(arguments | {"seed": 1}))


def test_scenes_that_hold_an_object_are_left_out(pieces):
    held = images_holding(pieces / "coco.json", ["dog"])
    assert held == {"0001.png", "0003.png", "0005.png"}
    (pieces / "scenes/bedroom/0001.png").write_bytes((pieces / "coco/0001.png").read_bytes())
    assert len(scene_folders(pieces / "scenes", ["bedroom"])["bedroom"]) == 4
    left = scene_folders(pieces / "scenes", ["bedroom"], exclude=held)["bedroom"]
    assert [path.name for path in left] == ["0.png", "1.png", "2.png"]


def test_bad_input_is_named(pieces):
    json_file, images = pieces / "coco.json", pieces / "coco"
    with pytest.raises(AttribevalError, match=r"Unknown category of this COCO file: 'stopsign'.*stop sign"):
        coco_objects(json_file, images, ["stopsign"])
    with pytest.raises(AttribevalError, match="COCO's JSON"):
        coco_objects(images / "0000.png", images)
    objects, scenes = _sources(pieces)
    with pytest.raises(AttribevalError, match=r"Expected scenes of at least 64 × 64 pixels\. Received 50 × 70"):
        build_bam(pieces / "x", objects, scenes, size=64, per_pair=2, test_share=0.5)
    with pytest.raises(AttribevalError, match=r"at least 4 objects in each class.*stop_sign has 3, dog has 3"):
        build_bam(pieces / "x", objects, scenes, size=48, per_pair=4)
    with pytest.raises(AttribevalError, match="test_share to leave images"):
        build_bam(pieces / "y", objects, scenes, size=48, per_pair=2)
    with pytest.raises(AttribevalError, match="folder of scenes"):
        scene_folders(pieces / "scenes", ["kitchen"])
    with pytest.raises(AttribevalError, match=r"object inside its scene of 10 × 10 pixels\. Received one of 20 × 30"):
        paste(np.zeros((10, 10, 3), np.uint8), objects["dog"][0].load(), 0, 0)
    with pytest.raises(AttribevalError, match=r"bam\.json"):
        read_bam(pieces / "scenes")
    (images / "0003.png").unlink()
    with pytest.raises(AttribevalError, match=r"image of annotation 13 of .*no file .*0003\.png"):
        _sources(pieces)
    content = json.loads(json_file.read_text())
    content["annotations"][0]["image_id"] = 77
    json_file.write_text(json.dumps(content))
    with pytest.raises(AttribevalError, match="annotation 10 of image 77"):
        coco_objects(json_file, images, ["stop sign"])


@pytest.mark.real
def test_composites_of_real_photographs_are_exact(real_data, tmp_path):
    """COCO's people and cars in photographs of ImageNet's folders of classes."""
    coco = real_data / "coco128"
    if not coco.is_dir():
        pytest.skip("coco128 is not there")
    annotations = coco / "annotations/instances_train2017.json"
    objects = coco_objects(annotations, coco / "train2017", ["person", "car"], smallest=64)
    photographs = sorted((real_data / "ILSVRC/Data").rglob("*.JPEG"))
    scenes = {name: photographs[i::2] for i, name in enumerate(("some", "others"))}
    made = build_bam(tmp_path, objects, scenes, size=96, per_pair=5, test_share=0.4)
    for part in made:
        assert np.array_equal(part.images[~part.masks], part.scene_only[~part.masks])
        assert (part.images[part.masks] != part.scene_only[part.masks]).mean() > 0.9
        shares = part.masks.mean((1, 2))
        assert shares.min() > 0.02 and shares.max() < 0.5


def test_the_command_builds_and_says_what_it_cannot(pieces, capsys):
    from attribeval.cli import main

    arguments = ["bam", "build", str(pieces / "made"), "--coco", str(pieces / "coco.json"),
                 "--images", str(pieces / "coco"), "--scenes", str(pieces / "scenes"),
                 "--scene-classes", "bedroom", "track/outdoor", "--size", "48",
                 "--per-pair", "2", "--test-share", "0.5", "--smallest", "16"]  # fmt: skip
    assert main([*arguments, "--object-classes", "stop_sign", "dog"]) == 0
    assert "4 training and 4 test images" in capsys.readouterr().out
    assert main([*arguments, "--object-classes", "stop_sing", "dog"]) == 2
    assert "Did you mean 'stop sign'" in capsys.readouterr().err
