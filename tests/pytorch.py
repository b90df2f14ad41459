"""Networks of timm and torchvision, where they are installed."""

import importlib
import importlib.util
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import drawn
import numpy as np

if TYPE_CHECKING:
    from official.weights.publishers import base as publishers_base

SIZE = 96
"""Side of the images that are compared: even down to stride 16, where padding shows."""

_OPERATORS = (
    "nms",
    "qnms",
    "roi_align",
    "_roi_align_backward",
    "ps_roi_align",
    "_ps_roi_align_backward",
    "roi_pool",
    "_roi_pool_backward",
    "ps_roi_pool",
    "_ps_roi_pool_backward",
    "deform_conv2d",
    "_deform_conv2d_backward",
)
_library: Any = None


def installed(package: str) -> Any:
    """The module, "timm" or "torchvision"; skips the test where it is not installed."""
    import pytest

    for name in ("torch", "torchvision", package):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        # Its compiled part does not fit this PyTorch; the networks do not need it.
        _declare_operators()
    return importlib.import_module(package)


def model(source: str, name: str) -> Any:
    """A network with random weights."""
    library = installed(source)
    if source == "torchvision":
        return library.models.get_model(name)
    return library.create_model(name)


def _declare_operators() -> None:
    global _library
    import torch

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        _library.define(f"{operator}(Tensor x) -> Tensor")


def shapes(network: Any) -> drawn.Shapes:
    return {name: tuple(t.shape) for name, t in network.state_dict().items()}


def logits(network: Any, fed: np.ndarray) -> np.ndarray:
    """Its outputs with drawn weights, in inference mode, `[B, classes]`."""
    import torch

    weights = drawn.tensors(shapes(network))
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(torch.from_numpy(weights[name]))
        return network.eval()(torch.from_numpy(fed)).numpy()


def compare(item: "publishers_base.Published", folder: pathlib.Path) -> None:
    """Checks that our network gives with drawn weights what theirs gives with them."""
    from safetensors import numpy as safetensors_numpy

    from official.weights import files, published

    source, _, name = item.model.partition(":")
    theirs = model(source, name)
    tensors = drawn.tensors(shapes(theirs))
    safetensors_numpy.save_file(tensors, folder / "model.safetensors")
    ours = published.classifier(item, image_size=SIZE)
    moved = files.load(folder / "model.safetensors", ours, item.backbone)
    assert not moved.skipped
    assert not moved.random
    wanted = logits(theirs, drawn.fed(drawn.image(SIZE), item.normalization))
    given = np.asarray(ours(drawn.image(SIZE))["logits"])
    np.testing.assert_allclose(given, wanted, atol=1e-4 * np.abs(wanted).max())
