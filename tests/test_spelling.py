"""What is suggested for names and paths that are not there."""

from official import spelling


def test_a_missing_path_names_the_one_that_may_be_meant(tmp_path):
    (tmp_path / "flowers/train").mkdir(parents=True)
    wrong = tmp_path / "flower" / "train"
    right = tmp_path / "flowers" / "train"
    assert spelling.missing(wrong) == f"{wrong} does not exist (did you mean {right}?)"


def test_nothing_is_suggested_where_nothing_is_alike(tmp_path):
    (tmp_path / "flowers").mkdir()
    wrong = tmp_path / "streets"
    assert spelling.missing(wrong) == f"{wrong} does not exist"


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "photos").write_text("x")
    assert spelling.missing(tmp_path / "photos").endswith("is of another kind")
