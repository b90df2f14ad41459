"""Trains an experiment with Keras `fit` under its strategy."""

import contextlib
import functools
import math
import pathlib
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from official import failures
from official.data import base as data_base
from official.data import errors, pipeline
from official.report import terminal
from official.tasks import evaluation
from official.training import callbacks, checkpoints, trainable
from official.weights import initialize

if TYPE_CHECKING:
    from official import experiment as experiment_lib


def train(experiment: "experiment_lib.Experiment", run_dir: pathlib.Path) -> None:
    """Trains to the last epoch, from the last checkpoint if there is one.

    Raises:
        RunError: A loss that is not a number.
        Interrupted: SIGINT or SIGTERM; a checkpoint is kept.
        DataError: The data is missing or wrong.
        OSError: The run folder cannot be written.
    """
    last = checkpoints.path(run_dir, "last")
    model = _model(experiment, fresh=not last.exists())
    state = checkpoints.State(class_names=experiment.dataset.class_names)
    if last.exists():
        state = checkpoints.restore(
            last, network=model.network, optimizer=model.optimizer
        )
        terminal.console.print(
            f"resuming after step {state.step} (epoch {state.epoch})"
        )
    if state.stopped or state.epoch >= experiment.trainer.epochs:
        return
    _fit(experiment, run_dir, model, state)


def evaluation_batches(
    experiment: "experiment_lib.Experiment",
) -> Iterable[tuple[Any, Any]]:
    """The evaluation set, with a progress bar; can be run through again and again."""
    return _EvaluationBatches(experiment)


class _EvaluationBatches:
    def __init__(self, experiment: "experiment_lib.Experiment"):
        dataset, source = experiment.dataset, experiment.eval
        self._batches = pipeline.evaluation_batches(
            dataset, source, experiment.task.preprocess
        )
        self._total = math.ceil(_size(dataset, source) / source.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        with _clear_errors():
            yield from terminal.track(self._batches, "evaluating", total=self._total)


def dry_run(experiment: "experiment_lib.Experiment") -> None:
    """Takes two steps and an evaluation batch; prints time and memory of a run."""
    model = _model(experiment, fresh=True)
    batches = _training_batches(experiment, start_step=0)
    with _clear_errors():
        first = model.fit(batches.take(1), verbose=0, shuffle=False).history["loss"][0]
        start = time.perf_counter()
        model.fit(batches.take(3), verbose=0, shuffle=False)
    seconds = (time.perf_counter() - start) / 3
    steps = experiment.trainer.epochs * _steps_per_epoch(experiment)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    images, _ = next(iter(evaluation_batches(experiment)))
    start = time.perf_counter()
    network = experiment.task.build(
        num_classes=experiment.dataset.num_classes, training=False
    )
    network.predict_on_batch(images)
    terminal.console.print(
        f"one step: loss {first:.4f}, {seconds:.2f} s; {steps} steps take about "
        f"{steps * seconds / 60:.0f} min besides evaluation; "
        f"{peak:.1f} GiB of memory so far; nothing was written"
    )


def _model(
    experiment: "experiment_lib.Experiment", *, fresh: bool
) -> trainable.Trainable:
    """The network, compiled; its initial weights are a function of the seed."""
    trainer = experiment.trainer
    keras.utils.set_random_seed(experiment.seed)
    if trainer.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    strategy = trainer.strategy.create()
    if experiment.train.batch_size % strategy.num_replicas_in_sync:
        raise failures.RequestError(
            f"train.batch_size = {experiment.train.batch_size} does not divide by the "
            f"{strategy.num_replicas_in_sync} devices of trainer.strategy"
        )
    with strategy.scope(), _dtype_policy(trainer.precision):
        network = experiment.task.build(
            num_classes=experiment.dataset.num_classes, training=True
        )
        if fresh and experiment.init_from:
            transfer = initialize.initialize(
                network, experiment.task.backbone, experiment.init_from
            )
            terminal.console.print(transfer.summary())
        model = trainable.Trainable(
            network, experiment.task.losses(), l2=experiment.optimizer.l2
        )
        steps = _steps_per_epoch(experiment)
        optimizer = experiment.optimizer.build(
            network.trainable_variables,
            total_steps=trainer.epochs * steps,
            steps_per_epoch=steps,
        )
        model.compile(optimizer, jit_compile=trainer.jit_compile)
        model.optimizer.build(network.trainable_variables)
        model.build(network.input_shape)
    return model


def _fit(
    experiment: "experiment_lib.Experiment",
    run_dir: pathlib.Path,
    model: trainable.Trainable,
    state: checkpoints.State,
) -> None:
    trainer, steps = experiment.trainer, _steps_per_epoch(experiment)
    done = state.step - state.epoch * steps
    guard = callbacks.Guard(
        run_dir, state, steps_per_epoch=steps, every=trainer.checkpoint_steps
    )
    progress = terminal.Progress(
        epochs=trainer.epochs,
        steps_per_epoch=steps,
        batch_size=experiment.train.batch_size,
        metric=experiment.task.metric,
        done=done,
    )
    chain = [
        guard,
        progress,
        callbacks.Evaluation(
            _evaluator(experiment, model),
            every=trainer.evaluate_every,
            epochs=trainer.epochs,
        ),
        callbacks.History(run_dir, done=state.epoch),
        callbacks.Finish(
            guard, metric=f"val_{experiment.task.metric}", patience=trainer.patience
        ),
    ]
    batches = _training_batches(experiment, start_step=state.step)
    # An epoch that was interrupted is finished first, as an epoch with fewer steps.
    first = state.epoch + 1 if done else state.epoch
    fit = functools.partial(model.fit, callbacks=chain, verbose=0, shuffle=False)
    try:
        with _clear_errors(), guard.minding_signals():
            if done:
                fit(
                    batches,
                    initial_epoch=state.epoch,
                    epochs=first,
                    steps_per_epoch=steps - done,
                )
                # At its end `fit` has replaced the weights by their average.
                checkpoints.restore(
                    checkpoints.path(run_dir, "last"),
                    network=model.network,
                    optimizer=model.optimizer,
                )
                batches = _training_batches(experiment, start_step=first * steps)
            if first < trainer.epochs and not guard.state.stopped:
                fit(
                    batches,
                    initial_epoch=first,
                    epochs=trainer.epochs,
                    steps_per_epoch=steps,
                )
    finally:
        progress.stop()


def _evaluator(
    experiment: "experiment_lib.Experiment", model: trainable.Trainable
) -> Callable[[], dict[str, float]]:
    """Gives the metrics of the averaged weights, in the inference form."""
    classes = experiment.dataset.num_classes
    network = experiment.task.build(num_classes=classes, training=False)
    batches = evaluation_batches(experiment)

    def evaluate() -> dict[str, float]:
        weights = {v.path: ops.convert_to_numpy(v) for v in model.network.weights}
        weights |= checkpoints.averaged(model.optimizer)
        checkpoints.assign(network.weights, weights, source="the training network")
        result = evaluation.evaluate(
            experiment.task,
            {"Keras": network.predict_on_batch},
            batches,
            class_names=experiment.dataset.class_names,
        )
        return result["Keras"].metrics

    return evaluate


def _training_batches(experiment: "experiment_lib.Experiment", *, start_step: int):
    return pipeline.training_batches(
        experiment.dataset,
        experiment.train,
        experiment.task.preprocess,
        seed=experiment.seed,
        start_step=start_step,
    )


def _steps_per_epoch(experiment: "experiment_lib.Experiment") -> int:
    """Whole batches of one pass, unless the trainer says otherwise."""
    size = _size(experiment.dataset, experiment.train)
    return experiment.trainer.steps_per_epoch or max(
        1, size // experiment.train.batch_size
    )


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Finds the line about the data again in what `tf.data` makes of it."""
    try:
        yield
    except failures.Failure:
        raise
    except Exception as error:
        found = errors.as_data_error(error)
        if found is None:
            raise
        raise found from error


def _size(dataset: data_base.Dataset, source: pipeline.Input) -> int:
    size = dataset.size(source.split)
    return min(size, source.limit or size)
