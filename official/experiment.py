"""What an experiment is, and how one is loaded."""

import dataclasses
import importlib
import pathlib
import sys
from collections.abc import Sequence

from official import bindings, catalog, export_spec, failures, gin, spelling
from official.data import base as data_base
from official.data import pipeline
from official.optim import optimizers
from official.quantization import scheme as scheme_lib
from official.tasks import base as tasks_base
from official.training import fine_tuning as fine_tuning_lib
from official.training import trainer as trainer_lib

CONFIG = "config.gin"
"""The file in a run folder that holds the operative config."""

_HEADER = "# experiment: "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything a run depends on.

    Attributes:
        task: Network, losses, metrics and their preprocessing.
        dataset: Serves training and evaluation.
        train: Which split is trained on, and how it is batched.
        eval: Which split is evaluated, and how it is batched.
        optimizer: Update rule with its schedule.
        trainer: Length of training, strategy, precision, checkpoints.
        quantization: Trains on the grids of the integer file (quantization-aware); None
            trains in floats, and an int8 file is made by post-training quantization.
        export: The files to write, and their gate.
        init_from: Weights to start from: published ones by name, a file, or a run
            folder; see `official.weights.initialize`.
        fine_tuning: What of them trains, and how.
        teacher: A network whose scores are learned: a run folder, or published weights
            by name; with `task.distillation_weight`.
        seed: Of initial weights, data order and augmentation.
    """

    task: tasks_base.Task
    dataset: data_base.Dataset
    train: pipeline.Input
    eval: pipeline.Input
    optimizer: optimizers.Optimizer
    trainer: trainer_lib.Trainer
    quantization: scheme_lib.QuantScheme | None = None
    export: export_spec.Export = export_spec.Export()
    init_from: str | None = None
    fine_tuning: fine_tuning_lib.FineTuning = fine_tuning_lib.FineTuning()
    teacher: str | None = None
    seed: int = 0


def quantization_aware(
    parent: Experiment,
    *,
    epochs: int,
    learning_rate_share: float = 0.03,
    weight_decay_share: float = 0.1,
) -> Experiment:
    """The quantization-aware variant of a float experiment: a short fine-tuning.

    It is to start from a run of the float experiment (`init_from`), whose weights are
    good already: the learning rate is a tenth to a hundredth of that run's and falls
    without a warm-up, and less is decayed. All levels train at one rate, since all are
    rounded. Ends in the int8 file that it trained for.

    Args:
        epochs: About a tenth of the float experiment's.
        learning_rate_share: Of the float experiment's peak.
        weight_decay_share: Of the float experiment's weight decay and L2.
    """
    optimizer, norm = parent.optimizer, parent.fine_tuning.norm
    if norm == "reestimate":
        norm = "train"  # in the end the scheme freezes the statistics
    scheme = scheme_lib.QuantScheme()
    schedule = dataclasses.replace(
        optimizer.schedule,
        learning_rate=learning_rate_share * optimizer.schedule.learning_rate,
        warmup_epochs=0.0,
    )
    return dataclasses.replace(
        parent,
        optimizer=dataclasses.replace(
            optimizer,
            schedule=schedule,
            weight_decay=weight_decay_share * optimizer.weight_decay,
            l2=weight_decay_share * optimizer.l2,
        ),
        trainer=dataclasses.replace(
            parent.trainer, epochs=epochs, evaluate_every=1, precision="float32"
        ),
        fine_tuning=fine_tuning_lib.FineTuning(norm=norm),
        quantization=scheme,
        export=dataclasses.replace(parent.export, precisions=(scheme.precision,)),
    )


def load(
    name: str,
    overlays: Sequence[str | pathlib.Path] = (),
    settings: Sequence[str] = (),
) -> Experiment:
    """An experiment of the catalog with bindings applied.

    Args:
        name: Of a file in `configs`, without its suffix.
        overlays: Files of bindings.
        settings: Bindings; they win over those of the overlays.

    Raises:
        RequestError: If there is no such experiment, or a binding is wrong.
    """
    found = [binding for file in overlays for binding in gin.parse_file(file)]
    found += map(gin.parse_setting, settings)
    return bindings.apply(_named(name), found)


def dump(experiment: Experiment, name: str) -> str:
    """The content of `CONFIG`: the name, and every setting as a binding."""
    return f"{_HEADER}{name}\n{bindings.dump(experiment)}"


def load_run(run_dir: pathlib.Path) -> tuple[str, Experiment]:
    """Name and experiment of a run folder, as `dump` wrote them.

    Raises:
        RequestError: If the folder holds no run, or its config is damaged.
    """
    file = run_dir / CONFIG
    if not file.is_file():
        raise failures.RequestError(
            f"{run_dir} holds no run ({CONFIG} is missing): give --run_dir a folder "
            "that train.py has written"
        )
    experiment = bindings.construct(Experiment, gin.parse_file(file))
    first_line = file.read_text(encoding="utf-8").partition("\n")[0]
    if not first_line.startswith(_HEADER):
        raise failures.RequestError(f"{file}:1: expected {_HEADER}NAME")
    return first_line.removeprefix(_HEADER), experiment


def _named(name: str) -> Experiment:
    known = catalog.names()
    if name not in known:
        raise failures.RequestError(
            f"--experiment={name}: no such experiment{spelling.hint(name, known)}; "
            "--list shows all of them"
        )
    file = catalog.folder() / f"{name}.py"
    root = str(file.parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        experiment = importlib.import_module(f"configs.{name}").experiment()
    except ValueError as error:
        raise failures.RequestError(f"{file}: {error}") from error
    if not isinstance(experiment, Experiment):
        raise failures.RequestError(
            f"{file}: experiment() gives a {type(experiment).__name__}, "
            "expected an Experiment"
        )
    return experiment
