"""Predictions in the exchange format of their task."""

import json

import numpy as np
from PIL import Image

from official.ops import panoptic
from official.report import records

FOUND = [
    {"image_id": "val/a.jpg", "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5},
    {"image_id": "val/b.jpg", "category_id": 0, "bbox": [1, 0, 2, 2], "score": 0.25},
]


def read(folder):
    return json.loads((folder / records.FILE).read_text())


def test_names_and_class_ids_become_the_numbers_of_the_source(tmp_path):
    numbers = {"val/a.jpg": 40, "val/b.jpg": 12}
    records.write(tmp_path, FOUND, image_numbers=numbers, category_ids=(3, 90))
    assert [row["image_id"] for row in read(tmp_path)] == [40, 12]
    assert [row["category_id"] for row in read(tmp_path)] == [90, 3]
    assert [row["score"] for row in read(tmp_path)] == [0.5, 0.25]


def test_without_numbers_they_stay(tmp_path):
    records.write(tmp_path, FOUND)
    assert read(tmp_path) == FOUND


def test_nothing_found_is_an_empty_list_and_no_records_no_file(tmp_path):
    records.write(tmp_path, [])
    assert read(tmp_path) == []
    records.write(tmp_path, None)
    assert not (tmp_path / records.FILE).exists()


def of_map(name, pixels, *classes):
    return {
        "image_id": name,
        "panoptic": np.array(pixels, np.int32),
        "segments_info": [
            {"id": segment, "category_id": class_id, "area": 1, "iscrowd": 0}
            for segment, class_id in classes
        ],
    }


def test_maps_are_cocos_colored_files_beside_the_list(tmp_path):
    void = panoptic.VOID
    found = [
        of_map("val/a.jpg", [[0, 1001], [132003, void]], (0, 0), (1001, 1)),
        of_map("val/a.png", [[void]]),
    ]
    numbers = {"val/a.jpg": 7, "val/a.png": 8}
    records.write(tmp_path, found, image_numbers=numbers, category_ids=(3, 90))
    content = read(tmp_path)
    assert list(content) == ["annotations"]
    first, second = content["annotations"]
    assert first["image_id"] == 7
    assert first["file_name"] == "val_a.png"
    assert second["file_name"] == "val_a_1.png"
    segments = [(each["id"], each["category_id"]) for each in first["segments_info"]]
    assert segments == [(1, 3), (1002, 90)]
    with Image.open(tmp_path / records.MAPS / "val_a.png") as picture:
        pixels = np.asarray(picture, np.int32)
    ids = pixels @ [1, 256, 65536]
    assert ids.tolist() == [[1, 1002], [132004, 0]]


def test_maps_of_before_are_removed(tmp_path):
    records.write(tmp_path, [of_map("a", [[1]]), of_map("b", [[1]])])
    records.write(tmp_path, [of_map("b", [[1]])])
    assert [file.name for file in (tmp_path / records.MAPS).iterdir()] == ["b.png"]
    records.write(tmp_path, FOUND)
    assert not (tmp_path / records.MAPS).exists()


def test_a_name_cannot_lead_out_of_the_folder(tmp_path):
    records.write(tmp_path, [of_map("../../x.jpg", [[1]]), of_map("/y", [[1]])])
    assert len(list((tmp_path / records.MAPS).iterdir())) == 2
    assert {file.name for file in tmp_path.iterdir()} == {records.FILE, records.MAPS}
