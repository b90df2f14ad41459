"""What a run would be: the data looked over, a few steps taken, nothing written."""

import math
import resource
import sys
import time
from typing import TYPE_CHECKING

import keras
from keras import ops

from official import failures
from official.data import errors, faults, looked_over, memory, pipeline
from official.layers import depthwise
from official.report import held, terminal
from official.report import looked_over as looked_over_report
from official.tasks import evaluation
from official.training import (
    checkpoints,
    networks,
    preparation,
    session,
    trainable,
)

if TYPE_CHECKING:
    from official import experiment as experiment_lib

# Behind what is compiled: a first step, and the first of the evaluations.
TIMED_STEPS = 3
EVALUATIONS = 2


def run(experiment: "experiment_lib.Experiment") -> None:
    """Reads every example once, trains a few steps, evaluates a batch; prints.

    Raises:
        DataError: If examples are missing or wrong.
        RequestError: As `preparation.model`.
    """
    model = preparation.model(experiment, fresh=True)
    splits = (experiment.train.split, experiment.eval.split)
    held.show(experiment.dataset, splits, experiment.task)
    sources = {each.split: each for each in (experiment.train, experiment.eval)}
    found = {split: _look_over(experiment, each) for split, each in sources.items()}
    looked_over_report.show(found, experiment.dataset.class_names)
    batch, count = experiment.train.batch_size, found[experiment.train.split].count
    if batch > count:
        terminal.console.print(
            f"warning: train.batch_size = {batch} is more than the {count} training "
            "images: each of them is in every batch, some twice"
        )
    _warn_of_memory(model, batch)
    terminal.say_compiling("the step")
    start = time.perf_counter()
    loss, step = _train(experiment, model)
    compiling = max(time.perf_counter() - start - TIMED_STEPS * step, 0.0)
    terminal.console.print("evaluating a batch ...")
    judged = _evaluate(experiment, model)
    trainer = experiment.trainer
    steps = trainer.epochs * preparation.steps_per_epoch(experiment)
    evaluations = math.ceil(trainer.epochs / trainer.evaluate_every)
    total = compiling + steps * step + evaluations * judged
    terminal.console.print(
        f"loss of the first step {loss:.4f}; compiling ({compiling:.0f} s), {steps} "
        f"steps of {step:.2f} s and {evaluations} evaluations of {judged:.1f} s take "
        f"about {math.ceil(total / 60)} min, and the files a few more; peak memory so "
        f"far {_peak_memory():.1f} GiB; nothing was written"
    )


def _look_over(
    experiment: "experiment_lib.Experiment", source: pipeline.Input
) -> looked_over.LookedOver:
    count = source.count(experiment.dataset)
    examples = experiment.dataset.load(source.split, limit=source.limit)
    found = looked_over.LookedOver()
    try:
        with errors.clear():
            read = examples.as_numpy_iterator()
            for example in terminal.track(read, f"reading {source.split}", total=count):
                found.add(example)
    except failures.DataError as error:
        stored = experiment.dataset.stored_size(source.split)
        # What was read so far is whole, where the order is that of the source.
        begun = found.count if stored >= count else 0
        named = faults.others(
            experiment.dataset,
            source.split,
            range(begun, min(stored, count)),
            error,
            decoded=True,
            whole=stored >= count,
            watched=lambda tried, total: terminal.track(
                tried, "looking for others", total=total
            ),
        )
        if named:
            raise named from error
        raise
    return found


def _warn_of_memory(model: trainable.Trainable, batch: int) -> None:
    """Before a step that the system might end without a word.

    A step keeps most of what the layers give, until their gradients are there. With 16
    images of 224 pixels in float32 it was measured to take 67 MiB an image of
    MobileNetV3-Large and 34 of MobileNetV4-Conv-Small, whose layers give 53 and 23.
    """
    if not depthwise.on_cpu():
        return  # a GPU's memory is another, and its error says what was too much
    need = batch * _bytes_of_an_image(model)
    free = memory.free_bytes()
    if need > free:
        terminal.console.print(
            f"warning: a step of train.batch_size = {batch} keeps about "
            f"{need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free: if it is "
            f"killed, take {max(1, int(batch * free / need / 2))} or fewer"
        )


def _bytes_of_an_image(model: trainable.Trainable) -> int:
    """What the layers give of an image, all together."""
    tensors = [
        tensor
        for layer in model.network.layers
        for tensor in keras.tree.flatten(layer.output)
    ]
    return sum(
        (2 if "16" in str(tensor.dtype) else 4)
        * math.prod(side or 1 for side in tensor.shape[1:])
        for tensor in tensors
    )


def _train(
    experiment: "experiment_lib.Experiment", model: trainable.Trainable
) -> tuple[float, float]:
    """Loss of the first step, and seconds of a later one."""
    batches = session.training_batches(experiment, start_step=0)
    with errors.clear():
        history = model.fit(batches.take(1), verbose=0, shuffle=False).history
        if scheme := experiment.quantization:
            # Most steps are those behind the first, which only look for ranges.
            total = preparation.total_steps(experiment)
            scheme.set_step(model.network, scheme.observe_steps, total_steps=total)
            model.make_train_function(force=True)
            model.fit(batches.take(1), verbose=0, shuffle=False)
        start = time.perf_counter()
        model.fit(batches.take(TIMED_STEPS), verbose=0, shuffle=False)
    return history["loss"][0], (time.perf_counter() - start) / TIMED_STEPS


def _evaluate(
    experiment: "experiment_lib.Experiment", model: trainable.Trainable
) -> float:
    """Seconds that an evaluation takes, from one batch."""
    network = networks.build(experiment, training=False)
    # By name: a network in training may have branches that only losses use.
    weights = {v.path: ops.convert_to_numpy(v) for v in model.network.weights}
    checkpoints.assign(network.weights, weights, source="the training network")
    batches = list(session.evaluation_batches(experiment, batches=1))
    seconds = 0.0
    for _ in range(EVALUATIONS):
        start = time.perf_counter()
        evaluation.evaluate(
            experiment.task,
            {"Keras": network.predict_on_batch},
            batches,
            class_names=experiment.dataset.class_names,
        )
        seconds = time.perf_counter() - start
    count = experiment.eval.count(experiment.dataset)
    return seconds * math.ceil(count / experiment.eval.batch_size)


def _peak_memory() -> float:
    """Of this process so far, GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
