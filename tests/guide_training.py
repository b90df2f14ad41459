"""A `train.py` command of a guide, carried out on a few small pictures.

It runs as it stands on the page, with `--dry_run`, in a folder where what it reads lies
at the place it names. Its bindings are applied, so one that fits no more ends it, and
what they make of a backbone is built; then others behind them make the network and the
data small, and leave out weights that would be downloaded, whose name is looked up.
"""

import contextlib
import dataclasses
import functools
import pathlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import guide_data
import keras
import pytest
import tensorflow as tf

import train
from official import experiment as experiment_lib
from official.backbones import base as backbones_base
from official.backbones import convolutions
from official.data import tfds
from official.training import checkpoints, preparation, rehearsal
from official.weights import published


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shallow(backbones_base.Backbone):
    """A convolution a level: of networks every layer takes its time."""

    norm: convolutions.Norm = convolutions.Norm()

    def __call__(self, images: keras.KerasTensor) -> backbones_base.Features:
        x, features = images, {}
        for number in range(1, 6):
            x = convolutions.conv_norm(
                x,
                filters=8,
                kernel=3,
                stride=2,
                norm=self.norm,
                activation="relu",
                name=f"C{number}_conv",
            )
            features[f"C{number}"] = x
        pooled = keras.layers.GlobalAveragePooling2D(
            keepdims=True, name="embedding_pool"
        )
        features["C5_expand"] = features["C4"]
        return features | {"embedding": pooled(x)}


SIZES = {
    "task.train_size": "None",
    "task.crop_size": "None",
    "task.class_weights": "None",  # of as many values as the real data has classes
    "task.max_detections": "5",
    "task.augmentations": "()",
    "task.color_policy": "None",
    "task.copy_paste": "None",
    "task.photometric": "False",
    "task.head.extra": "(8, 8, 8, 8)",
    "task.head.slots": "8",
    "task.head.layers": "(1,)",
    "task.head.relaxed": "1",
    "task.head.semantic_width": "8",
    "task.head.pixels": "@ConvPixelDecoder(taps=('C3', 'C4', 'C5'), "
    "widths=(8, 16, 16), blocks=(1, 1, 1))",
    "task.head.decoder.width": "16",
    "task.head.decoder.key_width": "8",
    "task.head.decoder.hidden": "16",
    "task.head.decoder.embedding": "8",
    "task.method.samples": "20",
    "task.method.max_segments": "16",
    "dataset.height": "64",
    "dataset.width": "64",
    "dataset.train_size": "4",
    "dataset.val_size": "2",
    "train.batch_size": "2",
    "eval.batch_size": "2",
    "eval.split": repr(guide_data.SPLIT),
    "eval.limit": "2",
    "trainer.steps_per_epoch": "2",
    "quantization.observe_steps": "1",
}
"""For every experiment that has such a field: what has a size or takes its time."""


def words_of(command: str) -> list[str]:
    """What `train.py` is given; absolute folders begin where the process is."""
    command = command.replace("'/", "'").replace("=/", "=")
    words = [word for word in shlex.split(command) if word != "..."]
    return words[words.index("train.py") + 1 :]


def rehearse(words: Sequence[str], capsys: Any) -> None:
    """Lets `train.py` look the data over and take a few steps.

    Where task, scheme and devices are of kinds that took steps before, there are none.
    """
    flags = train.parser().parse_args(words)
    given = experiment_lib.load(flags.experiment, flags.overlay, flags.set)
    _require_published(given)
    if any(setting.startswith("task.backbone") for setting in flags.set):
        given.task.backbone(keras.Input((*given.task.image_size, 3)))
    guide_data.write(given.dataset)
    changes = list(_smaller(given))
    if given.init_from and given.init_from.startswith("runs/"):
        settings = [*flags.set, *changes]
        settings = [s for s in settings if not s.startswith(("init_", "quanti"))]
        float_name = flags.experiment.removesuffix("_qat")
        _begin(float_name, pathlib.Path(given.init_from), settings)
    else:
        changes.append("init_from = None")
    last = [f"--set={change}" for change in changes]
    with _eagerly(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "TIMED_STEPS", 1)
        patch.setattr(rehearsal, "EVALUATIONS", 1)
        settings = [*flags.set, *changes]
        small = experiment_lib.load(flags.experiment, flags.overlay, settings)
        kinds = _kinds(small)
        if all(kind in _TAKEN for kind in kinds):
            patch.setattr(rehearsal, "_train", lambda *_: (0.0, 0.0))
            patch.setattr(rehearsal, "_evaluate", lambda *_: 0.0)
        status = train.main([*words, *last, "--dry_run"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    _TAKEN.extend(kinds)
    assert "nothing was written" in " ".join(printed.out.split())


_TAKEN: list[Any] = []


def _kinds(small: experiment_lib.Experiment) -> list[Any]:
    """Of what its steps consist: the task's components, the scheme, the devices."""
    trainer = small.trainer
    how = (trainer.strategy, trainer.precision, trainer.deterministic)
    return [_form(small.task), _form(small.quantization), how]


def _form(spec: Any) -> Any:
    """The types of a component and of what its fields hold."""
    if dataclasses.is_dataclass(spec):
        fields = dataclasses.fields(spec)
        return type(spec), [_form(getattr(spec, field.name)) for field in fields]
    return type(spec)


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Tracing a network for one step takes ten times as long as the step."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def _require_published(given: experiment_lib.Experiment) -> None:
    """The weights that it names are of its backbone."""
    if given.init_from and published.is_named(given.init_from):
        backbone, (size, _) = given.task.backbone, given.task.image_size
        item = published.find(given.init_from, backbone, image_size=size)
        assert type(item.backbone) is type(backbone)


def _smaller(given: experiment_lib.Experiment) -> Iterator[str]:
    """Bindings that make an experiment small."""
    # An odd side takes other paths than an even one.
    side = 64 + given.task.image_size[0] % 2
    yield f"task.image_size = ({side}, {side})"
    if isinstance(given.dataset, tfds.TFDS):  # makes ImageNet ready by itself
        yield "dataset = @SyntheticCrops(side=64, train_size=4, val_size=2)"
    elif hasattr(given.dataset, "data_dir"):
        # What is known of a folder is kept by its name.
        yield f"dataset.data_dir = {str(pathlib.Path(given.dataset.data_dir).absolute())!r}"
    yield "task.backbone = @Shallow()"
    for path, value in SIZES.items():
        *above, field = path.split(".")
        owner: Any = functools.reduce(
            lambda spec, name: getattr(spec, name, None), above, given
        )
        if hasattr(owner, field):
            yield f"{path} = {value}"


def _begin(name: str, folder: pathlib.Path, settings: Sequence[str]) -> None:
    """A run as another starts from it: its setting, and a checkpoint."""
    experiment = experiment_lib.load(name, settings=settings)
    model = preparation.model(experiment, fresh=True)
    checkpoints.save(
        checkpoints.path(folder, "best"),
        network=model.network,
        optimizer=model.optimizer,
        state=checkpoints.State(class_names=experiment.dataset.class_names),
    )
    text = experiment_lib.dump(experiment, name)
    (folder / experiment_lib.CONFIG).write_text(text)
