"""From an experiment to a model that is ready to train."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from official import failures
from official.layers import depthwise
from official.report import terminal
from official.training import (
    fine_tuning,
    graph_passes,
    networks,
    teacher,
    trainable,
    variable_names,
    workers,
)
from official.training import strategy as strategies
from official.weights import initialize
from tflite_export.targets import base as targets

if TYPE_CHECKING:
    from official import experiment as experiment_lib
    from official.training import trainer as trainer_lib

PROVENANCE = initialize.PROVENANCE
"""The file in a run folder that says whose weights it started from."""


def model(
    experiment: "experiment_lib.Experiment", *, fresh: bool
) -> trainable.Trainable:
    """The network with its losses, compiled with its optimizer, on its devices.

    Its weights are a function of the seed and, if `fresh`, of what it starts from.

    Raises:
        RequestError: If the network cannot be built as asked for, the batch does not
            divide among the devices, `init_from` or the teacher does not fit, or there
            is nothing of the level to freeze.
    """
    trainer = experiment.trainer
    _require_consistent(experiment)
    if not trainer.epochs and experiment.fine_tuning.norm == "reestimate":
        raise failures.RequestError(
            "trainer.epochs = 0 trains nothing, and fine_tuning.norm = 'reestimate' "
            "belongs to a training: set fine_tuning = @FineTuning()"
        )
    keras.utils.set_random_seed(experiment.seed % 2**32)
    if trainer.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    strategy = strategies.connect(trainer.strategy)
    graph_passes.spare(precision=trainer.precision)
    _require_compilable(trainer, strategy)
    if experiment.train.batch_size % strategy.num_replicas_in_sync:
        raise failures.RequestError(
            f"train.batch_size = {experiment.train.batch_size} does not divide by the "
            f"{strategy.num_replicas_in_sync} devices of trainer.strategy"
        )
    names = variable_names.alike(replicas=strategy.num_replicas_in_sync)
    with strategy.scope(), names:
        taught_by = teacher.load(experiment)
        with _dtype_policy(trainer.precision):
            network, provenance = _network(experiment, fresh=fresh)
            trainee = _compiled(experiment, network, taught_by)
    trainee.provenance = provenance
    return trainee


def _require_consistent(experiment: "experiment_lib.Experiment") -> None:
    """Settings that rule each other out: found before training, not after.

    Raises:
        RequestError: Names the settings and the way out.
    """
    scheme, spec = experiment.quantization, experiment.export
    loop = experiment.trainer.steps_per_loop
    if loop < 1:
        raise failures.RequestError(f"trainer.steps_per_loop = {loop}: want 1 or more")
    if loop > 1 and keras.backend.backend() != "tensorflow":
        raise failures.RequestError(
            f"trainer.steps_per_loop = {loop} is for Keras on TensorFlow: on "
            f"{keras.backend.backend()} set trainer.steps_per_loop = 1"
        )
    if loop > 1 and scheme is not None:
        raise failures.RequestError(
            f"trainer.steps_per_loop = {loop}: quantization-aware training changes its "
            "step on the way; set trainer.steps_per_loop = 1"
        )
    experiment.task.require_form(spec.output)
    if scheme is None:
        return
    trainer = experiment.trainer
    if not trainer.epochs:
        raise failures.RequestError(
            "trainer.epochs = 0 trains nothing, and the ranges of a quantization "
            "scheme are found in training: set trainer.epochs, or quantization = None "
            "for post-training quantization"
        )
    if total_steps(experiment) <= scheme.observe_steps:
        raise failures.RequestError(
            f"quantization.observe_steps = {scheme.observe_steps}: the training has "
            f"{total_steps(experiment)} steps, and none would be left that quantizes; "
            "set fewer, or more trainer.epochs"
        )
    if experiment.fine_tuning.norm == "reestimate":
        raise failures.RequestError(
            "fine_tuning.norm = 'reestimate' measures what quantization-aware training "
            "freezes: set fine_tuning.norm = 'train' or 'inference'"
        )
    if trainer.precision != "float32":
        raise failures.RequestError(
            f"trainer.precision = {trainer.precision!r} rounds to coarser grids than "
            "int8 has in places: set trainer.precision = 'float32' for "
            "quantization-aware training"
        )
    if spec.target != scheme.target or spec.precisions != (scheme.precision,):
        raise failures.RequestError(
            f"a quantization scheme for {scheme.precision} on {scheme.target!r} trains "
            f"for one file; set export.target = {scheme.target!r} and "
            f"export.precisions = ({scheme.precision!r},); other files of the run are "
            "made by `python -m tflite_export export` afterwards"
        )
    if targets.find(scheme.target).adapt(spec).spec.precisions != spec.precisions:
        raise failures.RequestError(
            f"quantization.target = {scheme.target!r} runs no {scheme.precision} "
            "files: set another quantization.activation_bits or target"
        )


def _require_compilable(trainer: "trainer_lib.Trainer", strategy: Any) -> None:
    """Refuses to compile with XLA what TensorFlow cannot, or was never seen to.

    Raises:
        RequestError: Names the setting and the way out.
    """
    if not trainer.jit_compile or keras.backend.backend() != "tensorflow":
        return
    if trainer.deterministic:
        # Keras would leave the step uncompiled.
        raise failures.RequestError(
            "trainer.jit_compile = True: XLA has no deterministic form of every "
            "operation of TensorFlow; set trainer.deterministic = False as well"
        )
    if strategy.num_replicas_in_sync == 1:
        return
    # XLA has no sums over CPUs; over hosts they were not tried.
    if depthwise.on_cpu() or workers.count(strategy) > 1:
        raise failures.RequestError(
            "trainer.jit_compile = True is for one device or the GPUs of one host, not "
            f"for the {strategy.num_replicas_in_sync} replicas of trainer.strategy: "
            "set trainer.jit_compile = False"
        )


def total_steps(experiment: "experiment_lib.Experiment") -> int:
    """Steps of the whole training, at least 1."""
    return max(1, experiment.trainer.epochs * steps_per_epoch(experiment))


def steps_per_epoch(experiment: "experiment_lib.Experiment") -> int:
    """Whole batches of one pass, unless the trainer says otherwise."""
    size = experiment.train.count(experiment.dataset)
    return experiment.trainer.steps_per_epoch or max(
        1, size // experiment.train.batch_size
    )


def _network(
    experiment: "experiment_lib.Experiment", *, fresh: bool
) -> tuple[keras.Model, dict[str, str]]:
    """In the training form, and what is known of the weights it starts from."""
    network = networks.build_float(experiment, training=True)
    # What is wrong with the form for evaluation ends here. At the same size the two are
    # alike, and `session` builds the other once the first step has been taken.
    task = experiment.task
    if network.input_shape[1:3] != task.scaled(task.image_size):
        networks.build_float(experiment, training=False)
    # Before it is rewritten for a target, which may give weights another shape.
    provenance = _initialize(experiment, network) if fresh else {}
    return networks.quantized(experiment, network, training=True), provenance


def _initialize(
    experiment: "experiment_lib.Experiment", network: keras.Model
) -> dict[str, str]:
    """Sets the weights to start from; what is known of them."""
    if not experiment.init_from:
        if experiment.quantization is not None:
            terminal.console.print(
                "warning: quantization-aware training starts from random weights: set "
                "init_from to the folder of a float run"
            )
        if experiment.fine_tuning.keeps_something:
            terminal.console.print(
                "warning: fine_tuning keeps weights or statistics that nothing has "
                "trained: set init_from, or train all with "
                '--set "fine_tuning = @FineTuning()"'
            )
        elif experiment.fine_tuning.backbone_rate < 1:
            terminal.console.print(
                "warning: the backbone starts from random weights and learns at "
                f"{experiment.fine_tuning.backbone_rate:g} times the learning rate: "
                'set init_from, or --set "fine_tuning.backbone_rate = 1.0"'
            )
        return {}
    transfer = initialize.initialize(
        network, experiment.task.backbone, experiment.init_from
    )
    terminal.console.print(transfer.summary())
    return transfer.provenance


def _compiled(
    experiment: "experiment_lib.Experiment",
    network: keras.Model,
    taught_by: keras.Model | None,
) -> trainable.Trainable:
    tuning = experiment.fine_tuning
    total = fine_tuning.count(network.trainable_variables)
    tuning.prepare(network)
    trainee = trainable.Trainable(
        network,
        experiment.task.losses(),
        l2=experiment.optimizer.l2,
        assign=experiment.task.assign,
        teacher=taught_by,
    )
    steps = steps_per_epoch(experiment)
    optimizer = experiment.optimizer.build(
        network.trainable_variables,
        total_steps=total_steps(experiment),
        steps_per_epoch=steps,
        factors=tuning.factors(network),
    )
    # On JAX a step that is not compiled is run op by op.
    jit_compile = experiment.trainer.jit_compile or keras.backend.backend() == "jax"
    trainee.compile(optimizer, jit_compile=jit_compile)
    trainee.optimizer.build(network.trainable_variables)
    trainee.build(network.input_shape)
    # Only now: the optimizer has state for what is released later, too.
    tuning.set_epoch(network, 0)
    if experiment.quantization is not None:
        experiment.quantization.set_step(
            network, 0, total_steps=total_steps(experiment)
        )
    terminal.console.print(fine_tuning.summary(network, tuning, total=total))
    return trainee


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
