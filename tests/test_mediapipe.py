"""MediaPipe Tasks on exported files: the same answers as ours, from metadata alone."""

import dataclasses
import json
import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest
import small
import small_classifier
from PIL import Image

from official import export_spec
from tflite_export import export, interpreter, predict

mediapipe = pytest.importorskip(
    "mediapipe", reason="MediaPipe is not installed: scripts/test.sh installs it"
)
tasks = pytest.importorskip("mediapipe.tasks.python")
vision = pytest.importorskip("mediapipe.tasks.python.vision")


def shown(image: np.ndarray):
    pixels = np.ascontiguousarray(image.astype(np.uint8))
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)


def classified(path: pathlib.Path, images) -> list[dict[str, float]]:
    """Scores by label, the best first."""
    base = tasks.BaseOptions(model_asset_path=str(path))
    options = vision.ImageClassifierOptions(base_options=base)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = [classifier.classify(shown(image)) for image in images]
    return [
        {
            entry.category_name: entry.score
            for entry in each.classifications[0].categories
        }
        for each in found
    ]


def segmented(path: pathlib.Path, images) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Labels; confidence masks `[B, H, W, C]`; category masks `[B, H, W]`."""
    options = vision.ImageSegmenterOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(path)),
        output_confidence_masks=True,
        output_category_mask=True,
    )
    confidences, categories = [], []
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        for image in images:
            found = segmenter.segment(shown(image))
            masks = [np.squeeze(m.numpy_view()) for m in found.confidence_masks]
            confidences.append(np.stack(masks, axis=-1))
            categories.append(np.squeeze(found.category_mask.numpy_view()).copy())
        return segmenter.labels, np.array(confidences), np.array(categories)


def written(chosen, network, folder) -> dict[str, pathlib.Path]:
    return export.write(chosen, network, folder=folder)


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    chosen = small_classifier.experiment(task={"center_share": None}, output="scores")
    network = small_classifier.network_of(chosen)
    return written(chosen, network, tmp_path_factory.mktemp("classifiers"))


def pictures(count: int) -> np.ndarray:
    """Of the classifier's size, each with another mixture of colors."""
    random = np.random.default_rng(3)
    colors = random.uniform(40, 215, (count, 1, 1, 3))
    noise = random.normal(0, 20, (count, *small_classifier.SIZE, 3))
    return (colors + noise).clip(0, 255).round().astype(np.float32)


@pytest.mark.parametrize("name", ["float32 scores", "int8 scores"])
def test_a_classifier_gives_the_scores_of_our_runner(classifiers, name):
    images = pictures(6)
    expected = interpreter.Runner(classifiers[name])(images)["scores"]
    found = classified(classifiers[name], images)
    for ours, theirs in zip(expected, found, strict=True):
        assert set(theirs) == set(small_classifier.NAMES)
        in_order = [theirs[label] for label in small_classifier.NAMES]
        np.testing.assert_allclose(in_order, ours, atol=1e-6)
        assert next(iter(theirs)) == small_classifier.NAMES[int(np.argmax(ours))]
    assert len({next(iter(each)) for each in found}) > 1


def test_a_whole_photograph_gets_the_same_label_and_nearly_the_scores(
    classifiers, tmp_path
):
    path = classifiers["int8 scores"]
    random = np.random.default_rng(0)
    image = np.full((80, 160, 3), (90, 140, 80)) + random.normal(0, 5, (80, 160, 3))
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    runner = interpreter.Runner(path)
    description = json.loads(path.with_suffix(".json").read_text())
    panel, _ = predict._panel(runner, description)
    image = np.asarray(Image.open(tmp_path / "photo.png"))
    ours = predict.predict(runner, image, panel=panel, description=description)
    (theirs,) = classified(path, [image])
    label = next(iter(theirs))
    assert panel.lines(ours, small_classifier.NAMES)[0].endswith(label)
    in_order = [theirs[name] for name in small_classifier.NAMES]
    # Either side resizes by itself: some levels of a 256th.
    np.testing.assert_allclose(in_order, ours["scores"], atol=3 / 256)


def test_logits_are_shown_as_they_are_and_the_export_said_so(tmp_path_factory, capsys):
    chosen = small_classifier.experiment(
        task={"center_share": None}, precisions=("int8",)
    )
    network = small_classifier.network_of(chosen)
    files = written(chosen, network, tmp_path_factory.mktemp("logits"))
    said = " ".join(capsys.readouterr().out.split())
    assert "for MediaPipe Tasks: the output is logits" in said
    description = json.loads(files["int8"].with_suffix(".json").read_text())
    assert "export.output = 'scores'" in description["mediapipe"]["warning"]
    images = pictures(2)
    expected = interpreter.Runner(files["int8"])(images)["logits"]
    for ours, theirs in zip(expected, classified(files["int8"], images), strict=True):
        in_order = [theirs[label] for label in small_classifier.NAMES]
        np.testing.assert_allclose(in_order, ours, rtol=1e-5, atol=1e-5)


def segmenter_files(folder, **spec) -> dict[str, pathlib.Path]:
    chosen = dataclasses.replace(small.experiment(), export=export_spec.Export(**spec))
    network = chosen.task.build(num_classes=3, training=False)
    small.tell_colors_apart(network)
    return written(chosen, network, folder)


def quarters() -> np.ndarray:
    examples = [small.Quarters().read(number) for number in range(3)]
    return np.stack([example["image"] for example in examples]).astype(np.float32)


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory):
    return segmenter_files(tmp_path_factory.mktemp("segmenters"))


def speckled() -> np.ndarray:
    """As `quarters`, with so much noise that the classes change from cell to cell."""
    random = np.random.default_rng(2)
    cells = random.normal(0, 60, (3, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return (quarters() + cells).clip(0, 255).round()


def corner_to_corner(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[B, h, w, C]` enlarged so that the first and last cells stay at the ends."""
    for axis, length in enumerate(size, start=1):
        at = np.linspace(0, values.shape[axis] - 1, length)
        low = np.floor(at).astype(int)
        high = np.ceil(at).astype(int)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        values = values.take(low, axis) * (1 - part) + values.take(high, axis) * part
    return values


def softmax(values: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.softmax(values, axis=-1))


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_a_segmenter_gives_the_softmax_of_our_logits(segmenters, name):
    images = speckled()
    logits = interpreter.Runner(segmenters[name])(images)["logits"]
    labels, confidences, categories = segmented(segmenters[name], images)
    assert labels == ["red", "green", "blue"]
    enlarged = keras.ops.image.resize(softmax(logits), images.shape[1:3])
    np.testing.assert_allclose(confidences, np.asarray(enlarged), atol=1e-5)
    # The note of the export: its category mask interpolates otherwise.
    theirs = np.argmax(corner_to_corner(logits, images.shape[1:3]), axis=-1)
    assert np.mean(categories == theirs) > 0.999
    ours = np.argmax(keras.ops.image.resize(logits, images.shape[1:3]), axis=-1)
    assert 0.7 < np.mean(categories == ours) < 0.99
    assert len(np.unique(categories)) == 3


def test_mediapipe_resizes_without_half_pixel_centers(segmenters):
    large = speckled().repeat(2, axis=1).repeat(2, axis=2)
    random = np.random.default_rng(4)
    large = (large + random.normal(0, 60, large.shape)).clip(0, 255).round()
    _, confidences, _ = segmented(segmenters["float32"], large)

    def scores(images):
        logits = interpreter.Runner(segmenters["float32"])(images)["logits"]
        return np.asarray(keras.ops.image.resize(softmax(logits), large.shape[1:3]))

    corners = scores(large[:, ::2, ::2])
    centers = scores(np.asarray(keras.ops.image.resize(large, (32, 32))))
    assert np.abs(confidences - corners).max() < 0.02
    assert np.abs(confidences - centers).max() > 0.1


def test_a_segmenter_of_the_inputs_size_gives_our_masks(tmp_path):
    (path,) = segmenter_files(
        tmp_path, output_size="input", precisions=("int8",)
    ).values()
    images = quarters()
    logits = interpreter.Runner(path)(images)["logits"]
    _, confidences, categories = segmented(path, images)
    np.testing.assert_allclose(confidences, softmax(logits), atol=1e-5)
    np.testing.assert_array_equal(categories, np.argmax(logits, axis=-1))


def test_what_is_said_to_be_no_file_for_mediapipe_is_refused_by_it(tmp_path):
    path = networks.file(tmp_path, "int8", input_type="int8")
    with pytest.raises((RuntimeError, ValueError)):
        segmented(path, [])
