"""Writes tests/goldens: what the networks of timm and torchvision compute.

    python scripts/make_goldens.py [NAME ...]

Run by hand where PyTorch and these libraries are installed; the tests need none of
them. A file holds no weights: they are drawn by name, here and in the tests
(`tests/drawn.py`). It holds names and shapes of the tensors, and the outputs for a
drawn image.
"""

import argparse
import io
import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import drawn  # noqa: E402
import pytorch  # noqa: E402

SIZE = 96
SYMMETRIC = {"timm:mobilenetv1_100"}
NAMES = (
    "timm:mobilenetv1_100",
    "timm:mobilenetv2_100",
    "timm:mobilenetv3_large_100",
    "timm:mobilenetv3_small_100",
    "timm:tf_mobilenetv3_small_minimal_100",
    "timm:mobilenetv4_conv_small",
    "timm:mobilenetv4_conv_medium",
    "timm:mobilenetv4_conv_large",
    "timm:mobilenetv4_hybrid_medium",
    "timm:mobilenetv4_hybrid_large",
    "timm:mnasnet_100",
    "timm:mnasnet_small",
    "timm:semnasnet_100",
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_large",
    "torchvision:mobilenet_v3_small",
    "torchvision:mnasnet1_0",
    "torchvision:ssdlite320_mobilenet_v3_large",
)
STEP = 13
"""Of a detector's anchors every 13th is written: a golden file is small."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    for name in parser.parse_args().names:
        file = ROOT / "tests" / "goldens" / f"{name.replace(':', '_')}.npz"
        file.write_bytes(golden(name))
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")
    save(ROOT / "tests" / "goldens")


def save(folder: pathlib.Path) -> None:
    """Writes small files of torch.save, of which `tests/test_torch_files.py` knows."""
    import torch

    tensors = {
        "a.weight": torch.arange(6.0).reshape(2, 3),
        "a.t": torch.arange(6.0).reshape(2, 3).t(),
        "b.half": torch.arange(4).half() / 3,
        "b.bf": torch.tensor([1.5, -2.25, 1 / 3]).bfloat16(),
        "n": torch.tensor(7),
    }
    torch.save(tensors, folder / "zip.pth")
    torch.save(tensors, folder / "stream.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), folder / "module.pth")


def golden(name: str) -> bytes:
    source, _, model = name.partition(":")
    network = pytorch.model(source, model)
    symmetric = name in SYMMETRIC or model.startswith(("tf_", "ssdlite"))
    normalization = "symmetric" if symmetric else "imagenet"
    fed = drawn.fed(drawn.image(SIZE), normalization)
    outputs = pytorch.outputs(network, fed)
    extra = {}
    if "box_encodings" in outputs:
        outputs = {key: values[:, ::STEP] for key, values in outputs.items()}
        extra["step"] = STEP
    content = io.BytesIO()
    np.savez_compressed(
        content,
        size=SIZE,
        shapes=np.frombuffer(json.dumps(pytorch.shapes(network)).encode(), "uint8"),
        **outputs,
        **extra,
    )
    return content.getvalue()


if __name__ == "__main__":
    main()
