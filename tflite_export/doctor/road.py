"""The road that every file takes, with a network so small that it takes seconds.

`python -m tflite_export.doctor.road FOLDER` converts one to int8 and runs it, in a
child process of the doctor, and prints a line of JSON.
"""

import json
import pathlib
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np

from official import export_spec
from tflite_export import benchmark, conversion, quiet
from tflite_export.doctor import base
from tflite_export.targets import base as targets_base

if TYPE_CHECKING:
    import keras

_SIZE = (32, 32)
_SECONDS = 300


def convert_and_run() -> base.Finding:
    name = "int8 conversion"
    with tempfile.TemporaryDirectory(prefix="tflite_export_") as folder:
        try:
            took = base.in_child("road", folder, seconds=_SECONDS)
        except RuntimeError as error:
            advice = "install anew: rm -rf .venv; scripts/quickstart.sh"
            return base.Finding(name, "failed", str(error), advice)
    found = (
        f"{took['bytes']} bytes in {took['conversion']:.1f} s; XNNPACK runs it in "
        f"{1e3 * took['latency_ms']:.0f} microseconds"
    )
    # The input is turned from uint8 to int8 before the delegate, the output after it.
    if took["partitions"] == 1 and set(took["outside"]) <= {"QUANTIZE"}:
        return base.Finding(name, "ok", found)
    advice = "install ai-edge-litert from PyPI: latencies here say nothing of phones"
    return base.Finding(name, "warning", f"{found}, not all of it", advice)


def main(folder: pathlib.Path) -> None:
    quiet.import_tensorflow()
    from tflite_export import inference

    spec = export_spec.Export(precisions=("int8",))
    network = targets_base.find(spec.target).rewrite(_network(), "int8").model
    start = time.perf_counter()
    content = conversion.convert(
        inference.build(network, spec=spec, precision="int8"),
        "int8",
        spec=spec,
        calibration=np.random.default_rng(0).integers(0, 256, (8, *_SIZE, 3), np.uint8),
    )
    seconds = time.perf_counter() - start
    path = folder / "model.tflite"
    path.write_bytes(content)
    (figures,) = benchmark.measure([path])
    took = {
        "bytes": len(content),
        "conversion": seconds,
        "latency_ms": figures.latency_ms,
        "partitions": figures.partitions,
        "outside": figures.outside,
    }
    print(json.dumps(took))


def _network() -> "keras.Model":
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((*_SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(8, 3, strides=2, name="conv")(x)
    x = keras.layers.ReLU(max_value=6, name="relu")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(4, name="classes")(x)
    return keras.Model(images, {"logits": logits}, name="tiny")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
