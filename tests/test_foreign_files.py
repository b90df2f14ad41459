"""Files that this project did not make, and photographs of every kind."""

import errno
import json
import os
import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest
from PIL import Image

from official.report import terminal
from official.report.panels import base as panels
from tflite_export import __main__ as command
from tflite_export import flatbuffer, interpreter

DETECTION = panels.find("detection")


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = command.main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def photo(folder: pathlib.Path, name: str = "photo.png") -> pathlib.Path:
    path = folder / name
    Image.fromarray(networks.pixels(1)[0].astype(np.uint8)).save(path)
    return path


def edited(folder: pathlib.Path, edit, precision: str = "int8") -> pathlib.Path:
    path = folder / "model.tflite"
    path.write_bytes(networks.edited(networks.content(precision), edit))
    return path


def found(boxes, class_ids, scores, count=None) -> dict[str, np.ndarray]:
    return DETECTION.decide(
        {
            "boxes_yxyx": np.array([boxes], np.float32),
            "class_ids": np.array([class_ids], np.float32),
            "scores": np.array([scores], np.float32),
            "count": np.array([len(scores) if count is None else count], np.float32),
        },
        (60, 90),
        scores="softmax",
    )


def test_boxes_are_drawn_where_they_are_with_the_color_of_their_class():
    image = np.full((60, 90, 3), 255, np.uint8)
    answer = found([[0.5, 0.5, 1, 1], [0, 0, 0.4, 0.4]], [1, 0], [0.9, 0.2])
    picture = DETECTION.draw(
        image,
        {},
        {"file": answer},
        class_names=("cat", "dog"),
        palette=((255, 0, 0), (0, 0, 255)),
    )
    pixels = np.asarray(picture)
    blue = (pixels == (0, 0, 255)).all(axis=-1)
    rows, columns = np.nonzero(blue)
    top, left = 20, 6  # the caption and the margin
    height, width = 427, 640
    assert abs(rows.max() - (top + height - 1)) <= 1
    assert abs(columns.max() - (left + width - 1)) <= 1
    assert abs(columns.min() - (left + width / 2)) <= 2
    # The other one has too low a score.
    assert not (pixels == (255, 0, 0)).all(axis=-1).any()
    assert DETECTION.lines(answer, ("cat", "dog")) == (" 90.0 %  dog",)


def test_only_as_many_boxes_count_as_the_file_says_the_surest_first():
    answer = found([[0, 0, 1, 1]] * 3, [5, 6, 7], [0.4, 0.8, 0.9], count=2)
    assert answer["class_ids"].tolist() == [6, 5]
    assert DETECTION.lines(answer, ("cat",)) == (" 80.0 %  class 6", " 40.0 %  class 5")
    nothing = found([[0, 0, 1, 1]], [0], [0.1])
    assert DETECTION.lines(nothing, ()) == ("nothing with a score of 30 % or more",)


def test_forged_boxes_and_classes_are_drawn_without_an_error():
    answer = found(
        [[np.nan, 0, 1, 1], [9, 9, -9, -9], [0, 0, 1e30, 1]],
        [np.nan, -5, 1e9],
        [0.9, 0.8, 0.7],
        count=1e9,
    )
    image = np.zeros((4, 900, 3), np.uint8)
    DETECTION.draw(image, {}, {"a": answer}, class_names=(), palette=((1, 2, 3),))


def test_a_published_detector_finds_people_by_the_names_it_carries(
    shared, tmp_path, capsys
):
    model = shared / "peers" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    picture = shared / "data" / "coco128" / "images" / "val" / "000000000109.jpg"
    status, out, _ = run(capsys, "predict", model, picture, f"--out={tmp_path}")
    assert status == 0
    assert out.count("%  person") >= 3
    assert out.count("%  boat") >= 1
    status, _, error = run(
        capsys, "evaluate", model, "--experiment=mnv3_seg_synthetic", "--limit=1"
    )
    assert status == 2
    assert "which is no Segmentation" in error
    assert error.count("\n") == 1


def test_a_published_classifier_names_what_it_sees(shared, tmp_path, capsys):
    model = shared / "peers" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    picture = shared / "data" / "coco128" / "images" / "val" / "000000000109.jpg"
    status, out, _ = run(capsys, "predict", model, picture, f"--out={tmp_path}")
    assert status == 0
    assert "%  lakeside, lakeshore" in out.splitlines()[1]
    status, _, error = run(
        capsys,
        "evaluate",
        model,
        "--experiment=mnv2_cls_folder",
        "--set=dataset = @SyntheticCrops()",
    )
    assert status == 2
    assert "tells 1001 classes apart, the data set of the experiment has" in error


def test_one_benchmark_takes_files_of_every_kind(shared, tmp_path, capsys):
    peers = sorted((shared / "peers").glob("vww*.tflite"))
    ours = [networks.file(tmp_path, name) for name in ("float16", "dynamic")]
    status, out, _ = run(capsys, "benchmark", *peers, *ours)
    assert status == 0
    rows = json.loads(out.splitlines()[-1])
    assert [row["path"] for row in rows] == [str(path) for path in (*peers, *ours)]
    assert all(row["latency_ms"] > 0 for row in rows)


def converted(folder: pathlib.Path, model: keras.Model) -> pathlib.Path:
    """As anyone may convert a network, without what this project adds."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    path = folder / "theirs.tflite"
    path.write_bytes(converter.convert())
    return path


def test_inputs_that_are_no_color_image_are_told(tmp_path, capsys):
    picture = photo(tmp_path)
    gray = keras.Input((16, 16, 1), batch_size=1)
    two = [keras.Input((4,), batch_size=1), keras.Input((4,), batch_size=1)]
    free = keras.Input((None, None, 3), batch_size=1)
    pool = keras.layers.GlobalAveragePooling2D()
    cases = {
        "takes grayscale images [1, 16, 16, 1]": keras.Model(gray, pool(gray)),
        "has 2 inputs [[1, 4], [1, 4]]": keras.Model(two, keras.layers.add(two)),
        "takes images of any size [1, -1, -1, 3]": keras.Model(free, pool(free)),
    }
    for words, model in cases.items():
        path = converted(tmp_path, model)
        status, _, error = run(capsys, "predict", path, picture, f"--out={tmp_path}/o")
        assert (status, error.count("\n")) == (2, 1), error
        assert words in error
        assert run(capsys, "benchmark", path)[0] == 0


def test_a_class_map_with_a_channel_axis_is_one(tmp_path, capsys):
    import tensorflow as tf

    images = keras.Input((16, 24, 3), batch_size=1)

    class Darkest(keras.layers.Layer):
        def call(self, x):
            return tf.cast(tf.argmin(x, axis=-1), tf.uint8)[..., None]

    path = converted(tmp_path, keras.Model(images, Darkest()(images)))
    runner = interpreter.Runner(path)
    assert runner.shapes == {"class_ids": (1, 16, 24)}
    picture = np.zeros((1, 16, 24, 3), np.float32)
    picture[..., 0] = 9
    picture[:, :, 12:, 1] = 7
    ids = runner(picture)["class_ids"]
    assert ids.shape == (1, 16, 24)
    assert ids[0, 0].tolist() == [1] * 12 + [2] * 12
    status, out, _ = run(
        capsys, "predict", path, photo(tmp_path), f"--out={tmp_path}/o"
    )
    assert status == 0
    assert "theirs.tflite takes floats and does not say which" in out


def test_a_signature_with_an_output_that_the_graph_lacks_is_refused(tmp_path):
    def edit(model):
        model.signatureDefs[0].outputs[0].tensorIndex = 0

    path = edited(tmp_path, edit)
    with pytest.raises(ValueError, match="which its graph does not give"):
        interpreter.Runner(path)


def test_a_type_of_tensor_that_is_newer_than_the_reader_is_no_damage(tmp_path):
    def edit(model):
        model.subgraphs[0].tensors[-1].type = 77

    assert flatbuffer.read(edited(tmp_path, edit)).tensors[-1].dtype == "TYPE_77"


def odd_images(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Files by name, with the width and height that they have once upright."""
    folder.mkdir()
    random = np.random.default_rng(0)
    color = Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8))
    color.convert("CMYK").save(folder / "cmyk.jpg")
    color.convert("L").save(folder / "gray.png")
    color.convert("P").save(folder / "palette.png")
    color.convert("RGBA").save(folder / "alpha.png")
    deep = random.integers(0, 65536, (20, 30), np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    frames = [color, color.rotate(180)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    color.save(folder / "side.jpg", exif=exif)
    color.resize((1, 1)).save(folder / "dot.png")
    color.resize((2000, 1)).save(folder / "strip.png")
    color.resize((1, 2000)).save(folder / "pole.png")
    color.save(folder / "odd [bold]name [x].png")
    return {path.name: Image.open(path).size for path in folder.iterdir()}


def test_odd_photographs_are_drawn(tmp_path, capsys):
    sizes = odd_images(tmp_path / "in")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    model = networks.file(tmp_path, "float32")
    out = tmp_path / "out"
    status, text, error = run(capsys, "predict", model, tmp_path / "in", f"--out={out}")
    assert (status, error) == (0, "")
    pictures = {path.stem for path in out.iterdir()}
    assert pictures == {pathlib.Path(name).stem for name in sizes}
    assert str(out / "odd [bold]name [x].png") in text
    for path in out.iterdir():
        with Image.open(path) as picture:
            assert max(picture.size) < 4000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"no image at all", "not an image"),
        (None, "truncated, damaged or of an unknown kind"),
    ],
)
def test_a_broken_photograph_is_one_line_and_status_2(content, words, tmp_path, capsys):
    path = photo(tmp_path, "photo.jpg")
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    model = networks.file(tmp_path, "int8")
    status, _, error = run(capsys, "predict", model, path, f"--out={tmp_path}/out")
    assert (status, error.count("\n")) == (2, 1), error
    assert error.startswith(f"error: {path}: ")
    assert words in error


def test_a_folder_that_takes_no_pictures_is_one_line(tmp_path, monkeypatch, capsys):
    model, picture = networks.file(tmp_path, "int8"), photo(tmp_path)
    status, _, error = run(capsys, "predict", model, picture, f"--out={model}")
    assert (status, error.count("\n")) == (1, 1)
    assert str(model) in error

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "out"
    status, _, error = run(capsys, "predict", model, picture, f"--out={out}")
    assert status == 1
    assert error == f"error: No space left on device: {out / 'photo.png'}\n"
    assert list(out.iterdir()) == []


def test_brackets_in_names_are_no_style(capsys):
    terminal.console.print("a [/b] [red]c")
    assert capsys.readouterr().out == "a [/b] [red]c\n"
