"""The bounds of a training on machines that are not here."""

import functools
import importlib
import pathlib
import re
import shlex
import sys

import keras
import pytest

from official import experiment as experiment_lib

FIELDS = {"multiply_adds": 0, "kept": 0, "parameters": 0, "weight_bytes": 0, "norms": 0}


@pytest.fixture(scope="module")
def scripts(root):
    """The script, its bounds, its traffic and its machines."""
    sys.path.insert(0, str(root / "scripts"))
    names = ("scaling", "step_bounds", "step_traffic", "machines")
    yield tuple(importlib.import_module(name) for name in names)
    sys.path.remove(str(root / "scripts"))
    for name in names:
        del sys.modules[name]


def test_a_ring_moves_nearly_twice_the_gradients(scripts):
    _, bounds, _, _ = scripts
    # 4 devices, 100 bytes: each sends 3 shares of 25 to add and 3 to spread.
    assert bounds.all_reduce(100, 4, 50) == pytest.approx(6 * 25 / 50)
    assert bounds.all_reduce(100, 1, 50) == 0


def two_layers():
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(images, keras.layers.Conv2D(2, 1, name="last")(x))


def test_the_traffic_of_two_layers_is_as_counted_by_hand(scripts):
    _, _, traffic, _ = scripts
    image, wide, last = 4 * 4 * 3, 4 * 4 * 8, 4 * 4 * 2
    # conv: reads the image twice, no gradient of it; last: all that there is.
    convolutions = 2 * image + 3 * wide + 3 * wide + 3 * last
    fused = convolutions + 5 * wide
    assert traffic.of_image(two_layers(), traffic.FUSED) == 2 * fused
    separate = convolutions + 8 * wide + 5 * wide
    assert traffic.of_image(two_layers(), traffic.SEPARATE) == 2 * separate
    # The image, what the norm takes and what the last convolution takes.
    assert traffic.kept_of_image(two_layers()) == 2 * (image + wide + wide)


def test_weights_moments_and_gradients_are_counted_once_a_step(scripts):
    _, _, traffic, _ = scripts
    # 10 weights with two moments: 30 values of 4 bytes read and written, 10 gradients
    # written and read, copies of 2 bytes written once and read twice.
    assert traffic.of_weights(10, 20) == 30 * 8 + 10 * 8 + 10 * 6


def test_a_layer_that_is_not_counted_is_named(scripts):
    _, _, traffic, _ = scripts
    images = keras.Input((4, 4, 3))
    pooled = keras.layers.MaxPooling2D(name="pool")(images)
    with pytest.raises(ValueError, match=r"layer 'pool': what MaxPooling2D reads"):
        traffic.of_image(keras.Model(images, pooled), traffic.FUSED)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"flops": 1.0}, "arithmetic"),
        ({"memory_bandwidth": 1.0}, "memory traffic, fused"),
        ({"link": 1.0}, "all-reduce"),
        ({"cores": 1}, "input"),
    ],
)
def test_the_longest_time_is_met_first(scripts, changed, named):
    _, bounds, _, machines = scripts
    network = bounds.Network(
        **FIELDS | {"multiply_adds": 10, "parameters": 10}, fused=10, separate=20
    )
    fields = {"devices": 2, "flops": 1e12, "memory": 1e9, "memory_bandwidth": 1e12}
    machine = machines.Machine(
        **fields | {"link": 1e12, "cores": 10**9} | changed,
        title="",
        strategy="",
        source="",
    )
    found = bounds.bounds(network, machine, batch=1, images_per_core=1.0)
    assert bounds.first(found).name == named
    assert not any(b.certain for b in found if b.name.endswith("a kernel a layer"))


def test_a_single_device_has_no_all_reduce(scripts):
    _, bounds, _, machines = scripts
    network = bounds.Network(**FIELDS, fused=1, separate=2)
    found = bounds.bounds(
        network, machines.MACHINES["rtx3090"], batch=1, images_per_core=1.0
    )
    assert {bound.name for bound in found}.isdisjoint({"all-reduce", "input"})


def test_a_learning_rate_follows_the_recipe(scripts):
    _, bounds, _, _ = scripts

    def rate(name, batch):
        optimizer = experiment_lib.load(name).optimizer
        return bounds.rate(optimizer, recipe_batch=4096, batch=batch)

    # Model Garden's own YAML for 8 GPUs: 0.064 at 1024.
    assert rate("mnv2_cls_imagenet", 1024)[0] == pytest.approx(0.064)
    assert rate("mnv3_cls_imagenet", 1024)[0] == pytest.approx(0.002)
    assert "square root" in rate("mnv3_cls_imagenet", 1024)[1]
    assert rate("mnv3_cls_imagenet", 4096)[0] == 0.004


def test_a_machine_has_sources_and_a_strategy_that_exists(scripts):
    scaling, bounds, _, machines = scripts
    parent = experiment_lib.load("mnv2_cls_imagenet")
    for machine in machines.MACHINES.values():
        assert machine.source
        assert (machine.link is None) == (machine.devices == 1)
        case = bounds.Case(
            name="mnv2_cls_imagenet",
            experiment=parent,
            network=bounds.Network(**FIELDS, fused=1, separate=2),
            machine_name="",
            machine=machine,
            batch=8,
            images_per_core=1.0,
        )
        settings = scaling.settings(case)
        assert any("RecordShards" in line for line in settings) == (machine.devices > 1)
        found = experiment_lib.load("mnv2_cls_imagenet", settings=settings)
        assert found.train.batch_size == 8 * machine.devices


def test_only_classification_is_counted(scripts):
    _, bounds, _, _ = scripts
    with pytest.raises(SystemExit, match="the task is Segmentation"):
        bounds.network_of(experiment_lib.load("mnv3_seg_cityscapes"))


def test_a_core_that_makes_no_images_is_refused(scripts, capsys):
    words = ["--experiment=x", "--machine=a100x8", "--images_per_core=0"]
    with pytest.raises(SystemExit):
        scripts[0].parser().parse_args(words)
    assert "0 is not 1 or more" in capsys.readouterr().err


def _commands(page: pathlib.Path) -> list[list[str]]:
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^ {4}python scripts/scaling\.py (.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if "NAME" not in line]


@pytest.fixture(scope="module")
def counted(scripts):
    """Networks are built once for both pages."""
    bounds = scripts[1]
    network_of = bounds.network_of
    bounds.network_of = functools.cache(network_of)
    yield
    bounds.network_of = network_of


@pytest.mark.parametrize(("name", "count"), [("scaling.md", 3), ("papers.md", 1)])
def test_a_page_shows_what_its_commands_print(
    name, count, scripts, root, capsys, counted
):
    scaling = scripts[0]
    page = root / "docs" / name
    text = re.sub(r"\s+", " ", page.read_text())
    commands = _commands(page)
    assert len(commands) == count
    for words in commands:
        scaling.run(scaling.parser().parse_args(words))
        for line in capsys.readouterr().out.splitlines():
            if not line.startswith(("figures:", "practice: results/")):
                assert " ".join(line.split()) in text, line
