"""ImageNet in its three layouts, of tiny pictures; labels and boxes worked out by hand; and the real photographs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from attribeval.datasets.imagenet import imagenet
from attribeval.datasets.wnids import find_classes, is_wnid
from attribeval.errors import AttribevalError

# Four made-up classes; the class index is the rank of the WNID.
FISH, BIRD, DOG, CUP = "n00000010", "n00000020", "n00000030", "n00000040"
CLASS_INDEX = {"0": [FISH, "red_fish"], "1": [BIRD, "bird"], "2": [DOG, "dog"], "3": [CUP, "cup"]}
# number: (label, annotated width and height, objects (WNID, xmin, ymin, xmax, ymax))
PHOTOS = {
    3: (DOG, (200, 100), [(DOG, 50, 10, 150, 100)]),
    7: (FISH, (500, 375), [(FISH, 0, 0, 500, 375), (FISH, 125, 75, 250, 150), (CUP, 1, 1, 2, 2)]),
    8: (CUP, (40, 80), [(CUP, 10, 20, 30, 60)]),
    12: (BIRD, (64, 64), [(BIRD, 16, 0, 48, 64)]),
    13: (DOG, (10, 10), [(DOG, 1, 2, 3, 4)]),
}
LABELS = [2, 0, 3, 1, 2]
BOXES = [  # by hand: x / width, y / height; the cup in the fish's photograph is not the label
    [[0.25, 0.1, 0.75, 1.0]],
    [[0, 0, 1, 1], [0.25, 0.2, 0.5, 0.4]],
    [[0.25, 0.25, 0.75, 0.75]],
    [[0.25, 0, 0.75, 1]],
    [[0.1, 0.2, 0.3, 0.4]],
]


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}"


def write_images(folder_of, sizes: str = "squashed") -> None:
    for number, (label, frame, _) in PHOTOS.items():
        path = folder_of(label) / f"{name(number)}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20) if sizes == "squashed" else frame, (number, 0, 0)).save(path)


def write_xml(folder: Path, numbers=PHOTOS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        _, (width, height), things = PHOTOS[number]
        objects = "".join(
            f"<object><name>{wnid}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
            "</bndbox></object>"
            for wnid, x0, y0, x1, y1 in things
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        (folder / f"{name(number)}.xml").write_text(
            f"<annotation><folder>val</folder><filename>{name(number)}</filename>{size}{objects}</annotation>"
        )


def write_solution(path: Path) -> None:
    lines = ["ImageId,PredictionString"]
    for number, (label, _, things) in PHOTOS.items():
        same = [thing for thing in things if thing[0] == label]
        lines.append(f"{name(number)}," + " ".join(" ".join(map(str, thing)) for thing in same) + " ")
    path.write_text("\n".join(lines) + "\n")


def write_devkit(folder: Path, lines: int = 20) -> None:
    """Its ids are another order than the WNIDs', and inner nodes of the hierarchy follow the classes."""
    ids = {DOG: 1, CUP: 2, FISH: 3, BIRD: 4}
    synsets = np.zeros(
        5, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    )
    for i, (wnid, number) in enumerate(ids.items()):
        synsets[i] = (float(number), wnid, f"word {number}, other", "what it is", 0.0)
    synsets[4] = (5.0, "n00000001", "entity", "", 4.0)
    folder.mkdir(parents=True)
    savemat(folder / "meta.mat", {"synsets": synsets})
    truth = [1] * lines
    for number, (label, _, _) in PHOTOS.items():
        truth[number - 1] = ids[label]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{t}\n" for t in truth))


@pytest.fixture
def kaggle(tmp_path) -> Path:
    root = tmp_path / "set" / "ILSVRC"
    write_images(lambda label: root / "Data/CLS-LOC/val")
    write_xml(root / "Annotations/CLS-LOC/val")
    write_solution(root / "LOC_val_solution.csv")
    return root


@pytest.fixture
def devkit(tmp_path) -> Path:
    root = tmp_path / "set" / "imagenet"
    write_images(lambda label: root / "val")
    write_devkit(root / "ILSVRC2012_devkit_t12/data")
    write_xml(root / "bbox" / "val")
    return root


@pytest.fixture
def folders(tmp_path) -> Path:
    root = tmp_path / "set" / "imagenet"
    write_images(lambda label: root / "val" / label)
    write_xml(root / "somewhere" / "below")
    return root


def check(samples, boxes=BOXES) -> None:
    assert samples.ids == [name(number) for number in PHOTOS]
    assert [Path(p).stem for p in samples.images] == samples.ids
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.wnids == [FISH, BIRD, DOG, CUP]
    assert samples.class_names == ["red fish", "bird", "dog", "cup"]
    assert samples.exif is False
    for found, expected in zip(samples.boxes, boxes, strict=True):
        np.testing.assert_allclose(found, np.reshape(expected, (-1, 4)))
    # Each picture is the one its name says: red was set to the number (JPEG: within a few levels).
    assert np.abs(samples.load(size=(20, 20))[:, 10, 10, 0] - list(PHOTOS)).max() <= 2


# ---------------------------------------------------------------------------------------------- layouts


@pytest.mark.parametrize("below", [".", "..", "Data/CLS-LOC/val"])
def test_kaggle(kaggle, below):
    check(imagenet(kaggle / below, class_index=CLASS_INDEX, boxes=True))


@pytest.mark.parametrize("below", [".", ".."])
def test_kaggle_with_the_lists_beside_the_folder(kaggle, below):
    (kaggle / "LOC_val_solution.csv").rename(kaggle.parent / "LOC_val_solution.csv")
    check(imagenet(kaggle / below, class_index=CLASS_INDEX))


@pytest.mark.parametrize("below", [".", ".."])
def test_devkit(devkit, below):
    check(imagenet(devkit / below, class_index=CLASS_INDEX, boxes=True))


def test_devkit_from_the_image_folder(devkit):
    (devkit / "bbox").rename(devkit / "Annotations")
    check(imagenet(devkit / "val", class_index=CLASS_INDEX, boxes=True))


@pytest.mark.parametrize("below", [".", ".."])
def test_synset_folders(folders, below):
    check(imagenet(folders / below, class_index=CLASS_INDEX, boxes=True))


def test_synset_folders_of_train_without_annotations(tmp_path):
    write_images(lambda label: tmp_path / "train" / label)
    samples = imagenet(tmp_path, "train", class_index=CLASS_INDEX)
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.boxes is None and samples.name == "imagenet-train"


def test_a_relative_root(kaggle, monkeypatch):
    monkeypatch.chdir(kaggle / "Data" / "CLS-LOC" / "val")
    check(imagenet(".", class_index=CLASS_INDEX))


def test_limit_takes_the_first_by_file_name(folders):
    samples = imagenet(folders, limit=3, class_index=CLASS_INDEX)
    assert samples.ids == [name(3), name(7), name(8)]
    np.testing.assert_array_equal(samples.labels, LABELS[:3])
    assert len(samples.boxes) == 3


# ---------------------------------------------------------------------------------------------- boxes


def test_boxes_of_the_csv_when_there_is_no_xml(tmp_path):
    write_images(lambda label: tmp_path / "val" / label, sizes="original")
    write_solution(tmp_path / "LOC_val_solution.csv")
    check(imagenet(tmp_path, class_index=CLASS_INDEX, boxes=True))


def test_boxes_of_the_csv_on_a_squashed_image_that_they_leave(kaggle):
    (kaggle / f"Annotations/CLS-LOC/val/{name(3)}.xml").unlink()
    with pytest.raises(AttribevalError, match=rf"20 × 20.*\[50.0, 10.0, 150.0, 100.0\].*{name(3)}.*boxes=False"):
        imagenet(kaggle, class_index=CLASS_INDEX)


def test_auto_gives_an_empty_list_where_there_is_no_annotation(folders):
    (folders / f"somewhere/below/{name(8)}.xml").unlink()
    check(imagenet(folders, class_index=CLASS_INDEX), boxes=[*BOXES[:2], [], *BOXES[3:]])
    with pytest.raises(AttribevalError, match=rf"{name(8)}.*no box of its label {CUP}.*LOC_val_solution.csv.*boxes="):
        imagenet(folders, class_index=CLASS_INDEX, boxes=True)


def test_no_boxes_when_none_are_wanted(kaggle):
    (kaggle / f"Annotations/CLS-LOC/val/{name(3)}.xml").write_text("not read")
    assert imagenet(kaggle, class_index=CLASS_INDEX, boxes=False).boxes is None


def test_boxes_demanded_without_annotations(tmp_path):
    write_images(lambda label: tmp_path / "val" / label)
    with pytest.raises(AttribevalError) as caught:
        imagenet(tmp_path, class_index=CLASS_INDEX, boxes=True)
    for part in (f"{name(3)}.xml", str(tmp_path), "LOC_val_solution.csv", "Annotations/CLS-LOC", "boxes=False"):
        assert part in str(caught.value)
    assert imagenet(tmp_path, class_index=CLASS_INDEX).boxes is None


@pytest.mark.parametrize(
    ("old", "new"), [("<xmax>150<", "<xmax>201<"), ("<xmin>50<", "<xmin>-1<"), ("<ymin>10<", "<ymin>100<"),
                     ("<xmax>150<", "<xmax>nan<"), ("<width>200<", "<width>0<")]
)  # fmt: skip
def test_a_box_outside_its_frame(kaggle, old, new):
    path = kaggle / f"Annotations/CLS-LOC/val/{name(3)}.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(AttribevalError, match=rf"inside its image of.*\[.*object 0 of .*{name(3)}.xml"):
        imagenet(kaggle, class_index=CLASS_INDEX)


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><annotation><size><width>&b;</width></size></annotation>'
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<annotation><size>", "PASCAL VOC annotation"),
        ("", "PASCAL VOC annotation"),
        ("<annotation></annotation>", "size/width"),
        (f"<annotation><size><width>9</width><height>9</height></size><object><name>{DOG}</name></object></annotation>",
         "bndbox/xmin"),
        (BOMB, "Refused.*entity bomb.*EntitiesForbidden"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "Refused"),
    ],
)  # fmt: skip
def test_bad_xml(kaggle, content, said):
    path = kaggle / f"Annotations/CLS-LOC/val/{name(3)}.xml"
    path.write_text(content)
    with pytest.raises(AttribevalError, match=said) as caught:
        imagenet(kaggle, class_index=CLASS_INDEX)
    assert str(path) in str(caught.value)


def test_two_annotations_of_one_image(folders):
    write_xml(folders / "det", [7])
    with pytest.raises(AttribevalError, match=rf"(?s)one annotation per image.*{name(7)}.xml.*{name(7)}.xml.*CLS-LOC"):
        imagenet(folders, class_index=CLASS_INDEX)


# ---------------------------------------------------------------------------------------------- labels


def test_images_without_label(kaggle):
    write_solution(kaggle / "LOC_val_solution.csv")
    lines = (kaggle / "LOC_val_solution.csv").read_text().splitlines()
    (kaggle / "LOC_val_solution.csv").write_text("\n".join(line for line in lines if name(8) not in line))
    with pytest.raises(AttribevalError, match=f"{name(8)}.JPEG' has no label in .*LOC_val_solution.csv"):
        imagenet(kaggle, class_index=CLASS_INDEX)
    (kaggle / "LOC_val_solution.csv").unlink()
    with pytest.raises(AttribevalError) as caught:
        imagenet(kaggle, class_index=CLASS_INDEX)
    for part in ("no labels", "LOC_val_solution.csv", "ILSVRC2012_validation_ground_truth.txt", "meta.mat"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{name(20)},{DOG} 1 2 3", "line 7"),
        (f"{name(20)},{DOG} 1 2 3 x", "line 7"),
        (f"{name(20)},{DOG} 1 2 3 4 {CUP} 1 2 3 4", "one and the same WNID"),
        (f"{name(20)},", "line 7"),
        (f"{name(3)},{DOG} 1 2 3 4", "once per image"),
    ],
)
def test_bad_solution_line(kaggle, line, said):
    with open(kaggle / "LOC_val_solution.csv", "a") as file:
        file.write(line + "\n")
    with pytest.raises(AttribevalError, match=said) as caught:
        imagenet(kaggle, class_index=CLASS_INDEX)
    assert line in str(caught.value) and "LOC_val_solution.csv" in str(caught.value)


def test_a_csv_with_other_columns(kaggle):
    (kaggle / "LOC_val_solution.csv").write_text("id,label\n")
    with pytest.raises(AttribevalError, match=r"ImageId,PredictionString. Received \['id', 'label'\]"):
        imagenet(kaggle, class_index=CLASS_INDEX)


def test_devkit_label_faults(devkit):
    truth = devkit / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([*lines[:6], "5", *lines[7:]]))  # 5 is an inner node of the hierarchy
    with pytest.raises(AttribevalError, match=rf"Received '5' in .*{truth.name}', line 7 .*{name(7)}"):
        imagenet(devkit, class_index=CLASS_INDEX)
    truth.write_text("\n".join(lines[:12]))
    with pytest.raises(AttribevalError, match=f"{name(13)}.JPEG' has no label"):
        imagenet(devkit, class_index=CLASS_INDEX)
    truth.with_name("meta.mat").write_bytes(b"no matrix")
    with pytest.raises(AttribevalError, match=r"Expected the devkit's meta.mat.*meta.mat'"):
        imagenet(devkit, class_index=CLASS_INDEX)


def test_unknown_wnid(folders):
    some = {"0": CLASS_INDEX["0"], "1": CLASS_INDEX["1"]}
    with pytest.raises(AttribevalError, match=rf"one of the 2 WNIDs of class_index. Received '{DOG}' .*{name(3)}.JPEG"):
        imagenet(folders, class_index=some)


# ---------------------------------------------------------------------------------------------- images


def test_no_images(tmp_path):
    with pytest.raises(AttribevalError, match="no such directory"):
        imagenet(tmp_path / "nothing")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "readme.txt").write_text("no image")
    with pytest.raises(AttribevalError, match=r"No images.*\.jpeg.*Data/CLS-LOC/val.*split 'val'") as caught:
        imagenet(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_the_other_split(folders):
    (folders / "val").rename(folders / "train")
    with pytest.raises(AttribevalError, match=r"split 'val'.*pass split='train'"):
        imagenet(folders / "train", class_index=CLASS_INDEX)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "vall"}, "Unknown split of ImageNet: 'vall'. Did you mean 'val'"),
        ({"limit": 0}, "positive int.*Received: 0"),
        ({"limit": True}, "positive int.*Received: True"),
        ({"boxes": "yes"}, "boxes='auto', True or False. Received: boxes='yes'"),
        ({"boxes": 1}, "boxes='auto', True or False. Received: boxes=1"),
    ],
)
def test_bad_options(kaggle, options, said):
    with pytest.raises(AttribevalError, match=said):
        imagenet(kaggle, class_index=CLASS_INDEX, **options)


# ---------------------------------------------------------------------------------------------- the list of classes


def made_up_classes() -> list[tuple[str, str]]:
    """1000 (WNID, words) out of order, among them the four of the photographs."""
    numbers = np.random.default_rng(0).permutation(np.arange(1, 1001) * 10)
    return [(f"n{n:08d}", f"thing {n}, synonym of {n}") for n in numbers]


def test_mapping_of_1000(kaggle):
    (kaggle / "LOC_synset_mapping.txt").write_text("".join(f"{w} {words}\n" for w, words in made_up_classes()))
    samples = imagenet(kaggle)
    # WNIDs are n00000010, n00000020, … n00010000: the rank is the number / 10 − 1.
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.wnids == [f"n{n * 10:08d}" for n in range(1, 1001)]
    assert samples.class_names[2] == "thing 30" and samples.class_names[999] == "thing 10000"
    (kaggle / "LOC_synset_mapping.txt").write_text("".join(f"{w} {words}\n" for w, words in made_up_classes()[1:]))
    with pytest.raises(AttribevalError, match=r"Expected 1000 WNIDs in .*LOC_synset_mapping.txt'. Received 999"):
        imagenet(kaggle)
    (kaggle / "LOC_synset_mapping.txt").write_text("n00000010 fish\ntench\n")
    with pytest.raises(AttribevalError, match=r"in line 2 of .*LOC_synset_mapping.txt. Received 'tench'"):
        imagenet(kaggle)


def test_meta_of_1000(devkit):
    folder = devkit / "ILSVRC2012_devkit_t12/data"
    rows = [(float(i), w, words, "", 0.0) for i, (w, words) in enumerate(made_up_classes(), start=1)]
    inner = [(1001.0, "n00000001", "entity", "", 2.0), (1002.0, "n99999999", "artifact", "", 7.0)]
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    savemat(folder / "meta.mat", {"synsets": np.array(rows + inner, dtype=fields)})
    ids = {w: i for i, w, *_ in rows}
    truth = [int(ids[PHOTOS[n][0]]) if n in PHOTOS else 1 for n in range(1, 51)]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(map(str, truth)))
    samples = imagenet(devkit, boxes=True)
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert len(samples.wnids) == 1000 and samples.class_names[:2] == ["thing 10", "thing 20"]


def test_1000_synset_folders(folders):
    for wnid, _ in made_up_classes():
        (folders / "val" / wnid).mkdir(exist_ok=True)
    samples = imagenet(folders)
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.class_names is None and len(samples.wnids) == 1000


def test_keras_cached_file_and_its_absence(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(AttribevalError, match=r"LOC_synset_mapping.txt.*meta.mat.*found 4.*keras.*Pass class_index="):
        imagenet(folders)
    cached = tmp_path / "keras" / "models" / "imagenet_class_index.json"
    cached.parent.mkdir(parents=True)
    cached.write_text(json.dumps({str(i): [w, f"thing_{w}"] for i, (w, _) in enumerate(sorted(made_up_classes()))}))
    np.testing.assert_array_equal(imagenet(folders).labels, LABELS)
    np.testing.assert_array_equal(imagenet(folders, class_index=cached).labels, LABELS)
    np.testing.assert_array_equal(imagenet(folders, class_index=str(cached)).labels, LABELS)


def test_class_index_goes_before_everything(kaggle):
    (kaggle / "LOC_synset_mapping.txt").write_text("damaged")
    other = {0: [DOG, "dog"], 1: [CUP, "cup"], 2: [BIRD, "bird"], 3: [FISH, "fish"]}  # a model's own order
    np.testing.assert_array_equal(imagenet(kaggle, class_index=other).labels, [0, 3, 1, 2, 0])


@pytest.mark.parametrize(
    "content",
    [{}, {"1": [FISH, "fish"]}, {"0": [FISH]}, {"0": ["fish", "x"]}, {"a": [FISH, "x"]}, {"0": None},
     {"0": [FISH, "x"], "1": [FISH, "y"]}],
)  # fmt: skip
def test_bad_class_index(content, tmp_path):
    with pytest.raises(AttribevalError, match=r"imagenet_class_index\.json"):
        find_classes(content, None, None, [])
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(AttribevalError, match=re.escape(str(tmp_path / "index.json"))):
        find_classes(tmp_path / "index.json", None, None, [])


def test_class_index_that_is_no_json(tmp_path):
    (tmp_path / "index.json").write_text("{")
    for path in (tmp_path / "index.json", tmp_path / "nothing.json", tmp_path, 7):
        with pytest.raises(AttribevalError, match="path of a JSON file"):
            find_classes(path, None, None, [])


def test_is_wnid():
    assert is_wnid("n01440764")
    for text in ("n0144076", "n014407644", "x01440764", "n0144076x", "n0144076²", "N01440764", "", None):
        assert not is_wnid(text)


# ---------------------------------------------------------------------------------------------- the real thing


@pytest.mark.real
def test_real_layouts_agree(real_data, tmp_path):
    samples = imagenet(real_data / "ILSVRC", boxes=True)
    assert len(samples) == 300 and sum(map(len, samples.boxes)) == 418
    keras_order = json.loads((real_data / "imagenet_class_index.json").read_text())
    assert samples.wnids == [keras_order[str(i)][0] for i in range(1000)]
    # The same photographs sorted into folders, and with a devkit made up for them in an order of its own.
    order = np.random.default_rng(0).permutation(1000)
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(float(i), samples.wnids[k], "x", 0.0) for i, k in enumerate(order, start=1)]
    (tmp_path / "devkit/ILSVRC2012_devkit_t12/data").mkdir(parents=True)
    (tmp_path / "devkit/val").mkdir()
    savemat(tmp_path / "devkit/ILSVRC2012_devkit_t12/data/meta.mat", {"synsets": np.array(rows, dtype=fields)})
    truth = np.ones(50_000, int)
    for path, label in zip(samples.images, samples.labels, strict=True):
        folder = tmp_path / "folders/val" / samples.wnids[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(path).name).symlink_to(path)
        (tmp_path / "devkit/val" / Path(path).name).symlink_to(path)
        truth[int(Path(path).stem[-8:]) - 1] = int(np.argmax(order == label)) + 1
    (tmp_path / "devkit/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt").write_text(
        "\n".join(map(str, truth))
    )
    for layout in ("folders", "devkit"):
        (tmp_path / layout / "boxes").symlink_to(real_data / "ILSVRC/Annotations/CLS-LOC/val")
        options = {"class_index": real_data / "imagenet_class_index.json"} if layout == "folders" else {}
        other = imagenet(tmp_path / layout, boxes=True, **options)
        assert other.ids == samples.ids
        np.testing.assert_array_equal(other.labels, samples.labels)
        for found, expected in zip(other.boxes, samples.boxes, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.real
def test_real_accuracy(real_data):
    """Labels, pixels and channel order at once: top-1 of two networks, known from another reader, within a point."""
    import keras

    samples = imagenet(real_data / "ILSVRC", boxes=False)
    for file, preprocess, expected in [
        ("mobilenet_075_imagenet.keras", lambda x: x / 127.5 - 1, 75.3),
        ("squeezenet_1_0_imagenet.keras", lambda x: x[..., ::-1] - np.array([104, 117, 123], np.float32), 71.7),
    ]:
        model = keras.models.load_model(real_data / "models" / file, compile=False)
        images = samples.load(size=model.input_shape[1:3])
        top1 = model.predict(preprocess(images), batch_size=32, verbose=0).argmax(-1)
        assert 100 * np.mean(top1 == samples.labels) == pytest.approx(expected, abs=1), file
