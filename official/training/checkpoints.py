"""Checkpoints: one file each, written whole or not at all.

A file is a zip archive, which has a checksum (CRC-32) of each array; reading compares
them all.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import types
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from official import atomic, failures, spelling
from official.report import terminal
from official.training import networks
from official.weights import initialize

if TYPE_CHECKING:
    from official import experiment as experiment_lib

# What is in the file, by prefix of the key:
# "weights/<path>" every weight of the network, "average/<path>" what stands for it in
# inference (the moving average of a trainable one, the measured statistics of a norm),
# "random/<number>" the state of its random generators (their paths are numbered by
# Keras, and not the same in the next network), "optimizer/<number>" the optimizer's own
# variables, "state" JSON.


_LAST, _PREVIOUS = "last.npz", "previous.npz"

# What `numpy` and `zipfile` raise of bytes that have changed.
_DAMAGE = (
    EOFError,
    LookupError,
    NotImplementedError,  # a method of compression that there is not
    RuntimeError,
    SyntaxError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """How far a training is.

    Attributes:
        step: Steps done.
        epoch: Epochs done, with their evaluation.
        best: Best value of the task's metric so far.
        best_epoch: Epoch (from 1) that reached it.
        class_names: Classes of the data, so that a file can be exported without it.
        pending: Logs of an epoch whose steps are done and whose evaluation is not;
            empty otherwise.
    """

    step: int = 0
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    class_names: tuple[str, ...] = ()
    pending: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def stalled(self, patience: int | None) -> bool:
        """Whether the metric has not risen for `patience` epochs."""
        if patience is None or self.best is None:
            return False
        return self.epoch - self.best_epoch >= patience


def path(run_dir: pathlib.Path, which: str) -> pathlib.Path:
    """Where the checkpoint "last" or "best" of a run lies."""
    return run_dir / "checkpoints" / f"{which}.npz"


def provenance(run_dir: pathlib.Path) -> dict[str, str]:
    """What is known of the weights that a run started from; empty for random ones."""
    file = run_dir / initialize.PROVENANCE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def newest(run_dir: pathlib.Path) -> pathlib.Path | None:
    """The newest checkpoint, whether it can be read or not; None if there is none."""
    return next(iter(_candidates(run_dir)), None)


def resumable(run_dir: pathlib.Path) -> pathlib.Path | None:
    """The checkpoint to go on from: the last, if it is whole.

    Else of the others that are whole the one of most steps. Prints a line for each that
    is damaged.

    Raises:
        RunError: If there are some, and all are damaged.
    """
    whole: dict[pathlib.Path, int] = {}
    damaged: list[failures.RunError] = []
    for file in _candidates(run_dir):
        try:
            whole[file] = state(file).step
        except failures.RunError as error:
            damaged.append(error)
        if not damaged:
            break  # no other is newer
    if damaged and not whole:
        raise failures.RunError(
            f"{damaged[0]}, and there is no other: --overwrite starts afresh"
        )
    chosen = max(whole, key=whole.__getitem__, default=None)
    for reason in damaged:
        terminal.console.print(f"warning: {reason}; going on from {chosen}")
    return chosen


def make_last(file: pathlib.Path) -> None:
    """Lets the checkpoint that a run goes on from stand for one that is damaged.

    That one is kept as `damaged.npz`, lest it replace the one before it.
    """
    last = file.with_name(_LAST)
    if file == last:
        return
    if last.exists():
        last.replace(last.with_name("damaged.npz"))
    atomic.write(last, file.read_bytes())


def _candidates(run_dir: pathlib.Path) -> list[pathlib.Path]:
    # Of those with as many steps the first is taken.
    files = (path(run_dir, which) for which in ("last", "previous", "best"))
    return [file for file in files if file.exists()]


def save(
    file: pathlib.Path,
    *,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: State,
    statistics: Mapping[str, np.ndarray] = types.MappingProxyType({}),
) -> None:
    """Writes everything that training depends on.

    Args:
        statistics: Of norms, by path, to use in inference instead of the network's.

    Raises:
        RunError: If a weight is not a finite number; the file is then not touched.
        OSError: If the file cannot be written.
    """
    arrays = {f"weights/{v.path}": _numpy(v) for v in network.weights}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise failures.RunError(
                f"{name.removeprefix('weights/')} holds NaN or infinity at step "
                f"{state.step}: no checkpoint is written; lower the learning rate"
            )
    average = averaged(optimizer) | dict(statistics)
    arrays |= {f"average/{name}": value for name, value in average.items()}
    arrays |= _numbered("random/", _random_state(network))
    arrays |= _numbered("optimizer/", optimizer.variables)
    arrays["state"] = np.array(json.dumps(dataclasses.asdict(state)))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    # Should the last one be damaged later, a run goes on from the one before.
    keep = file.with_name(_PREVIOUS) if file.name == _LAST else None
    atomic.write(file, buffer.getvalue(), keep=keep)


def averaged(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
    """The moving average of the trainable weights, by path; empty without one."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    # Before the first step Keras's average is zero.
    if not inner.use_ema or not int(_numpy(inner.iterations)):
        return {}
    # Keras has no public access but overwriting the weights themselves.
    return {
        variable.path: _numpy(average)
        for variable, average in zip(
            inner._trainable_variables,
            inner._model_variables_moving_average,
            strict=True,
        )
        if average is not None
    }


def restore(
    file: pathlib.Path,
    *,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> State:
    """Reads what `save` wrote into a network and a built optimizer of the same kind.

    Raises:
        RunError: If the file is damaged or belongs to another network.
    """
    arrays = _read(file)
    assign(network.weights, _section(arrays, "weights/"), source=file)
    for prefix, variables in (
        ("random/", _random_state(network)),
        ("optimizer/", optimizer.variables),
    ):
        values = _section(arrays, prefix)
        if len(values) != len(variables):
            raise failures.RunError(
                f"{file}: holds {len(values)} {prefix[:-1]} variables, this run has "
                f"{len(variables)}; use --overwrite to start afresh"
            )
        for variable, name in zip(variables, sorted(values), strict=True):
            variable.assign(values[name])
    return _state(arrays)


def state(file: pathlib.Path) -> State:
    """How far the training was that wrote a checkpoint."""
    return _state(_read(file))


def digest(file: pathlib.Path) -> str:
    """Identifies the content of a checkpoint."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def inference_weights(file: pathlib.Path) -> dict[str, np.ndarray]:
    """Weights for evaluation and export, by path: averaged where there is an average.

    Raises:
        RunError: If the file is damaged.
    """
    arrays = _read(file)
    return _section(arrays, "weights/") | _section(arrays, "average/")


def inference_network(
    experiment: "experiment_lib.Experiment",
    run_dir: pathlib.Path,
    checkpoint: str = "best",
) -> keras.Model:
    """The inference form of a run's network, with its weights.

    Raises:
        RequestError: If the run has no such checkpoint, or the data has other classes
            than the run.
    """
    file = path(run_dir, checkpoint)
    if not file.exists():
        raise failures.RequestError(
            f"{spelling.missing(file)}: train first (python train.py --experiment=...)"
        )
    classes = experiment.dataset.class_names
    require_classes(file, state(file), classes)
    network = networks.build(experiment, training=False)
    assign(network.weights, inference_weights(file), source=file)
    return network


def require_classes(file: pathlib.Path, saved: State, classes: tuple[str, ...]) -> None:
    """Checks that a checkpoint and the data have the same classes.

    Raises:
        RequestError: Names some of both.
    """
    if saved.class_names != classes:
        raise failures.RequestError(
            f"{file} was trained on {len(saved.class_names)} classes "
            f"({_few(saved.class_names)}), the data set has {len(classes)} "
            f"({_few(classes)}): give the data of the run"
        )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def assign(
    variables: Iterable[keras.Variable],
    arrays: Mapping[str, np.ndarray],
    *,
    source: pathlib.Path | str,
) -> None:
    """Sets each variable to the array of its path.

    Raises:
        RunError: If an array is missing or has another shape.
    """
    for variable in variables:
        array = arrays.get(variable.path)
        if array is None:
            raise failures.RunError(f"{source}: has no weights for {variable.path}")
        if array.shape != tuple(variable.shape):
            raise failures.RunError(
                f"{source}: {variable.path} has shape {array.shape}, "
                f"the network wants {tuple(variable.shape)}"
            )
        variable.assign(array)


def _read(file: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise failures.RunError(f"{file}: damaged checkpoint ({reason})") from error


def _state(arrays: Mapping[str, np.ndarray]) -> State:
    values: dict[str, Any] = json.loads(str(arrays["state"]))
    return State(**(values | {"class_names": tuple(values["class_names"])}))


def _random_state(network: keras.Model) -> list[keras.Variable]:
    weights = {id(variable) for variable in network.weights}
    return [v for v in network.variables if id(v) not in weights]


def _numbered(
    prefix: str, variables: Iterable[keras.Variable]
) -> dict[str, np.ndarray]:
    return {f"{prefix}{n:05d}": _numpy(v) for n, v in enumerate(variables)}


def _section(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _numpy(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)
