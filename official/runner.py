"""A run: an experiment, trained and evaluated in a folder of its own."""

import contextlib
import json
import os
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import rich.table

from official import atomic, bindings, failures
from official import experiment as experiment_lib
from official.data import base as data_base
from official.data import pipeline
from official.report import (
    confusion,
    extremes,
    facts,
    held,
    html,
    looked_over,
    looking,
    overview,
    precision_recall,
    predictions,
    records,
    result,
    terminal,
)
from official.tasks import evaluation
from official.training import (
    checkpoints,
    collector,
    one_program,
    preparation,
    rehearsal,
    session,
    started,
    trainable,
    workers,
)
from official.training import strategy as strategies

if TYPE_CHECKING:
    import tensorflow as tf

# Fields in which a continued run may differ from how it was started.
MAY_CHANGE = (
    "trainer.epochs",
    "trainer.strategy",
    "trainer.evaluate_every",
    "trainer.evaluate_batches",
    "trainer.checkpoint_steps",
    "trainer.steps_per_loop",
    "trainer.patience",
    "eval",
    "export",
)


def run(
    experiment: experiment_lib.Experiment,
    *,
    name: str,
    run_dir: pathlib.Path,
    overwrite: bool,
    evaluate_only: bool,
    dry_run: bool,
    arguments: Sequence[str] | None = None,
) -> bool:
    """Trains, evaluates, and fills the run folder but for its export.

    A folder that holds a run of the same experiment is continued.

    Args:
        arguments: Of the command, if this is one; the report gives them back.

    Returns:
        Whether this process is to export: of several hosts the first alone.

    Raises:
        RequestError: If the folder holds something else, or the data is wrong.
        RunError: If the training fails.
        Interrupted: If a signal ended it; a checkpoint is kept.
    """
    # Before anything else of TensorFlow, where several hosts take part.
    strategy = strategies.connect(experiment.trainer.strategy)
    chief = workers.is_chief(strategy)
    terminal.console.quiet = not chief
    if dry_run:
        terminal.console.print(_summary(experiment, name, run_dir))
        _warn_of_another_task(experiment)
        rehearsal.run(experiment)
        return False
    _require_usable(run_dir)
    goes_on = not overwrite and checkpoints.newest(run_dir) is not None
    if goes_on:
        _refuse_another(experiment, run_dir)
    if not evaluate_only:
        with workers.minding_others(strategy, run_dir), collector.resting():
            _train(experiment, name, run_dir, goes_on=goes_on, arguments=arguments)
    if chief:
        _evaluate(experiment, name, run_dir)
    return chief and not evaluate_only


def _require_usable(run_dir: pathlib.Path) -> None:
    if run_dir.exists() and not run_dir.is_dir():
        raise failures.RequestError(f"{run_dir} is a file; choose another --run_dir")
    holds_run = (run_dir / experiment_lib.CONFIG).exists()
    if run_dir.is_dir() and os.listdir(run_dir) and not holds_run:
        raise failures.RequestError(
            f"{run_dir} is not empty and holds no run; choose another --run_dir"
        )
    above = next(
        each for each in (run_dir, *run_dir.absolute().parents) if each.exists()
    )
    if not above.is_dir():
        raise failures.RequestError(f"{above} is a file; choose another --run_dir")
    if not os.access(above, os.W_OK | os.X_OK):
        raise failures.RequestError(
            f"{above} cannot be written; choose another --run_dir"
        )


def _train(
    experiment: experiment_lib.Experiment,
    name: str,
    run_dir: pathlib.Path,
    *,
    goes_on: bool,
    arguments: Sequence[str] | None,
) -> None:
    """Nothing is written or deleted before data and network have been found right."""
    terminal.console.print(_summary(experiment, name, run_dir))
    _warn_of_another_task(experiment)
    strategy = strategies.connect(experiment.trainer.strategy)
    chief = workers.is_chief(strategy)
    fresh = not goes_on
    tables, warnings, model = _prepared(experiment, fresh=fresh, look=fresh and chief)
    batches = None
    if chief:
        batches = session.training_batches(experiment, start_step=0)
        _begin(experiment, name, run_dir, model, batches, goes_on=goes_on)
        if fresh:
            overview.write(run_dir, tables, warnings)
    if chief:
        told = started.circumstances(experiment, arguments)
        known = started.facts(experiment, model)
        facts.begin(run_dir, known, told, goes_on=goes_on)
    workers.any_of(False, strategy)  # nobody reads the folder before it is cleared
    began = time.perf_counter()
    try:
        trained = session.train(experiment, run_dir, model, batches=batches)
    except BaseException:
        if chief:
            with contextlib.suppress(OSError):  # what ended the training is to be told
                facts.end(run_dir, time.perf_counter() - began)
        raise
    if chief and (trained or fresh):
        facts.end(run_dir, time.perf_counter() - began)
    elif chief:
        facts.forget(run_dir)


def _prepared(
    experiment: experiment_lib.Experiment, *, fresh: bool, look: bool
) -> tuple[list[rich.table.Table], list[str], trainable.Trainable]:
    """What was printed of the data, and the model that is to learn from it.

    Args:
        fresh: The run begins.
        look: Look the examples over, which a run that goes on has done.
    """
    sources = (experiment.train, experiment.eval)
    splits = (experiment.train.split, experiment.eval.split)
    tables = held.show(experiment.dataset, splits, experiment.task)
    if not look:
        return tables, [], preparation.model(experiment, fresh=fresh)
    with looking.Looking(experiment.dataset, sources) as reader:
        model = preparation.model(experiment, fresh=fresh)
        found = reader.found()
    more, warnings = looked_over.show(found, experiment.dataset.class_names)
    return [*more, *tables], warnings, model


def _begin(
    experiment: experiment_lib.Experiment,
    name: str,
    run_dir: pathlib.Path,
    model: trainable.Trainable,
    batches: "tf.data.Dataset",
    *,
    goes_on: bool,
) -> None:
    """Writes what the run folder has from the start."""
    if not goes_on and run_dir.exists():
        shutil.rmtree(run_dir)
    atomic.write(run_dir / experiment_lib.CONFIG, experiment_lib.dump(experiment, name))
    if model.provenance:
        text = json.dumps(model.provenance, indent=2) + "\n"
        atomic.write(run_dir / preparation.PROVENANCE, text)
    predictions.draw_training(experiment, batches, run_dir / "predictions")


def _warn_of_another_task(experiment: experiment_lib.Experiment) -> None:
    """Quantization-aware training is to go on with the task of its float run.

    Raises:
        RequestError: If the run has another backbone.
    """
    start = pathlib.Path(experiment.init_from or "").expanduser()
    if experiment.quantization is None or not experiment.init_from:
        return
    if start.suffix == ".npz":  # runs/NAME/checkpoints/best.npz
        start = start.parent.parent
    if not (start / experiment_lib.CONFIG).is_file():
        return
    _, theirs = experiment_lib.load_run(start)
    changed = [
        line
        for line in bindings.difference(experiment, theirs)
        if line.startswith("task.")
    ]
    own, other = (type(each.task.backbone).__name__ for each in (experiment, theirs))
    if own != other:
        raise failures.RequestError(
            f"{start} is of a {other}, and this experiment has a {own}: for the "
            f'quantization of that network, --set "task.backbone = @{other}()", and '
            f"what else its {experiment_lib.CONFIG} has of task"
        )
    if changed:
        terminal.console.print(
            f"warning: {start} was trained with another task (here != there: "
            f"{'; '.join(changed)}): for the quantization of that network, --set what "
            "it had"
        )


def _refuse_another(
    experiment: experiment_lib.Experiment, run_dir: pathlib.Path
) -> None:
    _, theirs = experiment_lib.load_run(run_dir)
    scheme = experiment.quantization
    # By the length of the training it is known when a network freezes.
    kept = {"trainer.epochs"} if scheme and scheme.freeze_step is None else set()
    may_change = [field for field in MAY_CHANGE if field not in kept]
    changed = [
        line
        for line in bindings.difference(experiment, theirs)
        if not line.startswith(
            tuple(f"{field}{end}" for field in may_change for end in ".: ")
        )
    ]
    if changed:
        shown = "; ".join(changed[:5]) + ("; ..." if len(changed) > 5 else "")
        raise failures.RequestError(
            f"{run_dir} holds a run of another experiment: choose another --run_dir, "
            f"or --overwrite to delete it (here != there: {shown})"
        )


def _summary(
    experiment: experiment_lib.Experiment, name: str, run_dir: pathlib.Path
) -> str:
    task, dataset = experiment.task, experiment.dataset
    training = _count(dataset, experiment.train)
    judged = _count(dataset, experiment.eval)
    size = task.scaled(task.image_size)
    return "\n".join(
        (
            f"{name} -> {run_dir}",
            f"  network   {type(task).__name__}, {type(task.backbone).__name__}, "
            f"{size[0]}x{size[1]}, {dataset.num_classes} classes",
            f"  data      {type(dataset).__name__}: {training} training, "
            f"{judged} evaluation images",
            f"  training  {_epochs_to_do(experiment.trainer.epochs)}, batch "
            f"{experiment.train.batch_size}, {type(experiment.optimizer).__name__}, "
            f"{experiment.trainer.precision}, seed {experiment.seed}",
        )
    )


def _epochs_to_do(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"


def _count(dataset: data_base.Dataset, source: pipeline.Input) -> str:
    count, size = source.count(dataset), dataset.size(source.split)
    return str(count) if count == size else f"{count} of {size}"


def _evaluate(
    experiment: experiment_lib.Experiment, name: str, run_dir: pathlib.Path
) -> None:
    """Evaluates the best checkpoint; writes result, network, pictures and report."""
    network = checkpoints.inference_network(experiment, run_dir)
    best = checkpoints.path(run_dir, "best")
    state = checkpoints.state(best)
    predictor = one_program.Predictor(network)
    mistakes = predictions.mistakes(experiment.task)
    ranking = extremes.Ranking(experiment.task)
    found = evaluation.evaluate(
        experiment.task,
        {"Keras": predictor},
        session.evaluation_batches(experiment),
        class_names=state.class_names,
        watch=evaluation.watched_by(mistakes.watch, ranking.watch),
    )["Keras"]
    known = {
        "experiment": name,
        "metric": experiment.task.metric,
        "constant": found.constant,
        "examples": found.examples,
        "split": experiment.eval.split,
        "classes": state.class_names,
        "epochs": _epochs(run_dir),
        "best_epoch": state.best_epoch,
        "weights": checkpoints.digest(best),
    }
    task, judges = experiment.task, found.judges
    row = {"name": "Keras", "metrics": found.metrics}
    if calibration := task.calibration(judges):
        row["calibration"] = calibration.as_json()
    result.update(run_dir, known, [row])
    _save(network, run_dir / "model.keras")
    pictures = run_dir / "predictions"
    predictions.draw(experiment, {"prediction": predictor}, pictures)
    extremes.draw(experiment, {"Keras": predictor}, pictures, ranking=ranking)
    predictions.write_mistakes(mistakes, pictures, class_names=state.class_names)
    confused = task.confusion(judges, state.class_names)
    confusion.write(run_dir, *(confused or (None, ())))
    precision_recall.write(run_dir, task.precision_recall(judges))
    dataset, split = experiment.dataset, experiment.eval.split
    records.write(
        run_dir,
        task.records(judges),
        image_numbers=dataset.image_numbers(split),
        category_ids=dataset.category_ids(split),
    )
    report = html.write(run_dir)
    metric = experiment.task.metric
    terminal.console.print(
        f"Keras {metric} {100 * found.metrics[metric]:.2f} % on {found.examples} "
        f"images (best constant prediction {100 * found.constant:.2f} %); {report}"
    )


def _epochs(run_dir: pathlib.Path) -> int:
    newest = checkpoints.newest(run_dir)
    return checkpoints.state(newest).epoch if newest else 0


def _save(network, file: pathlib.Path) -> None:
    temporary = file.with_name(f".{file.name}")  # Keras insists on the suffix
    network.save(temporary)
    os.replace(temporary, file)
