import dataclasses
import json
import pathlib
import re

import drawn
import keras
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from official import failures, gin
from official.backbones import base, convolutions, mobilenet_v2, mobilenet_v3
from official.heads import classification, lraspp
from official.layers import normalization
from official.weights import download, initialize, published

SMALL = mobilenet_v2.MobileNetV2(width_multiplier=0.35)


def _network(backbone: base.Backbone = SMALL, *, classes: int = 3) -> keras.Model:
    images = keras.Input((64, 64, 3), name="images")
    return keras.Model(images, lraspp.LRASPP(filters=8)(backbone(images), classes))


def _file_of_keras(folder, **settings):
    """A file that `keras.applications` wrote, and its model."""
    model = keras.applications.MobileNetV2(
        weights=None, **{"alpha": 0.35, "input_shape": (96, 96, 3)} | settings
    )
    file = folder / "v2.weights.h5"
    model.save_weights(file)
    return str(file), model


def _checkpoint(folder, network, name="best.npz", **more):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"weights/{w.path}": np.asarray(w) for w in network.weights}
    np.savez(folder / name, **arrays, **more)
    return str(folder / name)


@pytest.mark.parametrize(
    "settings",
    [{}, {"include_top": False}, {"classes": 7, "classifier_activation": None}],
)
def test_a_keras_applications_file_sets_the_backbone(tmp_path, settings):
    file, model = _file_of_keras(tmp_path, **settings)
    network = _network()
    moved = initialize.initialize(network, SMALL, file)
    assert not moved.skipped
    assert all(name.startswith("lraspp") for name in moved.random)
    for ours, theirs in [
        ("stem_conv", "Conv1"),
        ("C3_block2_depthwise_norm", "block_4_depthwise_BN"),
        ("last_conv", "Conv_1"),
    ]:
        pairs = zip(
            network.get_layer(ours).get_weights(),
            model.get_layer(theirs).get_weights(),
            strict=True,
        )
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


def test_a_keras_applications_file_of_v3_sets_the_backbone(tmp_path):
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3))
    model.save_weights(tmp_path / "v3.weights.h5")
    backbone = mobilenet_v3.MobileNetV3(variant="small")
    network = _network(backbone)
    moved = initialize.initialize(network, backbone, str(tmp_path / "v3.weights.h5"))
    assert all(name.startswith("lraspp") for name in moved.random)
    assert moved.warnings == ()
    np.testing.assert_array_equal(
        network.get_layer("C5_block3_squeeze_excite_expand_conv").get_weights()[0],
        model.get_layer("expanded_conv_10_squeeze_excite_conv_1").get_weights()[0],
    )


def test_the_published_checkpoint_gives_the_features_that_keras_gives(shared):
    file = shared / "pretrained" / "mobilenet_v2_1.0_224_imagenet.weights.h5"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    backbone = mobilenet_v2.MobileNetV2()
    images = keras.Input((224, 224, 3))
    ours = keras.Model(images, backbone(images)["C5"])
    initialize.initialize(ours, backbone, str(file))
    classifier = keras.applications.MobileNetV2(weights=None)
    classifier.load_weights(file)
    theirs = keras.Model(classifier.input, classifier.get_layer("out_relu").output)
    batch = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3))
    wanted = np.asarray(theirs(batch))
    assert wanted.std() > 0.1
    np.testing.assert_allclose(ours(batch), wanted, atol=1e-3)


def test_of_a_keras_file_of_another_width_what_fits_is_taken_and_told(tmp_path):
    file, _ = _file_of_keras(tmp_path, alpha=0.5)
    moved = initialize.initialize(_network(), SMALL, file)
    # The stems are 16 channels wide at both widths; 0.5 * 24 is 16, 0.35 * 24 is 8.
    assert "stem_conv" in moved.taken
    assert moved.skipped[0].layer == "C2_block1_project_conv"
    assert moved.skipped[0].reason == "kernel is (1, 1, 48, 16), wanted (1, 1, 48, 8)"
    assert moved.warnings[-1] == (
        "only 28 of 104 layers of the backbone fit: are these weights of another "
        "variant or width than the task's MobileNetV2?"
    )


def test_the_model_of_a_keras_file_must_be_that_of_the_backbone(tmp_path):
    file, _ = _file_of_keras(tmp_path)
    backbone = mobilenet_v3.MobileNetV3(variant="small")
    message = (
        "is of another model than this MobileNetV3: it has 105 layers with weights, "
        "not 88, or 86 without the classifier; 'conv' is not among them; it is of "
        r'--set "task.backbone = @MobileNetV2\(\)"'
    )
    with pytest.raises(failures.RequestError, match=message):
        initialize.initialize(_network(backbone), backbone, file)


def test_a_reduced_tail_starts_afresh_and_is_told(tmp_path):
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3))
    model.save_weights(tmp_path / "v3.weights.h5")
    backbone = mobilenet_v3.MobileNetV3(variant="small", reduced_tail=True)
    moved = initialize.initialize(
        _network(backbone), backbone, str(tmp_path / "v3.weights.h5")
    )
    lines = moved.summary().splitlines()
    assert re.search(
        r"do not fit and start afresh: C5_block1_expand_conv \(kernel is "
        r"\(1, 1, 48, 288\), wanted \(1, 1, 48, 144\)\), .* and \d+ more$",
        lines[1],
    )
    assert "are not in it and start afresh: lraspp_" in lines[2]


def test_a_checkpoint_gives_whatever_matches(tmp_path):
    source, network = _network(classes=5), _network(classes=3)
    file = _checkpoint(tmp_path, source)
    moved = initialize.initialize(network, SMALL, file)
    assert not moved.random
    assert {item.layer for item in moved.skipped} == {
        "lraspp_high_logits_conv",
        "lraspp_low_logits_conv",
    }
    assert moved.skipped[0].reason.startswith("kernel is (1, 1, ")
    for ours, theirs in zip(network.weights, source.weights, strict=True):
        if "logits" not in ours.path:
            np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_of_another_backbone_is_refused(tmp_path):
    file = _checkpoint(tmp_path, _network(mobilenet_v2.MobileNetV2()))
    message = r"only 1 of the 104 layers of the task's MobileNetV2 are in it: set task"
    with pytest.raises(failures.RequestError, match=message):
        initialize.initialize(_network(SMALL), SMALL, file)


def test_the_moving_average_is_preferred(tmp_path):
    network = _network()
    kernel = network.get_layer("stem_conv").kernel
    average = np.full(kernel.shape, 3.0, "float32")
    file = _checkpoint(tmp_path, network, **{f"average/{kernel.path}": average})
    initialize.initialize(network, SMALL, file)
    np.testing.assert_array_equal(kernel, average)


def test_a_run_folder_gives_its_best_else_its_last_checkpoint(tmp_path):
    network = _network()
    folder = tmp_path / "checkpoints"
    _checkpoint(folder, network, "last.npz")
    moved = initialize.initialize(network, SMALL, str(tmp_path))
    assert moved.source == str(folder / "last.npz")
    _checkpoint(folder, network, "best.npz")
    moved = initialize.initialize(network, SMALL, str(tmp_path))
    assert moved.source == str(folder / "best.npz")
    total = sum(1 for layer in network.layers if layer.weights)
    assert moved.summary() == (
        f"weights of {total} of {total} layers from {folder / 'best.npz'}"
    )


def _nothing(folder):
    np.savez(folder / "other.npz", **{"weights/other/kernel": np.zeros(3)})
    return folder / "other.npz"


def _damaged(folder, name):
    (folder / name).write_bytes(b"no archive")
    return folder / name


def _unnamed(folder):
    model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    model.save_weights(folder / "none.weights.h5")
    return folder / "none.weights.h5"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "absent.npz", "absent.npz does not exist"),
        (lambda f: f, "neither checkpoints/best.npz nor checkpoints/last.npz"),
        (
            lambda f: _damaged(f, "a.txt"),
            "a.txt: neither a run folder nor a file of weights",
        ),
        (lambda f: _damaged(f, "a.npz"), "a.npz: not a readable checkpoint"),
        (lambda f: _damaged(f, "a.weights.h5"), "not a Keras weight file"),
        (_unnamed, "has no named layers; write it with save_weights"),
        (_nothing, "nothing in it has a name of the network's layers"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, make, message):
    with pytest.raises(failures.RequestError, match=re.escape(message)) as caught:
        initialize.initialize(_network(), SMALL, str(make(tmp_path)))
    assert "\n" not in str(caught.value)


TIMM = "timm:mobilenetv3_small_100"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with the drawn weights of a network of PyTorch; nothing is downloaded."""
    monkeypatch.setenv("MOBILE_VISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_open", None)
    file = published.find(TIMM).file.path
    file.parent.mkdir(parents=True)
    safetensors_numpy.save_file(_drawn(TIMM), file)
    return file


def _drawn(name):
    folder = pathlib.Path(__file__).parent / "goldens"
    with np.load(folder / f"{name.replace(':', '_')}.npz") as archive:
        return drawn.tensors(json.loads(archive["shapes"].tobytes()))


def _classifier(backbone, *, classes=1000, fed="imagenet"):
    images = keras.Input((64, 64, 3), name="images")
    features = backbone(normalization.add(images, fed))
    return keras.Model(images, classification.Classification()(features, classes))


def test_named_weights_are_taken_from_the_cache_with_what_is_known_of_them(cache):
    backbone = published.find(TIMM).backbone
    network = _classifier(backbone)
    moved = initialize.initialize(network, backbone, TIMM)
    assert not moved.skipped
    assert not moved.random
    assert moved.warnings == ()
    assert moved.source == "timm:mobilenetv3_small_100.lamb_in1k"
    assert moved.provenance == {
        "source": "timm:mobilenetv3_small_100.lamb_in1k",
        "url": "https://huggingface.co/timm/mobilenetv3_small_100.lamb_in1k/resolve/"
        "main/model.safetensors",
        "licence": "Apache-2.0",
        "training_data": "ImageNet-1k (ILSVRC 2012)",
        "file": str(cache),
        "sha256": download.digest_of(cache),
    }


def test_for_other_classes_all_but_the_last_layer_is_taken(cache):
    backbone = published.find(TIMM).backbone
    moved = initialize.initialize(_classifier(backbone, classes=5), backbone, TIMM)
    assert [item.layer for item in moved.skipped] == ["classes"]
    assert not moved.random
    assert "classes (kernel is (1024, 1000), wanted (1024, 5))" in moved.summary()


def test_what_the_weights_were_trained_in_is_told_as_bindings(cache):
    backbone = mobilenet_v3.MobileNetV3(variant="small")
    network = _classifier(backbone, fed="symmetric")
    moved = initialize.initialize(network, backbone, TIMM)
    bindings = (
        "task.normalization = 'imagenet'",
        "task.backbone.padding = 'symmetric'",
        "task.backbone.norm.epsilon = 1e-05",
    )
    assert moved.warnings == (
        "timm:mobilenetv3_small_100.lamb_in1k was trained otherwise; as it was: "
        + ", ".join(bindings),
    )
    assert moved.warnings[0] in moved.summary()
    values = ["imagenet", "symmetric", 1e-5]
    assert [gin.parse_setting(line).value for line in bindings] == values


def test_a_file_of_pytorch_under_another_name_is_taken_with_its_conventions(
    cache, tmp_path
):
    file = cache.rename(tmp_path / "mine.safetensors")
    backbone = mobilenet_v3.MobileNetV3(variant="small")
    moved = initialize.initialize(_classifier(backbone), backbone, str(file))
    assert not moved.skipped
    assert moved.warnings == (
        "what is in mine.safetensors was trained otherwise; as it was: "
        "task.backbone.padding = 'symmetric'",
    )
    assert set(moved.provenance) == {"source", "file", "sha256"}


def test_a_file_under_its_published_name_is_known(cache, tmp_path):
    file = cache.rename(tmp_path / cache.name)
    backbone = published.find(TIMM).backbone
    moved = initialize.initialize(_classifier(backbone), backbone, str(file))
    assert moved.provenance["licence"] == "Apache-2.0"


def test_another_architecture_is_refused_before_anything_is_downloaded(cache):
    message = (
        "init_from timm:mnasnet_100.rmsp_in1k is a MnasNet, the task's backbone a "
        "MobileNetV2"
    )
    with pytest.raises(failures.RequestError, match=message):
        initialize.initialize(_network(), SMALL, "timm:mnasnet_100")


def test_a_published_file_of_another_architecture_is_told_by_its_name(tmp_path):
    # All blocks of a MnasNet-B1 pair with those of a MobileNetV2, and some fit.
    file = tmp_path / "mnasnet_100.rmsp_in1k.safetensors"
    file.touch()
    message = f"init_from {file} is a MnasNet, the task's backbone a MobileNetV2"
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        initialize.initialize(_network(), SMALL, str(file))


def test_fewer_blocks_than_the_network_has_are_another_variant(cache):
    backbone = mobilenet_v3.MobileNetV3(variant="large")
    with pytest.raises(failures.RequestError, match="it has 11 blocks, the network 15"):
        initialize.initialize(_classifier(backbone), backbone, str(cache))


def test_a_state_dict_of_another_library_is_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    safetensors_numpy.save_file({"encoder.weight": np.zeros(3, "float32")}, file)
    message = (
        "neither timm's nor torchvision's mobile networks; its tensors are encoder"
    )
    with pytest.raises(failures.RequestError, match=message):
        initialize.initialize(_network(), SMALL, str(file))


def test_what_fits_nowhere_names_a_layer_and_both_shapes(cache):
    tensors = {name: np.zeros((1, 1, 1, 1), "float32") for name in _drawn(TIMM)}
    safetensors_numpy.save_file(tensors, cache)
    backbone = published.find(TIMM).backbone
    message = (
        "nothing in it fits the network: stem_conv: kernel is (1, 1, 1, 1), wanted "
        "(3, 3, 3, 16)"
    )
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        initialize.initialize(_classifier(backbone), backbone, TIMM)


def test_a_head_that_uses_no_deep_level_takes_the_others(cache):
    backbone = published.find(TIMM).backbone
    images = keras.Input((64, 64, 3))
    network = keras.Model(images, backbone(images)["C4"])
    moved = initialize.initialize(network, backbone, TIMM)
    assert not moved.skipped
    assert not moved.random
    assert moved.warnings == ()


def test_a_run_that_started_from_weights_hands_on_where_they_are_from(tmp_path):
    network = _network()
    file = _checkpoint(tmp_path / "checkpoints", network)
    known = {"source": "timm:x", "licence": "Apache-2.0", "sha256": "1"}
    (tmp_path / "weights.json").write_text(json.dumps(known))
    moved = initialize.initialize(network, SMALL, str(tmp_path))
    assert moved.provenance == {
        "source": f"{file}, which started from timm:x",
        "licence": "Apache-2.0",
        "file": file,
        "sha256": download.digest_of(pathlib.Path(file)),
    }


def test_how_a_network_is_trained_does_not_count_as_a_difference(cache):
    backbone = dataclasses.replace(
        published.find(TIMM).backbone,
        norm=convolutions.Norm(epsilon=1e-5, momentum=0.9),
        stochastic_depth=0.1,
        output_stride=16,
    )
    moved = initialize.initialize(_classifier(backbone), backbone, TIMM)
    assert moved.warnings == ()


def test_the_published_checkpoint_sees_in_flowers_what_keras_sees(shared):
    file = shared / "pretrained" / "mobilenet_v2_1.0_224_imagenet.weights.h5"
    photographs = sorted((shared / "data" / "flowers").rglob("*.jpg"))[::60]
    if not file.exists() or not photographs:
        pytest.skip(f"{file} or data/flowers is not there")
    backbone = mobilenet_v2.MobileNetV2()
    images = keras.Input((224, 224, 3), name="images")
    features = backbone(normalization.add(images, "symmetric"))
    ours = keras.Model(images, classification.Classification()(features, 1000))
    moved = initialize.initialize(ours, backbone, str(file))
    assert not moved.skipped
    assert not moved.random
    theirs = keras.applications.MobileNetV2(weights=None)
    theirs.load_weights(file)
    pixels = np.stack(
        [
            keras.utils.img_to_array(
                keras.utils.load_img(photo, target_size=(224, 224))
            )
            for photo in photographs
        ]
    )
    scores = np.asarray(keras.ops.softmax(ours(pixels)["logits"]))
    wanted = np.asarray(theirs(pixels / 127.5 - 1))
    np.testing.assert_array_equal(scores.argmax(1), wanted.argmax(1))
    np.testing.assert_allclose(scores, wanted, atol=1e-4)
