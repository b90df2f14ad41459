"""Predictions in the exchange format of their task."""

import json

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
