"""The weights that a training starts from."""

import pathlib
import zipfile

import keras
import numpy as np

from official import failures
from official.backbones import base
from official.weights import keras_applications, transfer

CHECKPOINTS = ("best", "last")


def initialize(
    network: keras.Model, backbone: base.Backbone, init_from: str
) -> transfer.Transfer:
    """Sets those weights of a network that a file has.

    Args:
        network: Contains the backbone.
        init_from: A `.weights.h5` file that `save_weights()` of a `keras.applications`
            model wrote, a `.npz` checkpoint of ours, or a run folder, whose best (else
            last) checkpoint is read. From checkpoints whatever matches by path and
            shape is taken, and the moving average of a weight if there is one.

    Raises:
        RequestError: If it does not exist, is of none of these kinds, or has nothing
            that matches.
    """
    file = _file(pathlib.Path(init_from))
    if file.name.endswith(keras_applications.SUFFIX):
        result = keras_applications.load(file, network, backbone)
    else:
        result = transfer.transfer(network, _read(file), source=str(file))
    if not result.taken:
        raise failures.RequestError(f"init_from {file}: {_nothing(result)}")
    return result


def _file(path: pathlib.Path) -> pathlib.Path:
    if path.is_dir():
        files = [path / "checkpoints" / f"{name}.npz" for name in CHECKPOINTS]
        for file in files:
            if file.is_file():
                return file
        raise failures.RequestError(
            f"init_from {path}: neither checkpoints/best.npz nor checkpoints/last.npz "
            "is in this folder; give the folder of a run that trained"
        )
    if not path.exists():
        raise failures.RequestError(f"init_from {path}: does not exist")
    if path.suffix != ".npz" and not path.name.endswith(keras_applications.SUFFIX):
        raise failures.RequestError(
            f"init_from {path}: neither a run folder nor a .npz checkpoint nor a "
            f"{keras_applications.SUFFIX} file of keras.applications"
        )
    return path


def _read(file: pathlib.Path) -> dict[str, np.ndarray]:
    """Weights of a checkpoint by path."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = [n for n in archive.files if n.startswith(("weights/", "average/"))]
            # Later keys win: averages stand for the weights they are of.
            names.sort(key=lambda name: name.startswith("average/"))
            return {name.partition("/")[2]: archive[name] for name in names}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise failures.RequestError(
            f"init_from {file}: not a readable checkpoint ({error})"
        ) from error


def _nothing(result: transfer.Transfer) -> str:
    if result.skipped:
        first = result.skipped[0]
        return f"nothing in it fits the network: {first.layer}: {first.reason}"
    return "nothing in it has a name of the network's layers"
