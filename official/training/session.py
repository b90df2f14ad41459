"""Trains an experiment with Keras `fit` under its strategy."""

import functools
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from official.data import errors, pipeline
from official.report import terminal
from official.tasks import evaluation
from official.training import (
    callbacks,
    checkpoints,
    graph_passes,
    networks,
    one_program,
    preparation,
    statistics,
    trainable,
    workers,
)
from official.training import strategy as strategies

if TYPE_CHECKING:
    import tensorflow as tf

    from official import experiment as experiment_lib


def train(
    experiment: "experiment_lib.Experiment",
    run_dir: pathlib.Path,
    model: trainable.Trainable,
    *,
    batches: "tf.data.Dataset | None" = None,
) -> bool:
    """Trains to the last epoch, from the newest checkpoint if there is one.

    Args:
        model: From `preparation.model`.
        batches: From `training_batches` with step 0, where they have been made already:
            it takes a second to trace what is done to an image.

    Returns:
        Whether there was anything left to train.

    Raises:
        RunError: A loss that is not a number.
        Interrupted: SIGINT or SIGTERM; a checkpoint is kept.
        DataError: The data is missing or wrong.
        OSError: The run folder cannot be written.
    """
    trainer, classes = experiment.trainer, experiment.dataset.class_names
    state = checkpoints.State(class_names=classes)
    strategy = strategies.connect(trainer.strategy)
    # Another thread or a setting of TensorFlow since then may have lost it.
    graph_passes.spare(precision=trainer.precision)
    file = checkpoints.resumable(run_dir)
    digest = checkpoints.digest(file) if file else ""
    workers.require_same(digest, strategy, what=f"checkpoint in {run_dir}")
    if file:
        state = checkpoints.restore(
            file, network=model.network, optimizer=model.optimizer
        )
        checkpoints.require_classes(file, state, classes)
        if workers.is_chief(strategy):
            checkpoints.make_last(file)
        terminal.console.print(
            f"resuming after step {state.step} (epoch {state.epoch})"
        )
        if state.epoch > trainer.epochs:
            terminal.console.print(
                f"  it has {state.epoch} epochs already, trainer.epochs is "
                f"{trainer.epochs}: nothing is trained, and its learning rate was that "
                "of the longer training; for one of its own give another --run_dir"
            )
    elif not trainer.epochs and workers.is_chief(strategy):
        _save_untrained(run_dir, model, state)
    left = state.epoch < trainer.epochs and not state.stalled(trainer.patience)
    if left:
        _fit(experiment, run_dir, model, state, made=batches)
    return left


def _save_untrained(
    run_dir: pathlib.Path, model: trainable.Trainable, state: checkpoints.State
) -> None:
    """The checkpoints of a training without steps: the weights it would start from."""
    for which in ("last", "best"):
        checkpoints.save(
            checkpoints.path(run_dir, which),
            network=model.network,
            optimizer=model.optimizer,
            state=state,
        )


def training_batches(
    experiment: "experiment_lib.Experiment",
    *,
    start_step: int,
    share: pipeline.Share | None = None,
) -> "tf.data.Dataset":
    """Endless batches of the training split, or a host's share of them, from a step."""
    return pipeline.training_batches(
        experiment.dataset,
        experiment.train,
        experiment.task.preprocess,
        mix=experiment.task.mix,
        whole=experiment.task.mixes,
        undecoded=experiment.task.decodes,
        seed=experiment.seed,
        start_step=start_step,
        share=share,
    )


def _fed(
    experiment: "experiment_lib.Experiment",
    strategy: "tf.distribute.Strategy",
    *,
    start_step: int,
) -> Any:
    """The training batches as `fit` wants them under a strategy."""
    # Of one process `fit` divides the batches among the replicas.
    if workers.count(strategy) == 1:
        return training_batches(experiment, start_step=start_step)

    def of_host(context: "tf.distribute.InputContext") -> "tf.data.Dataset":
        hosts = context.num_input_pipelines
        share = pipeline.Share(
            number=context.input_pipeline_id,
            hosts=hosts,
            replicas=context.num_replicas_in_sync // hosts,
        )
        return training_batches(experiment, start_step=start_step, share=share)

    return strategy.distribute_datasets_from_function(of_host)


def evaluation_batches(
    experiment: "experiment_lib.Experiment", *, batches: int | None = None
) -> Iterable[tuple[Any, Any]]:
    """The evaluation set, with a progress bar; can be run through again and again.

    Args:
        batches: Only so many, the first.
    """
    return _EvaluationBatches(experiment, batches)


class _EvaluationBatches:
    def __init__(self, experiment: "experiment_lib.Experiment", batches: int | None):
        dataset, source = experiment.dataset, experiment.eval
        self._batches = pipeline.evaluation_batches(
            dataset, source, experiment.task.preprocess
        )
        self._total = math.ceil(source.count(dataset) / source.batch_size)
        if batches is not None:
            self._batches = self._batches.take(batches)
            self._total = min(batches, self._total)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        with errors.clear():
            yield from terminal.track(self._batches, "evaluating", total=self._total)


def _fit(
    experiment: "experiment_lib.Experiment",
    run_dir: pathlib.Path,
    model: trainable.Trainable,
    state: checkpoints.State,
    *,
    made: "tf.data.Dataset | None",
) -> None:
    trainer, steps = experiment.trainer, preparation.steps_per_epoch(experiment)
    total = preparation.total_steps(experiment)
    done = state.step - state.epoch * steps
    strategy = strategies.connect(trainer.strategy)
    guard = callbacks.Guard(
        run_dir,
        state,
        strategy=strategy,
        steps_per_epoch=steps,
        every=trainer.checkpoint_steps,
    )
    chief = workers.is_chief(strategy)
    progress = terminal.Progress(
        epochs=trainer.epochs,
        steps_per_epoch=steps,
        batch_size=experiment.train.batch_size,
        metric=experiment.task.metric,
        done=done,
    )
    chain = [
        guard,
        callbacks.Release(experiment.fine_tuning),
        callbacks.Phases(guard, experiment.quantization, total_steps=total),
        callbacks.Evaluation(
            guard,
            _Evaluator(experiment, model, guard),
            every=trainer.evaluate_every,
            epochs=trainer.epochs,
        ),
        progress,
        *([callbacks.History(run_dir, done=state.epoch)] if chief else []),
        callbacks.Finish(
            guard, metric=f"val_{experiment.task.metric}", patience=trainer.patience
        ),
    ]
    if made is None or state.step or workers.count(strategy) > 1:
        made = _fed(experiment, strategy, start_step=state.step)
    batches = made
    if trainer.steps_per_loop > 1:
        model.loop(trainer.steps_per_loop)
    # An epoch that was interrupted is finished first, as an epoch with fewer steps.
    first = state.epoch + 1 if done else state.epoch
    fit = functools.partial(model.fit, callbacks=chain, verbose=0, shuffle=False)
    if done == steps:
        # Of an epoch that was interrupted in its evaluation nothing is left but that.
        with errors.clear(), guard.minding_signals():
            callbacks.end_epoch(chain, model, state.epoch, state.pending)
        batches = _fed(experiment, strategy, start_step=first * steps)
        done = 0
    try:
        with errors.clear(), guard.minding_signals():
            if done:
                fit(
                    batches,
                    initial_epoch=state.epoch,
                    epochs=first,
                    steps_per_epoch=steps - done,
                )
                batches = _fed(experiment, strategy, start_step=first * steps)
            stalled = guard.state.stalled(trainer.patience)
            if first < trainer.epochs and not stalled:
                fit(
                    batches,
                    initial_epoch=first,
                    epochs=trainer.epochs,
                    steps_per_epoch=steps,
                )
    finally:
        progress.stop()
        model.late.begin(active=False)


class _Evaluator:
    """Gives the metrics of the averaged weights, in the inference form."""

    def __init__(
        self,
        experiment: "experiment_lib.Experiment",
        model: trainable.Trainable,
        guard: callbacks.Guard,
    ):
        self._experiment = experiment
        self._model = model
        self._guard = guard
        self._strategy = strategies.connect(experiment.trainer.strategy)
        self._reestimation = _reestimation(experiment)

    def prepare(self) -> None:
        """Builds the network and opens the data; what is wrong with them ends here."""
        _ = self._built

    @functools.cached_property
    def _built(self) -> tuple[keras.Model, one_program.Predictor, Iterable[Any]]:
        experiment = self._experiment
        network = networks.build(experiment, training=False)
        batches = evaluation_batches(
            experiment, batches=experiment.trainer.evaluate_batches
        )
        return network, one_program.Predictor(network), self._guard.watched(batches)

    def __call__(self, epoch: int) -> dict[str, float]:
        network, predictor, batches = self._built
        model, guard = self._model, self._guard
        weights = {v.path: ops.convert_to_numpy(v) for v in model.network.weights}
        weights |= checkpoints.averaged(model.optimizer)
        if self._reestimation is not None:
            guard.statistics = self._reestimation(weights, epoch=epoch)
            weights |= guard.statistics
        checkpoints.assign(network.weights, weights, source="the training network")
        result = evaluation.evaluate(
            self._experiment.task,
            {"Keras": predictor},
            batches,
            class_names=self._experiment.dataset.class_names,
        )
        return workers.of_chief(result["Keras"].metrics, self._strategy)


def _reestimation(
    experiment: "experiment_lib.Experiment",
) -> statistics.Reestimation | None:
    setting = experiment.fine_tuning
    if setting.norm != "reestimate":
        return None
    network = networks.build(experiment, training=True)
    # Always the same batches: a run that goes on finds what it would have found.
    batches = training_batches(experiment, start_step=0)
    return statistics.Reestimation(
        network, batches.take(setting.reestimate_batches), setting
    )
