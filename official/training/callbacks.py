"""What happens around the steps of `fit`."""

import contextlib
import dataclasses
import pathlib
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
from keras import ops

from official import failures
from official.quantization import scheme as scheme_lib
from official.report import history, terminal
from official.training import (
    checkpoints,
    collector,
    fine_tuning,
    loss_terms,
    one_program,
    workers,
)

if TYPE_CHECKING:
    import tensorflow as tf


class Guard(keras.callbacks.Callback):
    """Stops at a loss that is not a number, saves checkpoints, minds signals.

    Must be the first of the callbacks, and `Finish` the last.

    Args:
        run_dir: Run folder.
        state: How far the training is; replaced as it goes on.
        strategy: Of several processes the chief saves, and a signal to one ends all.
        steps_per_epoch: Steps of a whole epoch.
        every: Steps between checkpoints within an epoch.

    Attributes:
        statistics: Of norms, computed anew at this very step, by path; else empty.
    """

    def __init__(
        self,
        run_dir: pathlib.Path,
        state: checkpoints.State,
        *,
        strategy: "tf.distribute.Strategy",
        steps_per_epoch: int,
        every: int,
    ):
        super().__init__()
        self.run_dir = run_dir
        self.state = state
        self.statistics: dict[str, np.ndarray] = {}
        self._strategy = strategy
        self._steps_per_epoch = steps_per_epoch
        self._every = every
        self._signal: int | None = None

    @contextlib.contextmanager
    def minding_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the training at the next step, with a checkpoint."""
        numbers = failures.SIGNALS
        previous = {n: signal.signal(n, self._remember) for n in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _remember(self, number: int, frame: Any) -> None:
        del frame
        if self._signal is not None:
            raise KeyboardInterrupt  # asked twice: end at once
        self._signal = number

    def on_epoch_begin(self, epoch, logs=None):
        # The means of the losses begin anew, and so does what is handed on of them.
        self.model.late.begin()

    def on_train_batch_begin(self, batch, logs=None):
        left = self._steps_per_epoch - self.state.step % self._steps_per_epoch
        self.model.steps_at_once = min(self.model.steps_per_execution, left)

    def on_train_batch_end(self, batch, logs=None):
        collector.wake()
        before = self.state.step
        step = before + self.model.steps_at_once
        self.state = dataclasses.replace(self.state, step=step)
        self.statistics = {}
        late = self.model.late
        self._require_finite(logs or {}, before if late.behind else step)
        if step % self._steps_per_epoch == 0:
            return  # the epoch's end saves, after its evaluation
        asked = workers.any_of(self._signal is not None, self._strategy)
        if asked or step // self._every > before // self._every:
            self._require_finite(late.newest(), self.state.step)
            self.save("last")
        self._stop_if(asked)

    def on_epoch_end(self, epoch, logs=None):
        self._require_finite(logs or {}, self.state.step)

    def _require_finite(self, logs: Mapping[str, float], step: int) -> None:
        if complaint := loss_terms.complaint(logs, step):
            raise failures.RunError(
                f"{complaint}; lower optimizer.schedule.learning_rate or set "
                f"optimizer.clip_norm; {self._kept()}"
            )

    def watched(self, batches: Iterable[Any]) -> Iterable[Any]:
        """The batches of an evaluation, which a signal ends.

        All hosts evaluate alike, and of several none stops alone.
        """
        return _Watched(batches, self._stop_evaluation)

    def _stop_evaluation(self) -> None:
        if self._signal is not None and workers.count(self._strategy) == 1:
            self.statistics = {}
            self.save("last")
            self._stop_if(True)

    def _kept(self) -> str:
        file = checkpoints.newest(self.run_dir)
        return f"{file} is from before" if file else "there is no checkpoint yet"

    def stop_if_asked(self) -> None:
        """Ends the training if a signal came.

        Raises:
            Interrupted: Names the step whose checkpoint is kept.
        """
        self._stop_if(workers.any_of(self._signal is not None, self._strategy))

    def _stop_if(self, asked: bool) -> None:
        if asked:
            by = signal.Signals(self._signal).name if self._signal else "another host"
            raise failures.Interrupted(
                f"interrupted ({by}) at step {self.state.step}: "
                f"checkpoint kept in {self.run_dir}; the same command resumes"
            )

    def save(self, which: str) -> None:
        if not workers.is_chief(self._strategy):
            return
        one_program.sync(self.model)
        checkpoints.save(
            checkpoints.path(self.run_dir, which),
            network=self.model.network,
            optimizer=self.model.optimizer,
            state=self.state,
            statistics=self.statistics,
        )


class _Watched:
    """Calls a function before each batch, and can be run through again and again."""

    def __init__(self, batches: Iterable[Any], call: Callable[[], None]):
        self._batches = batches
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self._call()
            yield batch


class Release(keras.callbacks.Callback):
    """Freezes the levels that do not train in an epoch, and releases the others.

    Args:
        setting: Says which, by the number of the epoch alone.
    """

    def __init__(self, setting: fine_tuning.FineTuning):
        super().__init__()
        self._setting = setting

    def on_epoch_begin(self, epoch, logs=None):
        if self._setting.set_epoch(self.model.network, epoch):
            terminal.say_compiling("the step anew, as other layers train now")
            self.model.make_train_function(force=True)


class Phases(keras.callbacks.Callback):
    """Takes quantization-aware training from phase to phase.

    Args:
        guard: Knows the step, in a resumed training too.
        scheme: Says which phase a step is in; None does nothing.
        total_steps: Of the whole training.
    """

    def __init__(
        self, guard: Guard, scheme: scheme_lib.QuantScheme | None, *, total_steps: int
    ):
        super().__init__()
        self._guard = guard
        self._scheme = scheme
        self._total_steps = total_steps

    def on_train_batch_begin(self, batch, logs=None):
        if self._scheme is None:
            return
        step = self._guard.state.step
        network = self.model.network
        if self._scheme.set_step(network, step, total_steps=self._total_steps):
            terminal.say_compiling("the step anew, for the next part of quantization")
            self.model.make_train_function(force=True)


class Evaluator(Protocol):
    """Judges the model that is trained."""

    def prepare(self) -> None: ...

    def __call__(self, epoch: int) -> dict[str, float]: ...


class Evaluation(keras.callbacks.Callback):
    """Evaluates at the end of epochs and puts the values, as `val_...`, into the logs.

    Args:
        guard: Keeps the logs, should a signal end the evaluation.
        evaluate: Gives the values by name, after an epoch (counted from 0); prepares
            for that once the first step has been taken, which need not wait for it.
        every: Epochs between evaluations.
        epochs: The last epoch always ends in one.
    """

    def __init__(
        self,
        guard: Guard,
        evaluate: Evaluator,
        *,
        every: int,
        epochs: int,
    ):
        super().__init__()
        self._guard = guard
        self._evaluate = evaluate
        self._prepared = False
        self._every = every
        self._epochs = epochs

    def on_train_batch_end(self, batch, logs=None):
        if not self._prepared:
            self._prepared = True
            self._evaluate.prepare()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0 or epoch + 1 == self._epochs:
            pending = {name: float(value) for name, value in logs.items()}
            self._guard.state = dataclasses.replace(self._guard.state, pending=pending)
            values = self._evaluate(epoch)
            logs.update({f"val_{name}": value for name, value in values.items()})


class History(keras.callbacks.Callback):
    """Writes `metrics.csv`, a row an epoch, and TensorBoard events.

    Args:
        run_dir: Run folder.
        done: Epochs that an earlier start finished; later rows are dropped.
    """

    def __init__(self, run_dir: pathlib.Path, *, done: int):
        super().__init__()
        self._file = run_dir / "metrics.csv"
        self._events = run_dir / "tensorboard"
        rows = history.read(self._file)
        self._rows = [row for row in rows if int(float(row["epoch"])) <= done]

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        import tensorflow as tf

        seconds = time.perf_counter() - self._start
        optimizer = self.model.optimizer
        step = int(ops.convert_to_numpy(optimizer.iterations))
        logs["learning_rate"] = float(ops.convert_to_numpy(optimizer.learning_rate))
        row = {"epoch": epoch + 1, "step": step, "seconds": seconds, **logs}
        self._rows.append({name: _text(value) for name, value in row.items()})
        history.write(self._file, self._rows)
        writer = tf.summary.create_file_writer(str(self._events))
        with writer.as_default(step=step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        writer.close()


class Finish(keras.callbacks.Callback):
    """Ends an epoch: keeps the best and the last checkpoint, stops without progress.

    Args:
        guard: Holds the state and saves.
        metric: Name of the value in the logs that decides; higher is better.
        patience: See `official.training.trainer.Trainer`.
    """

    def __init__(self, guard: Guard, *, metric: str, patience: int | None):
        super().__init__()
        self._guard = guard
        self._metric = metric
        self._patience = patience

    def on_epoch_end(self, epoch, logs=None):
        guard = self._guard
        state = dataclasses.replace(guard.state, epoch=epoch + 1, pending={})
        value = (logs or {}).get(self._metric)
        # Where nothing has been found yet, the one that has trained longer.
        better = value is not None and (
            state.best is None or value > state.best or value == state.best == 0
        )
        if better:
            state = dataclasses.replace(state, best=value, best_epoch=epoch + 1)
        if value is not None and state.stalled(self._patience):
            self.model.stop_training = True
        guard.state = state
        if better:
            guard.save("best")
        guard.save("last")
        guard.stop_if_asked()


def end_epoch(
    chain: Sequence[keras.callbacks.Callback],
    model: keras.Model,
    epoch: int,
    logs: Mapping[str, float],
) -> None:
    """What `fit` does after the steps of an epoch (counted from 0)."""
    end = dict(logs)
    for callback in chain:
        callback.set_model(model)
        callback.on_train_begin()
    for callback in chain:
        callback.on_epoch_begin(epoch)
    for callback in chain:
        callback.on_epoch_end(epoch, end)


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
