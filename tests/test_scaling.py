"""The bounds of a training on machines that are not here."""

import dataclasses
import functools
import importlib
import pathlib
import re
import shlex
import sys

import guides
import keras
import pytest

from official import experiment as experiment_lib
from official import failures

FIELDS = dict.fromkeys(
    ("multiply_adds", "kept", "parameters", "weight_bytes", "held", "norms"), 0
)


@pytest.fixture(scope="module")
def scripts(root):
    """The script, its bounds, its traffic and its machines."""
    sys.path.insert(0, str(root / "scripts"))
    names = ("scaling", "step_bounds", "step_traffic", "machines")
    yield tuple(importlib.import_module(name) for name in names)
    sys.path.remove(str(root / "scripts"))
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def counted(scripts):
    """Networks are built once for both pages."""
    bounds = scripts[1]
    network_of = bounds.network_of
    bounds.network_of = functools.cache(network_of)
    yield
    bounds.network_of = network_of


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
    # Of these 10 weights, 10 gradients and 20 moments stay.
    assert traffic.held(10, 20) == 40 * 4


def test_a_layer_that_is_not_counted_is_named(scripts):
    _, _, traffic, _ = scripts
    images = keras.Input((4, 4, 3))
    pooled = keras.layers.MaxPooling2D(name="pool")(images)
    with pytest.raises(
        failures.RequestError, match=r"layer 'pool': what MaxPooling2D reads"
    ):
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


def test_model_garden_is_named_where_the_recipe_has_its_rule(scripts):
    def rule(name):
        optimizer = experiment_lib.load(name).optimizer
        return scripts[1].rate(optimizer, recipe_batch=4096, batch=1024)[1]

    assert "Model Garden: 0.008 x batch / 128" in rule("mnv2_cls_imagenet")
    assert rule("mnv3small_cls_imagenet") == (
        "in proportion to the batch, from the recipe's 0.01 at 4096"
    )


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


def parse(scripts, *words):
    always = ["--images_per_core=1", "--machine=a100x16"]
    return scripts[0].parser().parse_args([*always, *words])


def test_only_classification_is_counted(scripts):
    _, bounds, _, _ = scripts
    with pytest.raises(failures.RequestError, match="the task is Segmentation"):
        bounds.network_of(experiment_lib.load("mnv3_seg_cityscapes"))


def test_only_epochs_of_imagenet_are_counted(scripts):
    given = parse(scripts, "--experiment=mnv2_cls_cifar10")
    with pytest.raises(
        failures.RequestError,
        match=r"mnv2_cls_cifar10: .+ recipe is of ImageFolder\(.+cifar10",
    ):
        scripts[0].cases_of(given)


@pytest.mark.parametrize("batch", [8, 4097])
def test_a_batch_that_devices_cannot_share_is_refused(scripts, counted, batch):
    words = ["--experiment=mnv2_cls_imagenet", f"--set=train.batch_size = {batch}"]
    with pytest.raises(
        failures.RequestError,
        match=rf"train.batch_size = {batch} .+ 16 devices of a100x16; set a multiple",
    ):
        scripts[0].cases_of(parse(scripts, *words))
    (case,) = scripts[0].cases_of(parse(scripts, *words, "--batch_per_device=3"))
    assert case.total == 48


def test_no_hours_are_promised_of_what_does_not_fit(scripts, capsys):
    scaling, bounds, _, machines = scripts
    machine = machines.MACHINES["a100x8"]
    fields = FIELDS | {"kept": 10, "held": 25, "multiply_adds": 1, "parameters": 1}
    case = bounds.Case(
        name="mnv2_cls_imagenet",
        experiment=experiment_lib.load("mnv2_cls_imagenet"),
        network=bounds.Network(**fields, fused=1, separate=2),
        machine_name="a100x8",
        machine=dataclasses.replace(machine, memory=100),
        batch=7,
        images_per_core=1.0,
    )
    larger = dataclasses.replace(case, batch=8)
    assert (case.held, case.fits, larger.fits) == (95, True, False)
    assert larger.largest_batch == 7
    scaling.table([case, larger])
    rows = capsys.readouterr().out.splitlines()[2:4]
    assert [row.endswith("| does not fit |") for row in rows] == [False, True]
    scaling.report(larger)
    out = capsys.readouterr().out
    assert "GB: does not fit" in out
    assert "a device holds 7 images at most" in out
    assert "hours" not in out
    assert "these devices at" not in out


def test_a_core_that_makes_no_images_is_refused(scripts, capsys):
    words = ["--experiment=x", "--machine=a100x8", "--images_per_core=0"]
    with pytest.raises(SystemExit):
        scripts[0].parser().parse_args(words)
    assert "0 is not 1 or more" in capsys.readouterr().err


def _commands(page: pathlib.Path) -> list[list[str]]:
    start = "python scripts/scaling.py "
    found = [c for c in guides.commands(page) if c.startswith(start)]
    return [shlex.split(command.removeprefix(start)) for command in found]


@pytest.mark.parametrize(
    "page", [p for p in guides.PAGES if _commands(p)], ids=lambda page: page.name
)
def test_a_page_shows_what_its_commands_print(page, scripts, capsys, counted):
    scaling = scripts[0]
    text = re.sub(r"\s+", " ", page.read_text())
    for words in _commands(page):
        scaling.run(scaling.parser().parse_args(words))
        for line in capsys.readouterr().out.splitlines():
            if not line.startswith(("figures:", "practice: results/")):
                assert " ".join(line.split()) in text, line
