"""Weight files of every kind."""

import pathlib
import zipfile

import keras
import numpy as np

from official import failures
from official.backbones import base
from official.weights import (
    keras_applications,
    timm,
    torch_files,
    torch_layout,
    torchvision,
    torchvision_ssdlite,
    transfer,
)

CHECKPOINT = ".npz"
SUFFIXES = (CHECKPOINT, keras_applications.SUFFIX, *torch_files.SUFFIXES)


def load(
    file: pathlib.Path, network: keras.Model, backbone: base.Backbone
) -> transfer.Transfer:
    """Sets those weights of a network that a file has and that fit.

    Args:
        file: A checkpoint of ours, a Keras file in the layout of `keras.applications`,
            or a PyTorch file in the layout of timm or torchvision.
        network: Contains the backbone.

    Raises:
        RequestError: If it is of none of these kinds, of another architecture, or has
            nothing that fits.
    """
    if file.suffix == CHECKPOINT:
        result = transfer.transfer(network, _checkpoint(file), source=str(file))
    elif file.suffix == keras_applications.SUFFIX:
        result = keras_applications.load(file, network, backbone)
    elif file.suffix in torch_files.SUFFIXES:
        result = of_tensors(torch_files.read(file), network, source=str(file))
    else:
        raise failures.RequestError(
            f"{file}: neither a run folder nor a file of weights: known are "
            + ", ".join(SUFFIXES)
        )
    if not result.taken:
        raise failures.RequestError(f"{file}: {_nothing(result)}")
    return result


def of_tensors(
    tensors: torch_files.Tensors, network: keras.Model, *, source: str
) -> transfer.Transfer:
    """Sets those weights of a network that a state dict of PyTorch has and that fit.

    Raises:
        RequestError: If it is not of timm or torchvision, or of another architecture.
    """
    if timm.recognizes(tensors):
        names = timm.names(tensors, network, source=source)
    elif torchvision_ssdlite.recognizes(tensors):
        tensors = torchvision_ssdlite.as_classifier(tensors)
        names = torchvision_ssdlite.names(tensors, network, source=source)
    elif torchvision.recognizes(tensors):
        names = torchvision.names(tensors, network, source=source)
    else:
        first = ", ".join(torch_layout.in_order(tensors)[:3])
        raise failures.RequestError(
            f"{source}: in the layout of neither timm's nor torchvision's mobile "
            f"networks; its tensors are {first}, ..."
        )
    arrays = torch_layout.arrays(tensors, names, network)
    return transfer.transfer(network, arrays, source=source)


def _checkpoint(file: pathlib.Path) -> dict[str, np.ndarray]:
    """Weights of a checkpoint of ours by path."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = [n for n in archive.files if n.startswith(("weights/", "average/"))]
            # Later keys win: averages stand for the weights they are of.
            names.sort(key=lambda name: name.startswith("average/"))
            return {name.partition("/")[2]: archive[name] for name in names}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise failures.RequestError(
            f"{file}: not a readable checkpoint ({error})"
        ) from error


def _nothing(result: transfer.Transfer) -> str:
    if result.skipped:
        first = result.skipped[0]
        return f"nothing in it fits the network: {first.layer}: {first.reason}"
    return "nothing in it has a name of the network's layers"
