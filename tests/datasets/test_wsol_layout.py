"""Readers of boxes and masks: COCO, wsolevaluation's metadata and map files, any table of boxes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attribeval.benchmarks.wsol.evaluate import evaluate
from attribeval.datasets import box_table, coco, wsol_maps, wsol_metadata
from attribeval.errors import AttribevalError

# -- COCO --------------------------------------------------------------------------------------------------------------


def content() -> dict:
    square = [10, 5, 30, 5, 30, 15, 10, 15]
    counts = [0, 20, 780]  # the first column of 20 × 40, and none else
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 20, "width": 40},
                   {"id": 2, "file_name": "b.png", "height": 20, "width": 40}],
        "categories": [{"id": 9, "name": "stop sign"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 9, "bbox": [10, 5, 20, 10], "segmentation": [square]},
            {"id": 2, "image_id": 7, "category_id": 9, "bbox": [0, 0, 4, 20], "iscrowd": 1,
             "segmentation": {"counts": counts, "size": [20, 40]}},
            {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 20], "iscrowd": 0,
             "segmentation": {"counts": counts, "size": [20, 40]}},
            {"id": 4, "image_id": 2, "category_id": 3, "bbox": [30, 10, 10.004, 10], "segmentation": [square]},
            {"id": 5, "image_id": 2, "category_id": 9, "bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": [square]},
        ],
    }  # fmt: skip


@pytest.fixture
def coco_file(tmp_path):
    def write(data):
        (tmp_path / "instances.json").write_text(json.dumps(data))
        return tmp_path / "instances.json"

    return write


def test_coco_by_hand(coco_file, tmp_path):
    samples = coco(coco_file(content()), tmp_path)
    assert samples.ids == ["b_dog", "a_dog", "a_stop_sign"]  # by image id and category id; a crowd alone is no item
    assert samples.labels.tolist() == [0, 0, 1] and samples.class_names == ["dog", "stop sign"]
    np.testing.assert_allclose(samples.boxes[0], [[0.75, 0.5, 1, 1]])  # cut at the image's edge
    np.testing.assert_allclose(samples.boxes[2], [[0.25, 0.25, 0.75, 0.75]])  # not the crowd's
    mask = samples.mask_at(2, (20, 40))
    assert (mask[5:15, 10:30] == 1).all() and (mask[:, 0] == 255).all() and (mask == 0).sum() == 800 - 200 - 20
    assert samples.mask_at(1, (20, 40))[:, 0].all()
    assert coco(coco_file(content()), tmp_path, categories=["dog"]).ids == ["b_dog", "a_dog"]
    only = coco(coco_file(content()), tmp_path, class_index={"stop sign": 919}, limit=1)
    assert only.ids == ["a_stop_sign"] and only.labels.tolist() == [919]


def test_coco_names_what_is_wrong(coco_file, tmp_path):
    for change, said in [
        ({"bbox": [10, 5, 0, 10]}, r"area inside its image.*\[10, 5, 0, 10\] in annotation 1"),
        ({"bbox": [1, 2]}, r"x, y, width, height.*annotation 1"),
        ({"segmentation": [[1, 2, 3, 4]]}, "annotation 1.*three or more"),
        ({"segmentation": {"counts": [1, 2], "size": [20, 40]}}, "annotation 1.*cover the image"),
        ({"image_id": 99}, "1 of image 99"),
    ]:
        data = content()
        data["annotations"][0].update(change)
        with pytest.raises(AttribevalError, match=said):
            coco(coco_file(data), tmp_path)
    with pytest.raises(AttribevalError, match=r"'dogg'.*'dog'"):
        coco(coco_file(content()), tmp_path, categories=["dogg"])
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(AttribevalError, match="JSON with images"):
        coco(tmp_path / "bad.json", tmp_path)


@pytest.mark.real
def test_real_coco_masks_agree_with_their_boxes_and_areas(real_data):
    folder = real_data / "coco128"
    file = folder / "annotations/instances_train2017.json"
    samples = coco(file, folder / "train2017")
    assert len(samples) > 200 and len(set(samples.ids)) == len(samples)
    data = json.loads(file.read_text())
    crowded = {(a["image_id"], a["category_id"]) for a in data["annotations"] if a["iscrowd"]}
    areas = {}
    for a in data["annotations"]:
        areas.setdefault((a["image_id"], a["category_id"]), []).append(a["area"])
    names = {c["id"]: c["name"].replace(" ", "_") for c in data["categories"]}
    stems = {i["id"]: i["file_name"].split(".")[0] for i in data["images"]}
    alone = {f"{stems[i]}_{names[c]}": sum(a) for (i, c), a in areas.items() if len(a) == 1 and (i, c) not in crowded}
    agreed = []
    for i, (name, size) in enumerate(zip(samples.ids, samples.sizes(), strict=True)):
        if name not in alone or alone[name] < 2000:
            continue
        mask = samples.mask_at(i, size)
        assert mask.sum() == pytest.approx(alone[name], rel=0.02), name
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        agreed.append(np.abs(found - samples.boxes[i][0] * np.array([size[1], size[0]] * 2)).max() < 2)
    assert len(agreed) > 50 and np.mean(agreed) > 0.9  # some annotators' boxes are not those of their polygons


# -- wsolevaluation ----------------------------------------------------------------------------------------------------


@pytest.fixture
def metadata(tmp_path):
    folder = tmp_path / "val"
    folder.mkdir()
    (folder / "image_ids.txt").write_text("x/b.JPEG\nx/a.JPEG\n")
    (folder / "class_labels.txt").write_text("x/a.JPEG,3\nx/b.JPEG,1\n")
    (folder / "image_sizes.txt").write_text("x/a.JPEG,500,375\nx/b.JPEG,100,200\n")
    (folder / "localization.txt").write_text("x/a.JPEG,125,75,250,375\nx/b.JPEG,0,0,50,50\nx/a.JPEG,0,0,500,375\n")
    return folder


def test_metadata_by_hand(metadata):
    samples = wsol_metadata(metadata, "/images")
    assert samples.ids == ["x/b.JPEG", "x/a.JPEG"] and samples.labels.tolist() == [1, 3]
    assert str(samples.images[1]) == "/images/x/a.JPEG"
    np.testing.assert_allclose(samples.boxes[0], [[0, 0, 0.5, 0.25]])
    np.testing.assert_allclose(samples.boxes[1], [[0.25, 0.2, 0.5, 1], [0, 0, 1, 1]])
    assert wsol_metadata(metadata, limit=1).ids == ["x/b.JPEG"]


def test_metadata_with_mask_files(metadata, tmp_path):
    (metadata / "localization.txt").write_text("x/a.JPEG,a.png,ig.png\nx/b.JPEG,b1.png,\nx/b.JPEG,b2.png,\n")
    pixels = {"a": [[1, 0], [0, 0]], "ig": [[1, 1], [0, 0]], "b1": [[0, 0], [1, 0]], "b2": [[0, 0], [0, 1]]}
    for name, rows in pixels.items():
        Image.fromarray(np.array(rows, np.uint8) * 255).save(tmp_path / f"{name}.png")
    samples = wsol_metadata(metadata, masks=tmp_path)
    assert samples.boxes is None
    assert samples.mask_at(0, (2, 2)).tolist() == [[0, 0], [1, 1]]
    assert samples.mask_at(1, (2, 2)).tolist() == [[1, 255], [0, 0]]


def test_metadata_names_what_is_wrong(metadata):
    for file, text, said in [
        ("image_ids.txt", "", "lines in .*image_ids.txt. Received an empty file"),
        ("class_labels.txt", "x/a.JPEG,3\n", "class_labels.txt.*none for 1: x/b.JPEG"),
        ("class_labels.txt", "x/a.JPEG,dog\n", r"line 1 of .*class_labels.txt. Received 'x/a.JPEG,dog'"),
        ("image_sizes.txt", "\nx/a.JPEG,3\n", r"2 whole numbers.*line 2 of .*image_sizes.txt. Received 'x/a.JPEG,3'"),
        ("localization.txt", "x/a.JPEG,1,2,3,four\n", "x0,y0,x1,y1.*four"),
        ("localization.txt", "x/a.JPEG,300,75,250,375\n", r"x0 < x1.*image 'x/a.JPEG'"),
        ("localization.txt", "x/a.JPEG,m.png,\n", "a mask for every image.*x/b.JPEG"),
    ]:
        kept = (metadata / file).read_text()
        (metadata / file).write_text(text)
        with pytest.raises(AttribevalError, match=said):
            wsol_metadata(metadata)
        (metadata / file).write_text(kept)
    (metadata / "image_sizes.txt").unlink()
    with pytest.raises(AttribevalError, match=r"Expected a list, .*image_sizes\.txt. Received: FileNotFoundError"):
        wsol_metadata(metadata)


def test_published_map_files_are_scored(metadata, tmp_path):
    samples = wsol_metadata(metadata)
    maps = tmp_path / "maps/x"
    maps.mkdir(parents=True)
    for name, box in [("b", (0, 0, 112, 56)), ("a", (56, 45, 112, 224))]:
        heat = np.zeros((224, 224), np.float32)
        heat[box[1] : box[3], box[0] : box[2]] = 1
        np.save(maps / f"{name}.JPEG.npy", heat)
    found = wsol_maps(tmp_path / "maps", samples.ids)
    result = evaluate(found, boxes=samples.boxes_at((224, 224)), metrics=["MaxBoxAcc"], protocol="reference", iou=0.95)
    assert result.table.set_index("method").loc["maps", "value"] == 1


def test_every_missing_map_file_is_listed(tmp_path):
    ids = [f"val/{i}.JPEG" for i in range(9)]
    (tmp_path / "val").mkdir()
    np.save(tmp_path / "val/3.JPEG.npy", np.zeros((2, 2)))
    np.save(tmp_path / "val/4.npy", np.zeros((2, 2)))  # misnamed
    with pytest.raises(AttribevalError) as error:
        wsol_maps(tmp_path, ids)
    message = str(error.value)
    for i in range(9):
        assert (f"val/{i}.JPEG.npy" in message) == (i != 3)
    assert "none for 8 of 9" in message and "no image asks for (1): val/4.npy" in message
    with pytest.raises(AttribevalError, match="no such directory"):
        wsol_maps(tmp_path / "nowhere", ids)


def test_bad_map_files_are_named(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"nothing")
    np.save(tmp_path / "b.npy", np.zeros((2, 2, 3)))
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object))
    for name in "abc":
        with pytest.raises(AttribevalError, match=rf"{name}\.npy' to hold a map \(H, W\)"):
            wsol_maps(tmp_path, [name])[0]
    assert len(wsol_maps(tmp_path, ["a", "b", "c"])[1:]) == 2


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_table_of_boxes_by_hand(tmp_path):
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "b.png")
    Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / "a.png")
    text = "image,x0,y0,x1,y1,label\nb.png,10,5,30,15,2\na.png,,,,,0\nb.png,0,0,40,20,2\n"
    (tmp_path / "boxes.csv").write_text(text)
    samples = box_table(tmp_path / "boxes.csv", tmp_path)
    assert samples.ids == ["b.png", "a.png"] and samples.labels.tolist() == [2, 0]
    np.testing.assert_allclose(samples.boxes[0], [[0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1]])
    assert samples.boxes[1].shape == (0, 4)
    frame = pd.DataFrame({"image": ["q"], "x0": [1], "y0": [2], "x1": [3], "y1": [4], "width": [4], "height": [8]})
    np.testing.assert_allclose(box_table(frame).boxes[0], [[0.25, 0.25, 0.75, 0.5]])
    np.testing.assert_allclose(
        box_table(frame.assign(x0=0, y0=0, x1=0.5, y1=1), relative=True).boxes[0], [[0, 0, 0.5, 1]]
    )


def test_a_table_names_what_is_wrong(tmp_path):
    frame = pd.DataFrame(
        {"image": ["q"], "x0": [1.0], "y0": [2.0], "x1": [3.0], "y1": [4.0], "width": [4], "height": [8]}
    )
    with pytest.raises(AttribevalError, match="y1 missing"):
        box_table(frame.drop(columns="y1"))
    with pytest.raises(AttribevalError, match=r"x0 < x1.*image 'q'"):
        box_table(frame.assign(x0=3.0))
    with pytest.raises(AttribevalError, match=r"inside its image.*image 'q'"):
        box_table(frame.assign(x1=9.0))
    with pytest.raises(AttribevalError, match=r"one label per image. Received \[1, 2\] for image 'q'"):
        box_table(pd.concat([frame.assign(label=1), frame.assign(label=2)]))
    with pytest.raises(AttribevalError, match="CSV file"):
        box_table(tmp_path / "none.csv")
