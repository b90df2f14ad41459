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

# Besides "nms", which is written out below.
_OPERATORS = (
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
        fields = {"weights_backbone": None} if name.startswith("ssdlite") else {}
        return library.models.get_model(name, **fields)
    return library.create_model(name)


def _declare_operators() -> None:
    global _library
    import torch

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        _library.define(f"{operator}(Tensor x) -> Tensor")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.impl("nms", _suppress, "CPU")
    import torchvision

    torchvision.extension._has_ops = lambda: True


def _suppress(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """torchvision's `nms` in Python: indices of the boxes that are kept."""
    import torch
    from torchvision.ops import boxes as torchvision_boxes

    waiting = scores.argsort(descending=True, stable=True)
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        overlaps = torchvision_boxes.box_iou(boxes[best][None], boxes[waiting])[0]
        waiting = waiting[overlaps <= iou_threshold]
    return torch.stack(kept) if kept else waiting


def shapes(network: Any) -> drawn.Shapes:
    return {name: tuple(t.shape) for name, t in network.state_dict().items()}


def draw_weights(network: Any) -> Any:
    """The network with drawn weights, in inference mode."""
    import torch

    weights = drawn.tensors(shapes(network))
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(torch.from_numpy(weights[name]))
    return network.eval()


def outputs(network: Any, fed: np.ndarray) -> dict[str, np.ndarray]:
    """Its outputs with drawn weights, named and ordered as ours.

    "logits" `[B, classes]`; of a detector `[B, A, classes]`, and "box_encodings".
    """
    import torch

    network = draw_weights(network)
    with torch.no_grad():
        images = torch.from_numpy(fed)
        if not hasattr(network, "anchor_generator"):
            return {"logits": network(images).numpy()}
        found = network.head(list(network.backbone(images).values()))
    boxes_xywh = found["bbox_regression"].numpy()
    return {
        "logits": found["cls_logits"].numpy(),
        "box_encodings": boxes_xywh[..., [1, 0, 3, 2]],
    }


def detections(network: Any, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What a detector with drawn weights finds in one image `[1, H, W, 3]`, 0..255."""
    import torch

    with torch.no_grad():
        image = torch.from_numpy(pixels[0].transpose(2, 0, 1) / 255).float()
        (found,) = draw_weights(network)([image])
    return {name: values.numpy() for name, values in found.items()}


def compare(
    item: "publishers_base.Published", folder: pathlib.Path, *, tolerance: float = 1e-4
) -> None:
    """Checks that our network gives with drawn weights what theirs gives with them.

    Args:
        tolerance: By the largest value of an output.
    """
    from safetensors import numpy as safetensors_numpy

    from official.weights import files, published

    source, _, name = item.model.partition(":")
    theirs = model(source, name)
    tensors = drawn.tensors(shapes(theirs))
    safetensors_numpy.save_file(tensors, folder / "model.safetensors")
    ours = published.build(item, image_size=SIZE)
    moved = files.load(folder / "model.safetensors", ours, item.backbone)
    assert not moved.skipped
    assert not moved.random
    wanted = outputs(theirs, drawn.fed(drawn.image(SIZE), item.normalization))
    given = ours(drawn.image(SIZE))
    assert given.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(
            given[name], values, atol=tolerance * np.abs(values).max()
        )
