import json
import pathlib
import re

import drawn
import keras
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from official import failures
from official.backbones import base, convolutions, mnasnet, mobilenet_v2, mobilenet_v3
from official.layers import normalization
from official.weights import download, published

ALL = published._all()
GOLDEN = pathlib.Path(__file__).parent / "goldens" / "timm_mobilenetv3_small_100.npz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and nothing is ever downloaded."""
    monkeypatch.setenv("MOBILE_VISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_open", None)
    return tmp_path / "cache"


def test_names_files_and_places_are_unique():
    for values in (
        [item.name for item in ALL],
        [item.file.url for item in ALL],
        [item.file.name for item in ALL],
    ):
        assert len(set(values)) == len(values)
    assert all(item.file.url.startswith("https://") for item in ALL)
    assert all(item.licence and item.training_data for item in ALL)
    assert {item.normalization for item in ALL} <= set(normalization.KINDS)


@pytest.mark.parametrize(
    ("name", "url", "digest"),
    [
        # From keras.src.applications of Keras 3.15.
        (
            "keras-applications:mobilenet_0.75_160",
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
            "mobilenet_7_5_160_tf.h5",
            "None",
        ),
        (
            "keras-applications:mobilenet_v2_0.35_96",
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5",
            "None",
        ),
        (
            "keras-applications:mobilenet_v3_small_minimalistic_224_1.0",
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
            "weights_mobilenet_v3_small_minimalistic_224_1.0_float.h5",
            "md5 99cd97fb2fcdad2bf028eb838de69e37",
        ),
        (
            "timm:mobilenetv4_conv_small.e2400_r224_in1k",
            "https://huggingface.co/timm/mobilenetv4_conv_small.e2400_r224_in1k/"
            "resolve/main/model.safetensors",
            "None",
        ),
        (
            "torchvision:mobilenet_v3_large.imagenet1k_v2",
            "https://download.pytorch.org/models/mobilenet_v3_large-5c1a4163.pth",
            "sha256 5c1a4163",
        ),
    ],
)
def test_files_are_where_their_publishers_say(name, url, digest):
    item = published.find(name)
    assert item.file.url == url
    assert str(item.file.digest) == digest


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("timm:mobilenetv3_large_100", "timm:mobilenetv3_large_100.ra_in1k"),
        ("timm:mobilenetv4_conv_medium", "timm:mobilenetv4_conv_medium.e500_r256_in1k"),
        ("torchvision:mobilenet_v2", "torchvision:mobilenet_v2.imagenet1k_v2"),
    ],
)
def test_a_model_without_a_tag_means_the_first(text, name):
    assert published.find(text).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timm:mobilenetv3_larg_100", "did you mean mobilenetv3_large_100"),
        (
            "timm:mobilenetv3_large_100.x",
            "'timm:mobilenetv3_large_100.x'; there are "
            "timm:mobilenetv3_large_100.ra_in1k, "
            "timm:mobilenetv3_large_100.ra4_e3600_r224_in1k, ",
        ),
        ("torchvision:xyz", "there are torchvision:mobilenet_v2, torchvision:mob"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_ones(text, message):
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        published.find(text)


def test_keras_imagenet_is_that_of_the_backbone_and_the_size():
    def name(backbone, size=None):
        item = published.find("keras-applications:imagenet", backbone, image_size=size)
        return item.name.removeprefix("keras-applications:")

    assert name(mobilenet_v2.MobileNetV2()) == "mobilenet_v2_1.0_224"
    assert name(mobilenet_v2.MobileNetV2(), 160) == "mobilenet_v2_1.0_160"
    assert (
        name(mobilenet_v2.MobileNetV2(output_stride=16), 513) == "mobilenet_v2_1.0_224"
    )
    small = mobilenet_v3.MobileNetV3(variant="small", width_multiplier=0.75)
    assert name(small) == "mobilenet_v3_small_224_0.75"
    minimal = mobilenet_v3.MobileNetV3(minimalistic=True)
    assert name(minimal) == "mobilenet_v3_large_minimalistic_224_1.0"


def test_a_width_that_keras_did_not_publish_is_told_with_those_it_did():
    backbone = mobilenet_v3.MobileNetV3(width_multiplier=0.6)
    message = r"no weights of this MobileNetV3 .*:mobilenet_v3_large_224_1\.0, "
    with pytest.raises(
        failures.RequestError, match="keras-applications:imagenet: " + message
    ):
        published.find("keras-applications:imagenet", backbone)
    with pytest.raises(failures.RequestError, match="has no MnasNet"):
        published.find("keras-applications:imagenet", mnasnet.MnasNet())


def test_weights_of_pytorch_come_with_its_padding_and_epsilon():
    item = published.find("timm:mnasnet_100")
    assert item.backbone == mnasnet.MnasNet(
        variant="b1", padding="symmetric", norm=convolutions.Norm(epsilon=1e-5)
    )
    # torchvision's V3 and Google's own weights in timm keep TensorFlow's epsilon.
    vision = published.find("torchvision:mobilenet_v3_small").backbone
    assert (vision.padding, vision.norm.epsilon) == ("symmetric", 1e-3)
    google = published.find("timm:tf_mobilenetv3_small_100").backbone
    assert (google.padding, google.norm.epsilon) == ("same", 1e-3)


def test_what_was_seen_in_training_is_told():
    def data(name):
        return published.find(name).training_data

    assert data("timm:mnasnet_100") == "ImageNet-1k (ILSVRC 2012)"
    assert data("timm:mobilenetv4_conv_medium.e250_r384_in12k").startswith(
        "ImageNet-12k"
    )
    tuned = data("timm:mobilenetv4_hybrid_medium.e200_r256_in12k_ft_in1k")
    assert tuned.startswith("ImageNet-12k")
    assert tuned.endswith("then ImageNet-1k (ILSVRC 2012)")


@pytest.mark.parametrize("kind", normalization.KINDS)
def test_normalization_is_what_its_name_says(kind):
    images = keras.Input((8, 8, 3))
    network = keras.Model(images, normalization.add(images, kind))
    assert normalization.kind_of(network) == kind
    pixels = drawn.image(8)
    wanted = {
        "unit": pixels / 255,
        "symmetric": pixels / 127.5 - 1,
        "imagenet": (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }
    np.testing.assert_allclose(network(pixels), wanted[kind], atol=1e-5)


def test_a_network_without_normalization_has_none():
    images = keras.Input((8, 8, 3))
    assert (
        normalization.kind_of(keras.Model(images, keras.layers.ReLU()(images))) is None
    )


def test_a_whole_published_network_takes_its_file_from_the_cache(cache):
    item = published.find("timm:mobilenetv3_small_100")
    with np.load(GOLDEN) as archive:
        shapes = json.loads(archive["shapes"].tobytes())
    item.file.path.parent.mkdir(parents=True)
    safetensors_numpy.save_file(drawn.tensors(shapes), item.file.path)
    network = published.network("timm:mobilenetv3_small_100")
    assert network.input_shape == (None, 224, 224, 3)
    assert network.output["logits"].shape == (None, 1000)
    wanted = drawn.tensors({"classifier.bias": (1000,)})["classifier.bias"]
    np.testing.assert_array_equal(network.get_layer("classes").bias, wanted)


def test_a_published_network_must_fit_as_a_whole(cache):
    item = published.find("timm:mobilenetv3_small_100")
    with np.load(GOLDEN) as archive:
        shapes = json.loads(archive["shapes"].tobytes())
    shapes |= {"classifier.weight": (7, 1024), "classifier.bias": (7,)}
    item.file.path.parent.mkdir(parents=True)
    safetensors_numpy.save_file(drawn.tensors(shapes), item.file.path)
    message = "classes (kernel is (1024, 7), wanted (1024, 1000))"
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        published.network("timm:mobilenetv3_small_100")


def test_what_is_not_published_has_no_network():
    message = "runs/x: neither a folder that exists nor published weights"
    with pytest.raises(failures.RequestError, match=message):
        published.network("runs/x")


def test_every_backbone_is_one_of_ours():
    assert all(isinstance(item.backbone, base.Backbone) for item in ALL)
