"""Images that are decoded late, and in part."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official import failures
from official.data import crops, decoding, encoded, errors, image_folder, pipeline


def _photo(height=75, width=101):
    """Smooth but for some noise, with colors that change from pixel to pixel."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3))
    smooth = np.stack([2 * x, 200 - 2 * y, (3 * x + y) % 160], -1)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def _file(array, form="JPEG", mode=None, **options):
    picture, file = Image.fromarray(array), io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, form, **options)
    return encoded.Encoded(file.getvalue(), "photo.jpg")


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return _file(_photo(), exif=exif)


FILES = {
    "colors at half the size": lambda: _file(_photo(), quality=92, subsampling=2),
    "colors at half the width": lambda: _file(_photo(), subsampling=1),
    "colors at full size": lambda: _file(_photo(), subsampling=0),
    "progressive": lambda: _file(_photo(), progressive=True),
    "grayscale": lambda: _file(_photo(), mode="L"),
    "CMYK": lambda: _file(_photo(), mode="CMYK"),
    "turned by EXIF": _turned,
    "PNG": lambda: _file(_photo(), "PNG"),
    "palette": lambda: _file(_photo(), "PNG", mode="P"),
    "16 bits": lambda: _file(np.arange(7575, dtype=np.uint16).reshape(75, 101), "PNG"),
}


def _window(file, top, left, height, width):
    example = {
        "encoded": tf.constant([file.data, file.name.encode(), file.kind]),
        "image_size": tf.constant(file.shape[:2]),
    }
    start, size = tf.constant([top, left]), tf.constant([height, width])
    return encoded.window(example, start, size).numpy()


@pytest.mark.parametrize("kind", FILES)
def test_a_window_is_a_part_of_the_whole_to_the_bit(kind):
    file = FILES[kind]()
    whole = decoding.image_of_bytes(file.data, name="x")
    assert file.shape == whole.shape
    height, width, _ = whole.shape
    draw = np.random.default_rng(1).integers
    for _ in range(12):
        h, w = map(int, (draw(1, height + 1), draw(1, width + 1)))
        top, left = int(draw(0, height - h + 1)), int(draw(0, width - w + 1))
        part = _window(file, top, left, h, w)
        np.testing.assert_array_equal(part, whole[top : top + h, left : left + w])


def test_only_plain_jpegs_are_decoded_in_part():
    kinds = {kind for kind, make in FILES.items() if make().kind == encoded.JPEG}
    assert set(FILES) - kinds == {"CMYK", "turned by EXIF", "PNG", "palette", "16 bits"}


def test_the_size_of_a_plain_file_is_known_without_decoding(monkeypatch):
    file = _file(_photo())
    monkeypatch.setattr(decoding, "image_of_bytes", None)
    assert file.shape == (75, 101, 3)


def test_damage_is_named_with_the_file():
    file = _file(_photo())
    short = encoded.Encoded(file.data[:900], "half.jpg")
    assert short.shape == (75, 101, 3)
    with pytest.raises(failures.DataError, match=r"^half\.jpg: truncated, damaged"):
        short.decode()
    with pytest.raises(failures.DataError, match=r"^none\.jpg: no such file"):
        encoded.read("none.jpg")
    with pytest.raises(failures.DataError, match=r"^text\.jpg: not an image"):
        _ = encoded.Encoded(b"text", "text.jpg").shape


def _folder(folder: pathlib.Path):
    for number in range(4):
        path = folder / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_photo()[number:]).save(path)
    return image_folder.ImageFolder(data_dir=str(folder))


def _crop(example, *, training, seed):
    image = crops.inception_crop(example, size=(32, 32), seed=seed)
    return image, {"label": example["label"], "undecoded": "encoded" in example}


def _batches(dataset, *, cache=False, undecoded=True):
    source = pipeline.Input(split="train", batch_size=4, cache=cache)
    batches = pipeline.training_batches(
        dataset, source, _crop, seed=3, undecoded=undecoded
    )
    return list(batches.take(3).as_numpy_iterator())


def test_training_sees_the_same_pixels_decoded_late_early_and_from_a_cache(tmp_path):
    dataset = _folder(tmp_path)
    late = _batches(dataset)
    assert late[0][1]["undecoded"].all()
    for others in (_batches(dataset, undecoded=False), _batches(dataset, cache=True)):
        assert not others[0][1]["undecoded"].any()
        for one, other in zip(late, others, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1]["label"], other[1]["label"])


def test_a_damaged_file_ends_training_with_its_name(tmp_path):
    dataset = _folder(tmp_path)
    path = tmp_path / "train" / "b" / "3.jpg"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(failures.DataError, match=r"3\.jpg: truncated"), errors.clear():
        _batches(dataset)


def test_a_file_that_is_damaged_inside_ends_training_with_the_way_to_find_it(tmp_path):
    dataset = _folder(tmp_path)
    path = tmp_path / "train" / "b" / "3.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:650] + b"\xff\xc3" * 40 + content[650:])
    wanted = r"a damaged JPEG file \(Invalid JPEG data.*--dry_run reads every file"
    examples = dataset.load("train", undecoded=True)
    with pytest.raises(failures.DataError, match=wanted), errors.clear():
        list(
            examples.map(
                lambda e: encoded.window(e, tf.zeros(2, tf.int32), e["image_size"])
            )
        )
    with pytest.raises(failures.DataError, match=r"3\.jpg: truncated"):
        decoding.image(path)


def test_undecoded_examples_are_of_static_types(tmp_path):
    spec = _folder(tmp_path).load("train", undecoded=True).element_spec
    assert spec["encoded"] == tf.TensorSpec([3], tf.string)
    assert spec["image_size"] == tf.TensorSpec([2], tf.int32)
    assert "image" not in spec
