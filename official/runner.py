"""A run: an experiment, trained and evaluated in a folder of its own."""

import json
import os
import pathlib
import shutil

from official import atomic, bindings, failures
from official import experiment as experiment_lib
from official.report import html, predictions, terminal
from official.tasks import evaluation
from official.training import checkpoints, session

# Fields in which a continued run may differ from how it was started.
MAY_CHANGE = (
    "trainer.epochs",
    "trainer.strategy",
    "trainer.evaluate_every",
    "trainer.checkpoint_steps",
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
) -> None:
    """Trains, evaluates, and fills the run folder but for its export.

    A folder that holds a run of the same experiment is continued.

    Raises:
        RequestError: If the folder holds something else, or the data is wrong.
        RunError: If the training fails.
        Interrupted: If a signal ended it; a checkpoint is kept.
    """
    if dry_run:
        session.dry_run(experiment)
        return
    if evaluate_only:
        _evaluate(experiment, name, run_dir)
        return
    _open(experiment, name, run_dir, overwrite=overwrite)
    terminal.console.print(_summary(experiment, name, run_dir))
    session.train(experiment, run_dir)
    _evaluate(experiment, name, run_dir)


def _open(
    experiment: experiment_lib.Experiment,
    name: str,
    run_dir: pathlib.Path,
    *,
    overwrite: bool,
) -> None:
    config = run_dir / experiment_lib.CONFIG
    if run_dir.exists() and not run_dir.is_dir():
        raise failures.RequestError(f"{run_dir} is a file; choose another --run_dir")
    if run_dir.is_dir() and os.listdir(run_dir) and not config.exists():
        raise failures.RequestError(
            f"{run_dir} is not empty and holds no run; choose another --run_dir"
        )
    if config.exists() and overwrite:
        shutil.rmtree(run_dir)
    if config.exists():
        _refuse_another(experiment, run_dir)
    experiment.dataset.size(experiment.train.split)  # missing data leaves no folder
    experiment.dataset.size(experiment.eval.split)
    atomic.write(config, experiment_lib.dump(experiment, name))


def _refuse_another(
    experiment: experiment_lib.Experiment, run_dir: pathlib.Path
) -> None:
    _, theirs = experiment_lib.load_run(run_dir)
    changed = [
        line
        for line in bindings.difference(experiment, theirs)
        if not line.startswith(
            tuple(f"{field}{end}" for field in MAY_CHANGE for end in ".: ")
        )
    ]
    if changed:
        shown = "; ".join(changed[:5]) + ("; ..." if len(changed) > 5 else "")
        raise failures.RequestError(
            f"{run_dir} holds a run of another experiment (here != there: {shown}): "
            "choose another --run_dir, or --overwrite to delete it"
        )


def _summary(
    experiment: experiment_lib.Experiment, name: str, run_dir: pathlib.Path
) -> str:
    task, dataset = experiment.task, experiment.dataset
    training = dataset.size(experiment.train.split)
    judged = dataset.size(experiment.eval.split)
    size = task.scaled(task.image_size)
    return "\n".join(
        (
            f"{name} -> {run_dir}",
            f"  network   {type(task).__name__}, {type(task.backbone).__name__}, "
            f"{size[0]}x{size[1]}, {dataset.num_classes} classes",
            f"  data      {type(dataset).__name__}: {training} training, "
            f"{judged} evaluation images",
            f"  training  {experiment.trainer.epochs} epochs, batch "
            f"{experiment.train.batch_size}, {type(experiment.optimizer).__name__}, "
            f"{experiment.trainer.precision}, seed {experiment.seed}",
        )
    )


def _evaluate(
    experiment: experiment_lib.Experiment, name: str, run_dir: pathlib.Path
) -> None:
    """Evaluates the best checkpoint; writes result, network, pictures and report."""
    network = checkpoints.inference_network(experiment, run_dir)
    state = checkpoints.state(checkpoints.path(run_dir, "best"))
    predictor = network.predict_on_batch
    result = evaluation.evaluate(
        experiment.task,
        {"Keras": predictor},
        session.evaluation_batches(experiment),
        class_names=state.class_names,
    )["Keras"]
    row = {"name": "Keras", "metrics": result.metrics}
    content = {
        "experiment": name,
        "metric": experiment.task.metric,
        "constant": result.constant,
        "examples": result.examples,
        "split": experiment.eval.split,
        "classes": state.class_names,
        "epochs": _epochs(run_dir),
        "best_epoch": state.best_epoch,
        "rows": [row],
    }
    atomic.write(run_dir / "result.json", json.dumps(content, indent=1))
    _save(network, run_dir / "model.keras")
    predictions.draw(experiment, {"prediction": predictor}, run_dir / "predictions")
    report = html.write(run_dir)
    metric = experiment.task.metric
    terminal.console.print(
        f"Keras {metric} {result.metrics[metric]:.4f} on {result.examples} images "
        f"(best constant prediction {result.constant:.4f}); {report}"
    )


def _epochs(run_dir: pathlib.Path) -> int:
    return checkpoints.state(checkpoints.path(run_dir, "last")).epoch


def _save(network, file: pathlib.Path) -> None:
    temporary = file.with_name(f".{file.name}")  # Keras insists on the suffix
    network.save(temporary)
    os.replace(temporary, file)
