"""What a person sees in the terminal."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import keras
import rich.console
import rich.progress
import rich.table

Item = TypeVar("Item")

# Names of files and classes may hold brackets: none of them is a style. Lines are the
# terminal's to wrap: a path or a command that was broken cannot be copied.
console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)


def track(items: Iterable[Item], what: str, *, total: int | None) -> Iterator[Item]:
    """Shows progress with the time left; silent where the output is no terminal."""
    if not console.is_terminal:
        yield from items
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, description=what, total=total)


def last_line(content: Any) -> None:
    """Prints what a command found as a line of JSON, for programs.

    Not to a terminal, where it would push the table that says the same out of sight.
    """
    if not console.is_terminal:
        print(json.dumps(content))


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> rich.table.Table:
    """A table whose first column is text and whose other columns are numbers."""
    view = rich.table.Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        view.add_column(column, justify="right" if number else "left")
    for row in rows:
        view.add_row(*row)
    return view


def say_compiling(what: str) -> None:
    """Tells why nothing moves for a while."""
    console.print(f"compiling {what}, which may take a minute or two ...")


class Progress(keras.callbacks.Callback):
    """A bar for each epoch and a line when it ends.

    Args:
        epochs: Epochs of the whole training.
        steps_per_epoch: Steps of an epoch.
        batch_size: Global, for the throughput.
        metric: Name of the value to show beside the loss.
        done: Steps of the first epoch that an earlier start has done.
    """

    def __init__(
        self,
        *,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        metric: str,
        done: int,
    ):
        super().__init__()
        self._epochs = epochs
        self._steps = steps_per_epoch
        self._batch = batch_size
        self._metric = metric
        self._done = done
        self._bar: rich.progress.Progress | None = None
        self._rate = 0.0
        self._ended = 0
        self._judged = ""

    def on_train_begin(self, logs=None):
        self._began = time.perf_counter()
        self._compiled = self._began
        say_compiling("the first step")

    def on_epoch_begin(self, epoch, logs=None):
        self._start, self._count = time.perf_counter(), 0
        if not console.is_terminal or self._done == self._steps:
            return
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn(f"epoch {epoch + 1}/{self._epochs}"),
            rich.progress.BarColumn(bar_width=20),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._steps, completed=self._done)
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        # A model that takes several steps at once says how many.
        taken = getattr(self.model, "steps_at_once", None) or 1
        first = self._count == 0
        self._count += taken
        if not self._ended and first and self._steps - self._done > taken:
            self._compiled = time.perf_counter()
        seconds = time.perf_counter() - self._start
        self._rate = self._count * self._batch / max(seconds, 1e-9)
        if self._bar is not None:
            text = f"loss {logs['loss']:.4f}{self._judged}  {self._rate:.1f} images/s"
            self._bar.update(self._task, advance=taken, description=text)
            if self._count + self._done == self._steps:
                self.stop()  # evaluation has a bar of its own

    def on_epoch_end(self, epoch, logs: dict[str, Any] | None = None):
        self.stop()
        self._done = 0
        logs = logs or {}
        metric = logs.get(f"val_{self._metric}")
        judged = "" if metric is None else f"  val {self._metric} {metric:.4f}"
        self._judged = judged or self._judged  # the bar goes on showing the last one
        self._ended += 1
        # The first step, which is compiled, comes once.
        spent = time.perf_counter() - self._compiled
        left = spent / self._ended * (self._epochs - epoch - 1)
        console.print(
            f"epoch {epoch + 1:3d}/{self._epochs}  loss {logs['loss']:.4f}{judged}  "
            f"{self._rate:.1f} images/s  {_clock(left)} left"
        )

    def stop(self) -> None:
        """Takes the bar away; also when training ends with an exception."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    )
